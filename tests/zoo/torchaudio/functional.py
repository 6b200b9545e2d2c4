"""Filters of torchaudio: the default filter of braindecode's models, and the names of the others."""

import torch


def fftconvolve(x: torch.Tensor, y: torch.Tensor, mode: str) -> torch.Tensor:
    """Convolve along the last axis and keep the middle, as long as x."""
    assert mode == "same"
    n = x.shape[-1] + y.shape[-1] - 1
    full = torch.fft.irfft(torch.fft.rfft(x, n) * torch.fft.rfft(y, n), n)
    start = (n - x.shape[-1]) // 2
    return full[..., start : start + x.shape[-1]]


def lfilter(*args: object, **kwargs: object) -> torch.Tensor:
    raise NotImplementedError


filtfilt = lfilter

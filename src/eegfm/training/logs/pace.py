"""Speed between two looks at a training, and the memory of its device."""

import time

import torch

from eegfm.batch import TrainStep
from eegfm.inference.backbone import Backbone

_GIB = 2**30


class Pace:
    """Windows and tokens per second since the last look, validations left out.

    The first step is left out: it warms caches and may compile. A look is taken when the device has been waited for, so
    that steps which are only queued do not count as done.

    Args:
        backbone: Its tokens are counted, masked ones among them.
    """

    def __init__(self, backbone: Backbone) -> None:
        self._backbone = backbone
        self._n_tokens_of: dict[tuple[str, int], int] = {}
        self._since: float | None = None
        self._paused: float | None = None
        self._n_windows = self._n_tokens = 0

    def count(self, step: TrainStep, n_processes: int = 1) -> None:
        """Count a step that was taken; all processes have as many windows of it."""
        if self._since is None:
            self._since = time.perf_counter()
            return
        for batch in step.batches:
            n_windows, n_samples = batch["samples"].shape[:2]
            self._n_windows += n_processes * n_windows
            self._n_tokens += n_processes * n_windows * self._n_tokens_per_window(batch["montage"], n_samples)

    def pause(self) -> None:
        """Note that a validation begins."""
        self._paused = time.perf_counter()

    def go_on(self) -> None:
        """Note that a validation has ended, and leave its time out."""
        if self._paused is not None and self._since is not None:
            self._since += time.perf_counter() - self._paused
        self._paused = None

    def look(self) -> dict[str, float]:
        """Return the speed since the last look; nothing before the second step."""
        if self._since is None or not self._n_windows:
            return {}
        now = time.perf_counter()
        elapsed_s = max(now - self._since, 1e-9)
        found = {"speed/windows_per_s": self._n_windows / elapsed_s, "speed/tokens_per_s": self._n_tokens / elapsed_s}
        self._since, self._n_windows, self._n_tokens = now, 0, 0
        return found

    def _n_tokens_per_window(self, montage: str, n_samples: int) -> int:
        if (montage, n_samples) not in self._n_tokens_of:
            encoder, n_channels = self._backbone.encoder, self._backbone.encoder_spec.montages[montage].n_channels
            n_rows = -(-n_channels // encoder.channels_per_token)
            self._n_tokens_of[montage, n_samples] = n_rows * (n_samples // encoder.patch_samples)
        return self._n_tokens_of[montage, n_samples]


def device_memory(device: torch.device) -> dict[str, float]:
    """``device/memory_gib``: the most that tensors took on a CUDA device so far, or take now on MPS; else nothing."""
    if device.type == "cuda":
        return {"device/memory_gib": torch.cuda.max_memory_allocated(device) / _GIB}
    if device.type == "mps":
        return {"device/memory_gib": torch.mps.current_allocated_memory() / _GIB}
    return {}

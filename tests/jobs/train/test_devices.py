"""Devices of a training are counted where the machine is known."""

import pytest
import torch

from eegfm.errors import ConfigError
from eegfm.jobs.train.devices import n_ranks, with_devices
from eegfm.training.config import PretrainParams


def _gpus(monkeypatch: pytest.MonkeyPatch, n: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: n > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: n)


def test_auto_is_one_process_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    _gpus(monkeypatch, 0)
    params = with_devices(PretrainParams(n_steps=1, devices="auto"))
    assert (params.devices, n_ranks(params)) == (1, 1)
    assert n_ranks(with_devices(PretrainParams(n_steps=1, devices=2, num_nodes=2))) == 4


def test_auto_takes_all_gpus_and_no_more_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    _gpus(monkeypatch, 4)
    assert with_devices(PretrainParams(n_steps=1, devices="auto")).devices == 4
    assert with_devices(PretrainParams(n_steps=1, devices="auto", accelerator="cpu")).devices == 1
    with pytest.raises(ConfigError, match=r"pretrain.devices is 5, and this node has 4 GPUs; choose"):
        with_devices(PretrainParams(n_steps=1, devices=5))
    with pytest.raises(ConfigError, match=r"batch_size 42 .* the 4 GPUs .* multiple of 4, or set devices"):
        with_devices(PretrainParams(n_steps=1, devices="auto", batch_size=42))

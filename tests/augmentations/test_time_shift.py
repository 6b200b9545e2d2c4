"""Random shifts in time: how far, and what cannot be."""

import pytest
import torch

from contracts.encoder_cases import MONTAGES, make_batch, spec_of
from eegfm.augmentations.config import TimeShiftConfig
from eegfm.augmentations.time_shift import TimeShift
from eegfm.errors import ConfigError
from eegfm.nn.context import Context

SPEC = spec_of(MONTAGES.values(), 2)


def test_every_shift_is_as_likely() -> None:
    batch = make_batch(19, 0.2, 700)
    batch["signal"] = torch.arange(40.0).expand(700, 19, 40)
    out = TimeShift(TimeShiftConfig(max_ms=17), SPEC)(batch, Context().window_draws(3, "tuh", 700))["signal"]
    assert torch.equal(out, out[:, :1].expand_as(out)), "channels move together"
    counts = torch.bincount((20 - out[:, 0, 20]).long() + 3, minlength=7)
    assert len(counts) == 7, "3 samples of 5 ms to either side"
    assert int(counts.min()) > 60


def test_shifts_of_no_sample_and_of_whole_windows_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"max_ms 4 of augmentation time_shift is less than a sample \(5 ms\); raise"):
        TimeShift(TimeShiftConfig(max_ms=4), SPEC)
    shift = TimeShift(TimeShiftConfig(max_ms=500), SPEC)
    with pytest.raises(ConfigError, match=r"max_ms 500 .* is no less than a window of 500 ms; lower it"):
        shift(make_batch(19, 0.5), Context().window_draws(3, "tuh", 2))

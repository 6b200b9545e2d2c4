"""Interpolated windows against MNE."""

import numpy as np
import pytest
import torch
from mne.channels.interpolation import _make_interpolation_matrix

from eegfm.adapters.config import InterpolateConfig
from eegfm.adapters.interpolate import Interpolate
from eegfm.batch import SignalSpec, WindowBatch
from eegfm.errors import ConfigError
from eegfm.nn.rereference import all_real
from eegfm.recording import Montage
from eegfm.signal.montages.canonical import canonical_montage
from eegfm.signal.montages.splines import directions


def batch(montage: Montage, seed: int = 0) -> WindowBatch:
    return {
        "signal": 20 * torch.randn(2, montage.n_channels, 50, generator=torch.Generator().manual_seed(seed)),
        "channel_positions": torch.from_numpy(montage.positions()).expand(2, -1, -1),
        "channel_mask": all_real(2, montage.n_channels, torch.device("cpu")),
        "reference": "average",
        "recording": torch.zeros(2, dtype=torch.int64),
        "corpus": "c",
        "montage": "m",
    }


def build(recorded: Montage, **choices: object) -> Interpolate:
    return Interpolate(InterpolateConfig(**choices), SignalSpec(100.0, {"m": recorded}, {"m": 50}))


@pytest.mark.parametrize("source", ["1020_21", "gsn_129"])
@pytest.mark.parametrize("target", ["1020_19", "1010_64"])
def test_equals_mne(source: str, target: str) -> None:
    montage, windows = canonical_montage(source), batch(canonical_montage(source))
    scalp = np.array(montage.is_scalp)
    places = directions(montage)[scalp], directions(canonical_montage(target))
    matrix = _make_interpolation_matrix(*places, alpha=1e-5)
    expected = matrix @ windows["signal"].numpy()[:, scalp].astype(np.float64)
    np.testing.assert_allclose(build(montage, montage=target)(windows)["signal"].numpy(), expected, atol=2e-4)


def test_ears_take_no_part() -> None:
    montage, windows = canonical_montage("1020_21"), batch(canonical_montage("1020_21"))
    adapter = build(montage, montage="1020_19")
    expected = adapter(windows)["signal"]
    windows["signal"][:, [montage.channel_names.index("A1"), montage.channel_names.index("A2")]] = 1e4
    assert torch.equal(adapter(windows)["signal"], expected)


def test_without_regularisation_electrodes_keep_what_they_recorded() -> None:
    montage = canonical_montage("1010_64")
    adapter, windows = build(montage, montage="1020_19", regularisation=0.0), batch(montage)
    rows = [montage.channel_names.index(name) for name in adapter.canonical.channel_names]
    torch.testing.assert_close(adapter(windows)["signal"], windows["signal"][:, rows], atol=1e-3, rtol=1e-5)


def test_padding_is_as_if_it_were_not_there() -> None:
    montage = canonical_montage("1020_19")
    kept = [k for k, name in enumerate(montage.channel_names) if name not in ("Cz", "T7")]
    less = Montage(
        *(tuple(c[k] for k in kept) for c in (montage.channel_names, montage.positions_m, montage.is_scalp)), "average"
    )
    windows, few = batch(montage), batch(less)
    few["signal"] = windows["signal"][:, kept]
    windows["channel_mask"] = torch.zeros(2, 19, dtype=torch.bool)
    windows["channel_mask"][:, kept] = True
    expected = build(less, montage="1010_64")(few)["signal"]
    torch.testing.assert_close(build(montage, montage="1010_64")(windows)["signal"], expected, atol=1e-4, rtol=1e-5)


def test_nothing_on_the_scalp_is_refused() -> None:
    ears = Montage(("A1", "A2"), ((-0.08, -0.02, -0.06), (0.08, -0.02, -0.06)), (False, False), "average")
    with pytest.raises(ConfigError, match="montage m has no scalp electrode to interpolate from"):
        build(ears)

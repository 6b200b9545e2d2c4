"""Bad channels in front of an encoder, against loops in float64 and MNE."""

import mne
import numpy as np
import pytest
import torch

from eegfm.adapters.config import InterpolateConfig
from eegfm.adapters.interpolate import Interpolate
from eegfm.batch import SignalSpec, StoredBatch
from eegfm.errors import ConfigError
from eegfm.nn.rereference import NewReference, Rereference
from eegfm.recording import BadChannels, Montage
from eegfm.signal.montages.canonical import canonical_montage
from eegfm.signal.montages.electrodes import resolve_channels
from eegfm.signal.montages.splines import head_sphere
from tuh_tree import ELECTRODES

TUH = resolve_channels([f"EEG {name}-REF" for name in ELECTRODES], "1005").montage  # 19 of the scalp, two ears
NET = canonical_montage("gsn_129")
HANDLINGS: tuple[BadChannels, ...] = ("mask", "interpolate")


def stored(montage: Montage, bad: list[list[str]], seed: int = 0) -> StoredBatch:
    """One window per list of bad channels; noise of 3 mV in those."""
    rng = np.random.default_rng(seed)
    is_bad = np.array([[name in names for name in montage.channel_names] for names in bad])
    samples = rng.integers(-2000, 2000, (len(bad), 30, montage.n_channels)).astype(np.int16)
    scales_uv = rng.uniform(0.01, 0.02, is_bad.shape).astype(np.float32) * np.where(is_bad, 100, 1).astype(np.float32)
    batch: StoredBatch = {
        "samples": torch.from_numpy(samples), "scales_uv": torch.from_numpy(scales_uv),
        "recording": torch.arange(len(bad)), "corpus": "c", "montage": "m",
    }  # fmt: skip
    return {**batch, "is_bad": is_bad} if is_bad.any() else batch


def recorded_uv(batch: StoredBatch) -> np.ndarray:
    scales_uv = batch["scales_uv"].numpy().astype(np.float64)
    return (batch["samples"].numpy().astype(np.float64) * scales_uv[:, None]).transpose(0, 2, 1)


def interpolated(montage: Montage, signal_uv: np.ndarray, bad: list[str]) -> np.ndarray:
    """The scalp channels of one window as MNE interpolates them."""
    scalp = [name for name, is_scalp in zip(montage.channel_names, montage.is_scalp, strict=True) if is_scalp]
    places = dict(zip(montage.channel_names, montage.positions_m, strict=True))
    info = mne.create_info(scalp, 100.0, "eeg")
    info.set_montage(mne.channels.make_dig_montage({name: places[name] for name in scalp}, coord_frame="head"))
    rows = [montage.channel_names.index(name) for name in scalp]
    raw = mne.io.RawArray(signal_uv[rows], info, verbose="error")
    raw.info["bads"] = bad
    raw.interpolate_bads(origin=tuple(head_sphere(montage).centre_m), verbose="error")
    out = signal_uv.copy()
    out[rows] = raw.get_data()
    return out


BAD = [["F8"], [], ["Cz", "O1", "A1"], ["F8", "A1", "A2"], ["P4"]]


def test_masked_channels_take_no_part_in_the_average() -> None:
    batch = stored(TUH, BAD)
    out = Rereference({"m": TUH})(batch)
    for window, mask, uv, bad in zip(out["signal"], out["channel_mask"], recorded_uv(batch), BAD, strict=True):
        good = [name not in bad for name in TUH.channel_names]
        assert mask.tolist() == good
        mean = np.mean(
            [uv[k] for k, name in enumerate(TUH.channel_names) if good[k] and name not in ("A1", "A2")], axis=0
        )
        np.testing.assert_allclose(window.numpy()[good], (uv - mean)[good], atol=2e-3)
        assert not window.numpy()[np.invert(good)].any()


def test_interpolated_channels_are_those_of_mne_and_count_in_the_average() -> None:
    batch = stored(TUH, BAD)
    out = Rereference({"m": TUH}, "average", "interpolate")(batch)
    for window, mask, uv, bad in zip(out["signal"], out["channel_mask"], recorded_uv(batch), BAD, strict=True):
        on_scalp = [name for name in bad if name not in ("A1", "A2")]
        whole = interpolated(TUH, uv, on_scalp) if on_scalp else uv
        scalp = np.array(TUH.is_scalp)
        real = np.array([name not in bad or name in on_scalp for name in TUH.channel_names])
        assert mask.tolist() == real.tolist(), "no spline reaches an ear"
        expected = whole - whole[scalp].mean(axis=0)
        np.testing.assert_allclose(window.numpy()[real], expected[real], atol=5e-3)
        assert not window.numpy()[~real].any()


@pytest.mark.parametrize("handling", HANDLINGS)
def test_a_net_against_cz_keeps_its_flat_cz(handling: BadChannels) -> None:
    batch = stored(NET, [["E5", "E77"], []])
    batch["samples"][..., -1] = 0
    uv = recorded_uv(batch)
    out = Rereference({"m": NET}, "average", handling)(batch)
    assert NET.channel_names[-1] == "Cz"
    assert out["channel_mask"][:, -1].all()
    whole = interpolated(NET, uv[0], ["E5", "E77"])
    kept = (
        np.ones(129, dtype=bool)
        if handling == "interpolate"
        else np.array([n not in ("E5", "E77") for n in NET.channel_names])
    )
    np.testing.assert_allclose(out["signal"][0, -1].numpy(), -whole[kept].mean(axis=0), atol=5e-3)


def test_a_reference_that_is_no_channel_counts_in_the_average() -> None:
    names = NET.channel_names[:-1]
    without = Montage(names, NET.positions_m[:-1], NET.is_scalp[:-1], "Cz")
    batch = stored(without, [["E5"], ["E6", "E7"]])
    out = Rereference({"m": without})(batch)
    for window, uv, bad in zip(out["signal"], recorded_uv(batch), (["E5"], ["E6", "E7"]), strict=True):
        good = np.array([name not in bad for name in names])
        np.testing.assert_allclose(
            window.numpy()[good], (uv - uv[good].sum(axis=0) / (good.sum() + 1))[good], atol=2e-3
        )


@pytest.mark.parametrize("handling", HANDLINGS)
def test_derivations_of_bad_electrodes(handling: BadChannels) -> None:
    bad = [["F8", "A1"], []]
    batch = stored(TUH, bad)
    rereference = Rereference({"m": TUH}, "tcp_bipolar", handling)
    out, names = rereference(batch), rereference.prepared(TUH).channel_names
    of_f8 = [name in ("FP2-F8", "F8-T4") for name in names]
    of_ear = [name == "A1-T3" for name in names]
    masked = np.array(of_ear) | (np.array(of_f8) if handling == "mask" else False)
    assert masked.sum() == (3 if handling == "mask" else 1)
    assert out["channel_mask"][0].tolist() == (~masked).tolist()
    assert out["channel_mask"][1].all()
    uv = recorded_uv(batch)
    for window, values in zip(out["signal"], (interpolated(TUH, uv[0], ["F8"]), uv[1]), strict=True):
        for k, name in enumerate(names):
            first, second = (_row(electrode) for electrode in name.split("-"))
            expected = values[first] - values[second]
            if window is out["signal"][1] or not masked[k]:
                np.testing.assert_allclose(window[k].numpy(), expected, atol=5e-3)
    assert not out["signal"][0][torch.from_numpy(masked)].any()


def _row(electrode: str) -> int:
    old = {"T3": "T7", "T4": "T8", "T5": "P7", "T6": "P8"}
    upper = [name.upper() for name in TUH.channel_names]
    return upper.index(old.get(electrode, electrode))


def test_as_recorded_masks_and_changes_nothing_else() -> None:
    batch = stored(TUH, BAD)
    out = Rereference({"m": TUH}, "as_recorded")(batch)
    expected = np.where(batch["is_bad"][:, :, None], 0.0, recorded_uv(batch))
    np.testing.assert_allclose(out["signal"].numpy(), expected, atol=1e-3)
    assert torch.equal(out["channel_mask"], torch.from_numpy(~batch["is_bad"]))


@pytest.mark.parametrize("reference", ["average", "as_recorded", "tcp_bipolar"])
@pytest.mark.parametrize("handling", HANDLINGS)
def test_what_bad_channels_hold_is_seen_nowhere(reference: NewReference, handling: BadChannels) -> None:
    batch = stored(TUH, BAD)
    other: StoredBatch = {**batch, "samples": batch["samples"].clone()}
    other["samples"][torch.from_numpy(batch["is_bad"]).unsqueeze(1).expand_as(other["samples"])] = 31_000
    rereference = Rereference({"m": TUH}, reference, handling)
    assert torch.equal(rereference(batch)["signal"], rereference(other)["signal"])


@pytest.mark.parametrize("handling", HANDLINGS)
def test_windows_with_nothing_bad_are_prepared_as_ever(handling: BadChannels) -> None:
    batch, rereference = stored(TUH, [[], []]), Rereference({"m": TUH}, "average", handling)
    out, expected = rereference(batch), Rereference({"m": TUH})(batch)
    assert "is_bad" not in batch
    assert torch.equal(out["signal"], expected["signal"])
    assert out["channel_mask"].stride() == (0, 0)
    beside: StoredBatch = {**batch, "is_bad": np.array([[k == 3 for k in range(21)], [False] * 21])}
    torch.testing.assert_close(rereference(beside)["signal"][1], expected["signal"][1], atol=1e-4, rtol=0)


@pytest.mark.parametrize("handling", HANDLINGS)
def test_splines_to_another_montage_start_from_good_channels(handling: BadChannels) -> None:
    """Behind ``mask``, as if the bad channels were not there; windows of one batch differ."""
    spec = SignalSpec(100.0, {"m": TUH}, {"m": 30})
    batch = stored(TUH, BAD)
    out = Interpolate(InterpolateConfig(montage="1010_64"), spec)(Rereference({"m": TUH}, "average", handling)(batch))
    assert out["channel_mask"].all()
    for k, bad in enumerate(BAD):
        left_out = bad if handling == "mask" else [name for name in bad if name.startswith("A")]
        kept = [c for c, name in enumerate(TUH.channel_names) if name not in left_out]
        columns = (TUH.channel_names, TUH.positions_m, TUH.is_scalp)
        less = Montage(*(tuple(column[c] for c in kept) for column in columns), "average")
        alone = Interpolate(InterpolateConfig(montage="1010_64"), SignalSpec(100.0, {"m": less}, {"m": 30}))
        window = Rereference({"m": TUH}, "average", handling)(stored_window(batch, k))
        few = {**window, "signal": window["signal"][:, kept], "channel_mask": window["channel_mask"][:, kept]}
        del few["known_mask"]
        torch.testing.assert_close(out["signal"][k : k + 1], alone(few)["signal"], atol=2e-3, rtol=1e-4)


def stored_window(batch: StoredBatch, k: int) -> StoredBatch:
    one: StoredBatch = {**batch, "is_bad": batch["is_bad"][k : k + 1]}
    one["samples"], one["scales_uv"] = batch["samples"][k : k + 1], batch["scales_uv"][k : k + 1]
    one["recording"] = batch["recording"][k : k + 1]
    return one


def test_nothing_left_is_refused_with_what_to_do() -> None:
    everything = list(TUH.channel_names)
    with pytest.raises(
        ConfigError, match=r"montage m: a recording has no good scalp electrode left; bad are Fp1.*leave"
    ):
        Rereference({"m": TUH})(stored(TUH, [["F8"], everything]))
    with pytest.raises(ConfigError, match="no good scalp electrode left"):
        Rereference({"m": TUH}, "as_recorded", "interpolate")(stored(TUH, [everything[:-2]]))
    pairless = [name for name in everything if name not in ("Fp1", "O2")]
    with pytest.raises(ConfigError, match=r"no channel left.*bad_channels: interpolate"):
        Rereference({"m": TUH}, "tcp_bipolar")(stored(TUH, [pairless]))
    assert Rereference({"m": TUH}, "as_recorded")(stored(TUH, [everything[:-2]]))["channel_mask"].sum() == 2

"""Scaling and re-referencing, against numpy in float64."""

import mne
import numpy as np
import pytest
import torch

from eegfm.batch import Pairs, SignalSpec, StoredBatch, channel_padding, padding_mask
from eegfm.errors import ConfigError
from eegfm.nn.rereference import Rereference, reference_matrix
from eegfm.recording import Montage, Reference
from eegfm.signal.montages.electrodes import resolve_channels
from eegfm.signal.montages.layouts import MODERN_NAMES
from tuh_tree import ELECTRODES, NINETEEN, TCP_NAMES

NAMES = ("Fz", "Cz", "Pz", "A1")


def montage(reference: Reference, names: tuple[str, ...] = NAMES) -> Montage:
    positions = tuple((0.01 * k, 0.02 * k, 0.03) for k in range(len(names)))
    return Montage(names, positions, tuple(not name.startswith("A") for name in names), reference)


def stored(name: str, samples: np.ndarray, scales_uv: np.ndarray) -> StoredBatch:
    return {
        "samples": torch.from_numpy(samples),
        "scales_uv": torch.from_numpy(scales_uv),
        "recording": torch.arange(len(samples)),
        "corpus": "tuh",
        "montage": name,
    }


@pytest.fixture
def samples() -> np.ndarray:
    return np.random.default_rng(0).integers(-30000, 30000, size=(3, 50, 4)).astype(np.int16)


@pytest.fixture
def scales_uv() -> np.ndarray:
    return np.random.default_rng(1).uniform(0.01, 0.05, size=(3, 4)).astype(np.float32)


def recorded_uv(samples: np.ndarray, scales_uv: np.ndarray) -> np.ndarray:
    return (samples.astype(np.float64) * scales_uv[:, None, :].astype(np.float64)).transpose(0, 2, 1)


def test_average_over_scalp_electrodes(samples: np.ndarray, scales_uv: np.ndarray) -> None:
    uv = recorded_uv(samples, scales_uv)
    expected = uv - uv[:, :3].mean(axis=1, keepdims=True)
    out = Rereference({"m": montage("linked_ears")})(stored("m", samples, scales_uv))
    np.testing.assert_allclose(out["signal"].numpy(), expected, atol=2e-3)
    assert out["signal"].dtype == torch.float32
    assert out["reference"] == "average"
    assert out["channel_mask"].all()
    np.testing.assert_allclose(out["channel_positions"][1].numpy(), montage("Cz").positions())


def test_flat_cz_comes_back_as_minus_the_mean(samples: np.ndarray, scales_uv: np.ndarray) -> None:
    samples[..., 1] = 0
    uv = recorded_uv(samples, scales_uv)
    out = Rereference({"m": montage("Cz")})(stored("m", samples, scales_uv))
    mean = (uv[:, 0] + uv[:, 2]) / 3
    np.testing.assert_allclose(out["signal"][:, 1].numpy(), -mean, atol=2e-3)
    np.testing.assert_allclose(out["signal"][:, 0].numpy(), uv[:, 0] - mean, atol=2e-3)


def test_cz_counts_even_where_the_file_lacks_it() -> None:
    with_cz = reference_matrix(montage("Cz", ("Fz", "Cz", "Pz")), "average")
    without = reference_matrix(montage("Cz", ("Fz", "Pz")), "average")
    values = torch.tensor([7.0, 0.0, -2.0])
    torch.testing.assert_close(without @ values[[0, 2]], (with_cz @ values)[[0, 2]])


def test_average_does_not_depend_on_the_reference() -> None:
    """Adding any common signal to every channel changes nothing."""
    matrix = reference_matrix(montage("linked_ears"), "average")
    torch.testing.assert_close(matrix @ torch.ones(4), torch.zeros(4))


def test_as_recorded(samples: np.ndarray, scales_uv: np.ndarray) -> None:
    out = Rereference({"m": montage("Cz")}, "as_recorded")(stored("m", samples, scales_uv))
    np.testing.assert_allclose(out["signal"].numpy(), recorded_uv(samples, scales_uv), atol=1e-3)
    assert out["reference"] == "Cz"


def test_each_montage_has_its_own_matrix(samples: np.ndarray, scales_uv: np.ndarray) -> None:
    rereference = Rereference({"b": montage("average"), "a": montage("Cz", ("Fz", "Cz"))})
    assert rereference(stored("b", samples, scales_uv))["signal"].shape == (3, 4, 50)
    assert rereference(stored("a", samples[..., :2], scales_uv[:, :2]))["signal"].shape == (3, 2, 50)
    with pytest.raises(ConfigError, match=r"montage c .*\['a', 'b'\]"):
        rereference(stored("c", samples, scales_uv))


def test_autocast_keeps_microvolts_exact(samples: np.ndarray, scales_uv: np.ndarray) -> None:
    rereference = Rereference({"m": montage("average")})
    batch = stored("m", samples, scales_uv)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(rereference(batch)["signal"], rereference(batch)["signal"].float())
        assert rereference(batch)["signal"].dtype == torch.float32


def test_labels_travel_and_nothing_is_saved(samples: np.ndarray, scales_uv: np.ndarray) -> None:
    rereference = Rereference({"m": montage("average")})
    batch = stored("m", samples, scales_uv)
    batch["targets"] = {"label": torch.tensor([1, 0, 1])}
    batch["person"] = torch.tensor([4, 4, 7])
    batch["pairs"] = Pairs(torch.tensor([2, 2, 3]), torch.tensor([0, 1, 2]), 5)
    out = rereference(batch)
    assert all(out[name] is batch[name] for name in ("targets", "person", "pairs"))
    assert not rereference.state_dict()
    assert not list(rereference.parameters())


def test_no_scalp_electrode_is_refused() -> None:
    with pytest.raises(ConfigError, match="no scalp electrode"):
        Rereference({"m": montage("average", ("A1", "A2"))})


TUH = resolve_channels([f"EEG {name}-REF" for name in ELECTRODES], "1005").montage


def test_derivations_equal_mne() -> None:
    rng = np.random.default_rng(0)
    integers = rng.integers(-30000, 30000, size=(2, 40, TUH.n_channels)).astype(np.int16)
    scales = rng.uniform(0.01, 0.05, size=(2, TUH.n_channels)).astype(np.float32)
    rereference = Rereference({"m": TUH}, "tcp_bipolar")
    out = rereference(stored("m", integers, scales))
    old = {new.upper(): old for old, new in MODERN_NAMES.items()}
    names = [old.get(name.upper(), name.upper()) for name in TUH.channel_names]
    for window, uv in zip(out["signal"], recorded_uv(integers, scales), strict=True):
        raw = mne.io.RawArray(uv, mne.create_info(names, 100.0, "eeg"), verbose="error")
        anodes, cathodes = zip(*[name.split("-") for name in TCP_NAMES], strict=True)
        derived = mne.set_bipolar_reference(raw, list(anodes), list(cathodes), TCP_NAMES, verbose="error")
        np.testing.assert_allclose(window.numpy(), derived.get_data(TCP_NAMES), atol=2e-3)
    assert out["reference"] == "tcp_bipolar"
    assert out["signal"].shape == (2, 22, 40)
    assert out["channel_mask"].shape == (2, 22)


def test_derivations_carry_the_places_of_both_electrodes() -> None:
    rereference = Rereference({"m": TUH}, "tcp_bipolar")
    out = rereference(stored("m", np.zeros((2, 5, 21), dtype=np.int16), np.ones((2, 21), dtype=np.float32)))
    middle, second = out["channel_positions"][1].numpy(), out["second_positions"][1].numpy()
    names = [name.upper() for name in TUH.channel_names]
    fp1, f7 = (TUH.positions()[names.index(name)] for name in ("FP1", "F7"))
    np.testing.assert_allclose(second[0], f7, atol=1e-6)
    np.testing.assert_allclose(2 * middle[0] - second[0], fp1, atol=1e-6)
    np.testing.assert_allclose(middle, rereference.prepared(TUH).positions())


def test_what_comes_out_is_announced() -> None:
    spec = SignalSpec(100.0, {"m": TUH}, {"m": 200})
    announced = Rereference(spec.montages, "tcp_bipolar").rereferenced_spec(spec)
    assert announced.montages["m"].channel_names == tuple(TCP_NAMES)
    assert (announced.rate_hz, announced.n_samples) == (100.0, {"m": 200})
    for reference in ("average", "as_recorded"):
        assert Rereference(spec.montages, reference).rereferenced_spec(spec) == spec


def test_a_recording_without_ears_has_twenty_derivations() -> None:
    montage = resolve_channels([f"EEG {name}-LE" for name in NINETEEN], "1005").montage
    rereference = Rereference({"m": montage}, "tcp_bipolar")
    integers = np.ones((1, 5, 19), dtype=np.int16)
    out = rereference(stored("m", integers, np.ones((1, 19), dtype=np.float32)))
    assert out["signal"].shape == (1, 20, 5)
    assert not out["signal"].any()


def test_a_net_has_no_derivation_of_tuh() -> None:
    net = resolve_channels([f"E{k + 1}" for k in range(128)], "gsn129").montage
    with pytest.raises(ConfigError, match=r"montage hbn has no pair of electrodes of the 22 TCP derivations.*average"):
        Rereference({"hbn": net}, "tcp_bipolar")


def test_windows_without_padding_are_known_to_have_none() -> None:
    out = Rereference({"m": TUH})(stored("m", np.zeros((2, 5, 21), dtype=np.int16), np.ones((2, 21), dtype=np.float32)))
    assert out["channel_mask"].stride() == (0, 0)
    assert padding_mask(out) is None
    del out["known_mask"]
    assert padding_mask(out) is None
    assert channel_padding(out) is None
    out["channel_mask"] = torch.ones(2, 21, dtype=torch.bool)
    assert padding_mask(out) is None
    out["channel_mask"][0, 3] = False
    assert padding_mask(out) is out["channel_mask"]
    assert np.array_equal(channel_padding(out), out["channel_mask"].numpy())


@pytest.mark.parametrize("handling", ["mask", "interpolate"])
def test_what_is_known_on_the_cpu_is_the_mask(handling: str) -> None:
    batch = stored("m", np.zeros((2, 5, 21), dtype=np.int16), np.ones((2, 21), dtype=np.float32))
    batch["is_bad"] = np.zeros((2, 21), dtype=bool)
    batch["is_bad"][1, 4] = True
    out = Rereference({"m": TUH}, bad_channels=handling)(batch)
    if handling == "interpolate":
        assert out["known_mask"] is None
        assert out["channel_mask"].stride() == (0, 0)
        return
    assert np.array_equal(out["known_mask"], ~batch["is_bad"])
    assert np.array_equal(out["known_mask"], out["channel_mask"].numpy())
    assert padding_mask(out) is out["channel_mask"]

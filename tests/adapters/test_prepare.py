"""Scaling and re-referencing, against numpy in float64."""

import numpy as np
import pytest
import torch

from eegfm.adapters.prepare import Prepare, reference_matrix
from eegfm.batch import StoredBatch
from eegfm.errors import ConfigError
from eegfm.recording import Montage, Reference

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
    out = Prepare({"m": montage("linked_ears")})(stored("m", samples, scales_uv))
    np.testing.assert_allclose(out["signal"].numpy(), expected, atol=2e-3)
    assert out["signal"].dtype == torch.float32
    assert out["reference"] == "average"
    assert out["channel_mask"].all()
    np.testing.assert_allclose(out["channel_positions"][1].numpy(), montage("Cz").positions())


def test_flat_cz_comes_back_as_minus_the_mean(samples: np.ndarray, scales_uv: np.ndarray) -> None:
    samples[..., 1] = 0
    uv = recorded_uv(samples, scales_uv)
    out = Prepare({"m": montage("Cz")})(stored("m", samples, scales_uv))
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
    out = Prepare({"m": montage("Cz")}, "as_recorded")(stored("m", samples, scales_uv))
    np.testing.assert_allclose(out["signal"].numpy(), recorded_uv(samples, scales_uv), atol=1e-3)
    assert out["reference"] == "Cz"


def test_each_montage_has_its_own_matrix(samples: np.ndarray, scales_uv: np.ndarray) -> None:
    prepare = Prepare({"b": montage("average"), "a": montage("Cz", ("Fz", "Cz"))})
    assert prepare(stored("b", samples, scales_uv))["signal"].shape == (3, 4, 50)
    assert prepare(stored("a", samples[..., :2], scales_uv[:, :2]))["signal"].shape == (3, 2, 50)
    with pytest.raises(ConfigError, match=r"montage c .*\['a', 'b'\]"):
        prepare(stored("c", samples, scales_uv))


def test_autocast_keeps_microvolts_exact(samples: np.ndarray, scales_uv: np.ndarray) -> None:
    prepare = Prepare({"m": montage("average")})
    batch = stored("m", samples, scales_uv)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(prepare(batch)["signal"], prepare(batch)["signal"].float())
        assert prepare(batch)["signal"].dtype == torch.float32


def test_labels_travel_and_nothing_is_saved(samples: np.ndarray, scales_uv: np.ndarray) -> None:
    prepare = Prepare({"m": montage("average")})
    batch = stored("m", samples, scales_uv)
    batch["label"] = torch.tensor([1, 0, 1])
    assert prepare(batch)["label"].tolist() == [1, 0, 1]
    assert not prepare.state_dict()
    assert not list(prepare.parameters())


def test_no_scalp_electrode_is_refused() -> None:
    with pytest.raises(ConfigError, match="no scalp electrode"):
        Prepare({"m": montage("average", ("A1", "A2"))})

"""Weights are loaded whole or not at all; what may differ is named, and nothing else."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from eegfm.errors import CheckpointError
from eegfm.nn.load_report import LoadExceptions, LoadReport
from eegfm.nn.weights import interpolated, load_weights

Arrays = dict[str, NDArray[np.generic]]


class Small(nn.Module):
    """A table of positions, a layer, and a buffer of integers."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(1, 5, 3))
        self.layer = nn.Linear(3, 2)
        self.register_buffer("count", torch.tensor([3]))


@pytest.fixture
def weights() -> Arrays:
    rng = np.random.default_rng(0)
    shapes = {"table": (1, 5, 3), "layer.weight": (2, 3), "layer.bias": (2,)}
    arrays: Arrays = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    return arrays | {"count": np.array([7])}


def load(weights: Arrays, module: nn.Module | None = None, **exceptions: object) -> LoadReport:
    return load_weights(module or Small(), weights, "", "thing", exceptions=LoadExceptions(**exceptions))


def refused(weights: Arrays, **exceptions: object) -> str:
    module = Small()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    with pytest.raises(CheckpointError) as caught:
        load(weights, module, **exceptions)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_all_match(weights: Arrays, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    module = Small()
    report = load(weights, module)
    assert report == LoadReport(matched=("count", "layer.bias", "layer.weight", "table"))
    assert report.summary == "4 of 4 weights matched"
    assert "Weights of the thing: 4 of 4 weights matched" in caplog.text
    for name, value in module.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), weights[name])


def test_missing_and_unexpected_are_named_five_at_most(weights: Arrays) -> None:
    del weights["layer.bias"]
    extra = {f"head.{k}": np.zeros(1, dtype=np.float32) for k in range(7)}
    assert refused(weights | extra).startswith(
        "weights do not fit the thing: 1 missing (layer.bias); "
        "7 unexpected (head.0, head.1, head.2, head.3, head.4, and 2 more); "
    )


def test_named_prefixes_may_differ_and_no_others(weights: Arrays) -> None:
    del weights["layer.bias"]
    module = Small()
    fresh = module.layer.bias.detach().clone()
    weights["head.weight"] = np.zeros(1, dtype=np.float32)
    report = load(weights, module, allow_missing=["layer.b"], allow_unexpected=["head."])
    assert (report.missing, report.unexpected) == (("layer.bias",), ("head.weight",))
    assert report.summary == "3 of 4 weights matched; 1 missing (layer.bias); 1 unexpected (head.weight)"
    assert torch.equal(module.layer.bias, fresh)
    assert "1 missing" in refused(weights, allow_unexpected=["head."])
    assert "1 unexpected" in refused(weights, allow_missing=["layer."])


def test_an_exception_that_nothing_needs_is_a_mistake(weights: Arrays) -> None:
    assert "allow_missing names what nothing needs (laier.)" in refused(weights, allow_missing=["laier."])
    assert "allow_unexpected names what nothing needs (head.)" in refused(weights, allow_unexpected=["head."])
    assert "resize names what nothing needs (table)" in refused(weights, resize={"table": 1})
    assert "resize names what nothing needs (nowhere)" in refused(weights, resize={"nowhere": 1})


def test_another_shape_or_type_is_refused(weights: Arrays) -> None:
    weights["layer.weight"] = np.zeros((3, 2), dtype=np.float32)
    weights["count"] = np.array([2.5], dtype=np.float32)
    text = refused(weights)
    assert "2 of another shape (count is (1,), needs (1,) int64, layer.weight is (3, 2), needs (2, 3))" in text
    assert "layer.weight is" in refused(weights, allow_missing=["layer"])


def test_half_precision_is_widened(weights: Arrays) -> None:
    module = Small()
    load(weights | {"layer.bias": np.array([0.5, 2.0], dtype=np.float16)}, module)
    assert module.layer.bias.tolist() == [0.5, 2.0]
    assert module.layer.bias.dtype == torch.float32


@pytest.mark.parametrize("length", [1, 2, 4, 9])
def test_tables_are_resized_only_when_asked(weights: Arrays, length: int) -> None:
    table = np.random.default_rng(1).normal(size=(1, length, 3)).astype(np.float32)
    assert f"table is (1, {length}, 3), needs (1, 5, 3)" in refused(weights | {"table": table})
    module = Small()
    report = load(weights | {"table": table}, module, resize={"table": 1})
    assert report.resized == (f"table from (1, {length}, 3) to (1, 5, 3)",)
    assert len(report.matched) == 3
    places = [(length - 1) * k / 4 for k in range(5)]
    expected = [np.interp(places, range(length), table[0, :, d].astype(float)) for d in range(3)]
    np.testing.assert_allclose(module.table.detach().numpy()[0].T, expected, atol=1e-6)


def test_only_the_named_axis_is_resized(weights: Arrays) -> None:
    for axis, shape in ((2, (1, 4, 3)), (1, (1, 4, 2)), (1, (4, 3))):
        assert "of another shape (table is" in refused(
            weights | {"table": np.zeros(shape, dtype=np.float32)}, resize={"table": axis}
        )


def test_the_ends_of_a_table_stay(weights: Arrays) -> None:
    table = np.arange(12, dtype=np.float32).reshape(4, 3)
    stretched = interpolated(table, 0, 7)
    np.testing.assert_array_equal(stretched[[0, -1]], table[[0, -1]])
    np.testing.assert_array_equal(stretched[::2], table)
    assert stretched.dtype == np.float32


def test_a_prefix_says_which_weights_belong_to_the_module(weights: Arrays) -> None:
    given = {f"encoder.{name}": value for name, value in weights.items()} | {"objective.x": np.zeros(1)}
    report = load_weights(Small(), given, "encoder.", "encoder")
    assert report.matched[0] == "encoder.count"
    assert not report.unexpected


def test_the_report_is_plain_data(weights: Arrays) -> None:
    report = load_weights(Small(), weights, "", "thing", left_out=["head.b", "head.a"])
    assert report.to_dict()["left_out"] == ["head.a", "head.b"]
    assert report.to_dict()["summary"] == "4 of 4 weights matched; 2 left out (head.a, head.b)"

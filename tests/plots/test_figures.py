"""The figures show the numbers they are given."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from eegfm.plots.figures import history_figure, reconstruction_figure


def test_history_draws_what_was_logged() -> None:
    columns = {"loss": [3.0, 2.0, 1.0], "val_loss": [np.nan, np.nan, 1.5], "r2_tuh": [0.0, 0.1, 0.2]}
    columns |= {"val_loss_tuh": columns["val_loss"], "baseline_loss": [3.0] * 3, "val_visible_mean_loss": [2.0] * 3}
    history = pd.DataFrame({"step": [1, 2, 3], **columns, "lr": [1e-3, 1e-3, 0]})
    traces = {trace.name: trace for trace in history_figure(history, ["a", "b"], ["b"]).data}
    assert set(traces) == {*columns, "lr"}
    assert (list(traces["val_loss"].x), list(traces["val_loss"].y)) == ([3], [1.5])
    assert [name for name in columns if traces[name].visible is True] == ["loss", "val_loss", "val_loss_tuh"]
    assert traces["r2_tuh"].visible == "legendonly"
    assert traces["lr"].yaxis == "y2"
    assert history_figure(history, ["hbn", "tuh"], ["tuh"]).layout.title.text == "hbn, tuh (SIMULATED)"
    assert history_figure(history, ["hbn"], []).layout.title.text == "hbn"


def reconstruction(n_channels: int = 8, *, spectrum: bool = True) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    mask = np.zeros((2, n_channels, 4), dtype=bool)
    mask[0, 0, [1, 3]] = True
    mask[0, n_channels - 1, 2] = True
    n_values = 50 if spectrum else 100
    target = rng.standard_normal((2, n_channels, 4, n_values))
    return {
        "signal_uv": rng.standard_normal((2, n_channels, 400)) * 10,
        "mask": mask,
        "target": target,
        "prediction": target / 2,
        "frequencies_hz": np.arange(50) if spectrum else np.array([]),
        "unit": "log power",
        "channel_names": [f"E{k}" for k in range(n_channels)],
        "rate_hz": 100.0,
        "patch_samples": 100,
    }


def test_reconstruction_shades_the_masked_patches() -> None:
    figure = reconstruction_figure({"hbn": reconstruction(), "real": reconstruction()}, ["hbn"])
    titles = [a.text for a in figure.layout.annotations]
    assert titles[0] == "hbn (SIMULATED): signal, masked patches shaded"
    assert titles[2] == "real: signal, masked patches shaded"
    first = [s for s in figure.layout.shapes if s.xref == "x"]
    assert sorted((s.x0, s.x1) for s in first) == [(1.0, 2.0), (2.0, 3.0), (3.0, 4.0)]
    signals = [t for t in figure.data if t.xaxis == "x"]
    assert len(signals) == 6
    assert [len(t.y) for t in signals] == [400] * 6
    # A shaded patch is centred on the trace it belongs to: the first and the last of the six shown.
    shown = [0, 1, 2, 4, 5, 7]
    step_uv = 6 * reconstruction()["signal_uv"][0][shown].std()
    centres = sorted({round((s.y0 + s.y1) / 2, 6) for s in first})
    assert centres == pytest.approx([-5 * step_uv, 0.0], abs=1e-4)


def test_reconstruction_of_spectra_is_the_mean_over_masked_patches() -> None:
    item = reconstruction()
    target, predicted = (t for t in reconstruction_figure({"a": item}, []).data if t.xaxis == "x2")
    expected = np.stack([item["target"][0, 0, 1], item["target"][0, 0, 3], item["target"][0, 7, 2]]).mean(axis=0)
    np.testing.assert_allclose(target.y, expected)
    np.testing.assert_allclose(predicted.y, expected / 2)
    assert (target.name, predicted.name) == ("target", "prediction")


def test_reconstruction_of_samples_is_the_first_masked_patch() -> None:
    item = reconstruction(n_channels=3, spectrum=False)
    target = next(t for t in reconstruction_figure({"a": item}, []).data if t.xaxis == "x2")
    np.testing.assert_allclose(target.y, item["target"][0, 0, 1])
    np.testing.assert_allclose(target.x, np.arange(100) / 100)

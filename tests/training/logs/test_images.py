"""Pixels of reconstructed windows."""

from typing import Any

import numpy as np
import pytest

from eegfm.training.logs.images import reconstruction_image, shown_channels

C, P, K = 6, 4, 50


def item(*, spectrum: bool, masked: bool = True, names: list[str] | None = None) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    signal = rng.standard_normal((2, C, P * K))
    mask = np.zeros((2, C, P), dtype=bool)
    mask[:, :, 1] = masked
    target = rng.standard_normal((2, C, P, K)) if spectrum else signal.reshape(2, C, P, K)
    return {
        "signal_uv": signal,
        "mask": mask,
        "target": target,
        "prediction": 0.5 * target,
        "frequencies_hz": [float(k) for k in range(1, K + 1)] if spectrum else [],
        "unit": "uV",
        "channel_names": names or [f"E{k}" for k in range(C)],
        "rate_hz": float(K),
        "patch_samples": K,
    }


def share_of(image: np.ndarray[Any, Any], rgb: tuple[int, int, int]) -> float:
    return float((np.abs(image.astype(int) - rgb) <= 6).all(axis=-1).mean())


@pytest.mark.parametrize("spectrum", [True, False])
def test_images_are_red_green_and_blue(spectrum: bool) -> None:
    image = reconstruction_image(item(spectrum=spectrum))
    assert image.dtype == np.uint8
    assert image.ndim == 3
    assert image.shape[2] == 3
    assert image.shape[0] > 200
    assert image.shape[1] > 900


def test_masked_spans_are_shaded_and_both_curves_drawn() -> None:
    shade = (217, 217, 217)
    image = reconstruction_image(item(spectrum=False))
    plain = reconstruction_image(item(spectrum=False, masked=False))
    # A quarter of the axes, most of it not under a curve.
    assert 0.05 < share_of(image, shade) < 0.25
    assert share_of(plain, shade) < 0.02
    is_red = (plain[..., 0].astype(int) - plain[..., 1]) > 60
    assert 0.01 < is_red.mean() < 0.2
    assert 0.01 < (plain < 60).all(axis=-1).mean() < 0.3, "black"
    shaded = (np.abs(image.astype(int) - shade) <= 6).all(axis=-1).mean(axis=0)
    columns = np.flatnonzero(shaded > 0.1)
    first, last = 0.08 * image.shape[1], 0.99 * image.shape[1]
    assert (columns.min() - first) / (last - first) == pytest.approx(0.25, abs=0.01)
    assert (columns.max() - first) / (last - first) == pytest.approx(0.5, abs=0.01)


def test_the_mask_of_spectra_is_a_map_of_its_own() -> None:
    black = (0, 0, 0)
    masked, plain = (share_of(reconstruction_image(item(spectrum=True, masked=m)), black) for m in (True, False))
    assert 0.03 < masked - plain < 0.1, "a quarter of a third of the image"


def test_maps_have_low_frequencies_at_the_bottom(monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.axes import Axes

    drawn: list[np.ndarray[Any, Any]] = []
    asked = Axes.imshow

    def imshow(axis: Axes, values: np.ndarray[Any, Any], **how: Any) -> Any:
        drawn.append(np.asarray(values))
        return asked(axis, values, **how)

    monkeypatch.setattr(Axes, "imshow", imshow)
    of = item(spectrum=True)
    reconstruction_image(of)
    original, reconstruction, mask = drawn
    rows = [(window, channel) for window in (0, 1) for channel in shown_channels(of, window)]
    assert rows == [(0, 0), (0, 2), (0, 5), (1, 0), (1, 2), (1, 5)]
    for place, (window, channel) in enumerate(rows):
        for k in range(K):
            np.testing.assert_array_equal(original[place * K + K - 1 - k], of["target"][window, channel, :, k])
    np.testing.assert_array_equal(reconstruction, original / 2)
    np.testing.assert_array_equal(mask, np.tile([False, True, False, False], (len(rows), 1)))


def test_names_of_channels_are_no_formulas() -> None:
    image = reconstruction_image(item(spectrum=False, names=["$x", "a$b$", "\x1b[0m", "µ", "e", "$\\bad$"]))
    assert image.size


def test_channels_of_zeros_are_not_shown() -> None:
    signal = np.ones((2, 7, 10))
    signal[0, [0, 3]] = 0
    assert shown_channels({"signal_uv": signal}, 0) == [1, 4, 6]
    assert shown_channels({"signal_uv": signal}, 1) == [0, 3, 6]
    assert shown_channels({"signal_uv": np.zeros((1, 2, 10))}, 0) == [0, 1]


def test_nothing_is_left_in_pyplot() -> None:
    import sys

    reconstruction_image(item(spectrum=True))
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or not pyplot.get_fignums()

"""Images of reconstructed windows: samples as curves, spectra as maps of time and frequency. P patches, K values."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from eegfm.printable import printable

_N_CHANNELS_SHOWN = 3
_WIDTH_INCHES, _ROW_INCHES, _DPI = 12.0, 0.6, 80
_SHADE, _BORDER, _ORIGINAL, _RECONSTRUCTION = "0.85", "0.5", "black", "crimson"


def reconstruction_image(item: Mapping[str, Any]) -> NDArray[np.uint8]:
    """Draw reconstructed windows below each other, a few channels of each.

    Samples: original in black, reconstruction in red, masked spans shaded. Spectra: original, reconstruction and mask
    side by side, each channel with its frequencies upwards.

    Args:
        item: One corpus's part of ``eegfm.training.logs.reconstructions.reconstructed``.

    Returns:
        (H, W, 3) red, green and blue.
    """
    rows = [(window, channel) for window in range(len(item["mask"])) for channel in shown_channels(item, window)]
    # No pyplot, which keeps every figure and chooses a backend for the whole program. One axis for all windows and no
    # layout by trial: both are slow.
    figure = Figure(figsize=(_WIDTH_INCHES, _ROW_INCHES * len(rows) + 0.8), dpi=_DPI)
    canvas = FigureCanvasAgg(figure)
    draw, n_columns = (_draw_maps, 3) if len(item["frequencies_hz"]) else (_draw_curves, 1)
    figure.subplots_adjust(left=0.08, right=0.99, bottom=0.07, top=0.95, wspace=0.08)
    axes = figure.subplots(1, n_columns, squeeze=False, sharey=True)[0]
    draw(axes, item, rows)
    axes[0].set_yticks(range(len(rows)), [_label(item, *row) for row in rows], fontsize=8)
    for axis in axes:
        axis.set_xlim(0, item["mask"].shape[2] * item["patch_samples"] / item["rate_hz"])
        axis.set_ylim(len(rows) - 0.5, -0.5)
        axis.set_xlabel("s")
        for place in range(1, len(rows)):
            if rows[place][0] != rows[place - 1][0]:
                axis.axhline(place - 0.5, color=_BORDER, lw=2)
    canvas.draw()  # type: ignore[no-untyped-call]  # matplotlib's canvas has no types
    pixels = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]  # the same
    return pixels[..., :3].copy()


def shown_channels(item: Mapping[str, Any], window: int) -> list[int]:
    """Return some channels of a window, spread evenly; padding and bad channels hold zeros and are left out."""
    signal_uv = np.asarray(item["signal_uv"][window])
    seen = np.flatnonzero(signal_uv.any(axis=1)) if signal_uv.any() else np.arange(len(signal_uv))
    places = np.linspace(0, len(seen) - 1, min(len(seen), _N_CHANNELS_SHOWN)).round().astype(int)
    return [int(channel) for channel in seen[places]]


def _draw_curves(axes: Sequence[Axes], item: Mapping[str, Any], rows: Sequence[tuple[int, int]]) -> None:
    """Draw original over reconstruction, with masked spans shaded."""
    (axis,) = axes
    target, predicted = (_of_rows(item[name], rows) for name in ("target", "prediction"))
    step = 6 * float(target.std()) or 1.0
    patch_s = item["patch_samples"] / item["rate_hz"]
    time_s = np.arange(target[0].size) / item["rate_hz"]
    for place, row in enumerate(rows):
        spans = [(patch * patch_s, patch_s) for patch in np.flatnonzero(item["mask"][row])]
        axis.broken_barh(spans, (place - 0.5, 1.0), facecolor=_SHADE, lw=0)
        axis.plot(time_s, place - predicted[place].ravel() / step, color=_RECONSTRUCTION, lw=1.0)
        axis.plot(time_s, place - target[place].ravel() / step, color=_ORIGINAL, lw=0.6)
    axis.set_title(f"original (black) and reconstruction (red), {step:.3g} {item['unit']} between lines", fontsize=9)


def _draw_maps(axes: Sequence[Axes], item: Mapping[str, Any], rows: Sequence[tuple[int, int]]) -> None:
    """Draw maps of time and frequency: original, reconstruction, mask."""
    target, predicted = (_of_rows(item[name], rows) for name in ("target", "prediction"))
    mask = _of_rows(item["mask"], rows)[..., None]
    low, high = (float(v) for v in np.quantile(target, (0.01, 0.99)))
    end_s = mask.shape[1] * item["patch_samples"] / item["rate_hz"]
    extent = (0.0, end_s, len(rows) - 0.5, -0.5)
    frequencies = f"{item['frequencies_hz'][0]:g} to {item['frequencies_hz'][-1]:g} Hz"
    scale: dict[str, Any] = {"vmin": low, "vmax": high, "cmap": "viridis"}
    maps = (
        (f"original, {frequencies}, {item['unit']}", target, scale),
        (f"reconstruction, {low:.3g} to {high:.3g}", predicted, scale),
        ("masked", mask, {"vmin": 0, "vmax": 1, "cmap": "gray_r"}),
    )
    for axis, (title, values, how) in zip(axes, maps, strict=True):
        axis.imshow(_stacked(values), aspect="auto", interpolation="nearest", extent=extent, **how)
        for place in range(1, len(rows)):
            axis.axhline(place - 0.5, color="white", lw=0.8)
        axis.set_title(title, fontsize=9)


def _of_rows(values: NDArray[Any], rows: Sequence[tuple[int, int]]) -> NDArray[Any]:
    """(rows, P, K) values of some channels of some windows."""
    windows, channels = zip(*rows, strict=True)
    return np.asarray(values)[list(windows), list(channels)]


def _stacked(values: NDArray[Any]) -> NDArray[Any]:
    """(rows, P, K) as one map (rows * K, P), the lowest frequency of a channel at its bottom."""
    n_rows, P, K = values.shape
    stacked: NDArray[Any] = values[..., ::-1].transpose(0, 2, 1).reshape(n_rows * K, P)
    return stacked


def _label(item: Mapping[str, Any], window: int, channel: int) -> str:
    """Number of the window and name of the channel; a dollar sign would begin a formula."""
    name = printable(item["channel_names"][channel]).replace("$", r"\$")
    return f"{window + 1}: {name}"

"""Images of reconstructed windows: samples as curves, spectra as maps of time and frequency. P patches, K values."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from eegfm.printable import printable

_N_CHANNELS_SHOWN = 4
_WIDTH_INCHES, _ROW_INCHES, _DPI = 12.0, 2.0, 80
_SHADE, _ORIGINAL, _RECONSTRUCTION = "0.85", "black", "crimson"


def reconstruction_image(item: Mapping[str, Any]) -> NDArray[np.uint8]:
    """Draw reconstructed windows, one per row.

    Samples: original in black, reconstruction in red over it, masked spans shaded. Spectra: original, reconstruction
    and mask side by side, channels above each other, each with its frequencies upwards.

    Args:
        item: One corpus's part of ``eegfm.training.logs.reconstructions.reconstructed``.

    Returns:
        (H, W, 3) red, green and blue.
    """
    n_windows = len(item["mask"])
    draw, n_columns = (_draw_maps, 3) if len(item["frequencies_hz"]) else (_draw_curves, 1)
    # No pyplot: it would keep every figure, and choose a backend for the whole program.
    figure = Figure(figsize=(_WIDTH_INCHES, _ROW_INCHES * n_windows + 0.5), dpi=_DPI, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(n_windows, n_columns, squeeze=False, sharex=True)
    for window, row in enumerate(axes):
        draw(row, item, window)
    for axis in axes[-1]:
        axis.set_xlabel("s")
    canvas.draw()  # type: ignore[no-untyped-call]
    pixels = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    return pixels[..., :3].copy()


def shown_channels(signal_uv: NDArray[np.floating[Any]]) -> list[int]:
    """Some of a window's (C, T) channels, spread evenly; padding and bad channels hold zeros and are left out."""
    seen = np.flatnonzero(signal_uv.any(axis=1)) if signal_uv.any() else np.arange(len(signal_uv))
    places = np.linspace(0, len(seen) - 1, min(len(seen), _N_CHANNELS_SHOWN)).round().astype(int)
    return [int(channel) for channel in seen[places]]


def _draw_curves(axes: Sequence[Axes], item: Mapping[str, Any], window: int) -> None:
    """Draw original over reconstruction, with masked spans shaded."""
    (axis,) = axes
    channels = shown_channels(item["signal_uv"][window])
    target, predicted = (_joined(item[name][window, channels]) for name in ("target", "prediction"))
    step = 6 * float(target.std()) or 1.0
    time_s, patch_s = np.arange(target.shape[1]) / item["rate_hz"], item["patch_samples"] / item["rate_hz"]
    for place, channel in enumerate(channels):
        middle = -place * step
        for patch in np.flatnonzero(item["mask"][window, channel]):
            low, high = place + 0.5, place - 0.5
            axis.fill_between([patch * patch_s, (patch + 1) * patch_s], -low * step, -high * step, color=_SHADE, lw=0)
        axis.plot(time_s, predicted[place] + middle, color=_RECONSTRUCTION, lw=0.8)
        axis.plot(time_s, target[place] + middle, color=_ORIGINAL, lw=0.6)
    axis.set_yticks([-place * step for place in range(len(channels))], _names(item, channels))
    axis.set_xlim(0, target.shape[1] / item["rate_hz"])
    axis.set_ylim(-(len(channels) - 0.5) * step, 0.5 * step)
    axis.set_title(f"original (black) and reconstruction (red), {step:.3g} {item['unit']} between lines", fontsize=8)


def _draw_maps(axes: Sequence[Axes], item: Mapping[str, Any], window: int) -> None:
    """Draw maps of time and frequency: original, reconstruction, mask."""
    channels = shown_channels(item["signal_uv"][window])
    target, predicted = (_stacked(item[name][window, channels]) for name in ("target", "prediction"))
    n_values = len(item["frequencies_hz"])
    mask = _stacked(np.repeat(item["mask"][window, channels][..., None], n_values, axis=-1))
    low, high = (float(v) for v in np.quantile(target, (0.01, 0.99)))
    end_s = mask.shape[1] * item["patch_samples"] / item["rate_hz"]
    extent = (0.0, end_s, float(len(channels)), 0.0)
    scale: dict[str, Any] = {"vmin": low, "vmax": high, "cmap": "viridis"}
    maps = (("original", target, scale), ("reconstruction", predicted, scale), ("masked", mask, {"cmap": "gray_r"}))
    frequencies = f"{item['frequencies_hz'][0]:g}-{item['frequencies_hz'][-1]:g} Hz"
    for axis, (title, values, how) in zip(axes, maps, strict=True):
        axis.imshow(values, aspect="auto", interpolation="nearest", extent=extent, **how)
        axis.set_yticks(np.arange(len(channels)) + 0.5, _names(item, channels))
        for edge in range(1, len(channels)):
            axis.axhline(edge, color="white", lw=1)
        axis.set_title(title if title == "masked" else f"{title}, {frequencies}, {item['unit']}", fontsize=8)


def _joined(patches: NDArray[Any]) -> NDArray[Any]:
    """(C, P, K) samples of patches as (C, P * K)."""
    return patches.reshape(len(patches), -1)


def _stacked(values: NDArray[Any]) -> NDArray[Any]:
    """(C, P, K) as one map (C * K, P), the lowest frequency of a channel at its bottom."""
    C, P, K = values.shape
    stacked: NDArray[Any] = values[..., ::-1].transpose(0, 2, 1).reshape(C * K, P)
    return stacked


def _names(item: Mapping[str, Any], channels: Sequence[int]) -> list[str]:
    """Names of channels; a dollar sign would begin a formula."""
    return [printable(item["channel_names"][channel]).replace("$", r"\$") for channel in channels]

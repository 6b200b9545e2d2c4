"""Plotly figures of a run, for the catalog, kedro viz and the report."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

_N_CHANNELS_SHOWN = 6
_SHADE = "rgba(120,120,120,0.25)"
_COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf")


def history_figure(history: pd.DataFrame, corpora: Sequence[str], simulated: Sequence[str]) -> go.Figure:
    """Losses and learning rate by step, from the columns of the history table. The title names the corpora."""
    figure = make_subplots(specs=[[{"secondary_y": True}]])

    def is_loss(name: str) -> bool:
        return name.removeprefix("val_").split("_")[0] == "loss"

    for name in history.columns.drop(["step", "lr"]):
        rows = history.dropna(subset=[name])
        figure.add_scatter(
            x=rows["step"], y=rows[name], name=name, mode="lines", visible=True if is_loss(name) else "legendonly"
        )
    figure.add_scatter(x=history["step"], y=history["lr"], name="lr", line={"dash": "dot"}, secondary_y=True)
    figure.update_layout(template="plotly_white", height=420, xaxis_title="optimizer step", yaxis_title="loss")
    figure.update_layout(legend={"x": 1.08})  # clear of the second axis
    figure.update_layout(title=", ".join(_labelled(corpus, simulated) for corpus in corpora))
    figure.update_yaxes(title_text="learning rate", secondary_y=True, showgrid=False, tickformat=".1e")
    return figure


def reconstruction_figure(reconstructions: Mapping[str, Mapping[str, Any]], simulated: Sequence[str]) -> go.Figure:
    """One window per corpus: the signal with its masked spans shaded, and the prediction for one masked span."""
    titles = []
    for corpus in reconstructions:
        label = _labelled(corpus, simulated)
        titles += [f"{label}: signal, masked patches shaded", f"{label}: target and prediction"]
    figure = make_subplots(
        rows=max(len(reconstructions), 1), cols=2, column_widths=[0.65, 0.35], subplot_titles=titles or None
    )
    shades: list[dict[str, Any]] = []
    for row, item in enumerate(reconstructions.values(), start=1):
        shades += _draw_signal(figure, row, item)
        _draw_prediction(figure, row, item, show_legend=row == 1)
    # All at once: plotly copies every shape that is there when one is added.
    figure.update_layout(shapes=shades)
    figure.update_layout(template="plotly_white", height=420 * max(len(reconstructions), 1))
    return figure


def spectrum_figure(spectrum: pd.DataFrame, corpus: str, *, simulated: bool) -> go.Figure:
    """Median and middle four fifths of a corpus's power spectral densities, one colour per montage."""
    figure = go.Figure()
    for number, (montage, group) in enumerate(spectrum.groupby("montage")):
        colour = _COLOURS[number % len(_COLOURS)]
        shown = group[group["frequency_hz"] > 0]
        x, common = shown["frequency_hz"], {"legendgroup": str(montage), "line": {"color": colour}}
        figure.add_scatter(x=x, y=shown["p90"], mode="lines", line={"width": 0}, showlegend=False, hoverinfo="skip")
        figure.add_scatter(
            x=x, y=shown["p10"], mode="lines", line={"width": 0}, fill="tonexty", fillcolor=_faint(colour),
            showlegend=False, hoverinfo="skip",
        )  # fmt: skip
        name = f"{montage} ({int(shown['n_recordings'].iloc[0])} recordings)"
        figure.add_scatter(x=x, y=shown["median"], mode="lines", name=name, **common)
    title = f"{_labelled(corpus, [corpus] if simulated else [])}: median and middle 80 % over recordings and channels"
    figure.update_layout(title=title, template="plotly_white", height=420, xaxis_title="frequency (Hz)")
    figure.update_yaxes(title_text="power spectral density (µV²/Hz)", type="log")
    return figure


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[k : k + 2], 16) for k in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.15)"


def _labelled(corpus: str, simulated: Sequence[str]) -> str:
    return f"{corpus} (SIMULATED)" if corpus in simulated else corpus


def _shown_channels(n_channels: int) -> list[int]:
    return sorted({int(k) for k in np.linspace(0, n_channels - 1, min(n_channels, _N_CHANNELS_SHOWN))})


def _draw_signal(figure: go.Figure, row: int, item: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Draw the channels of a window, and return the shapes that shade their masked patches."""
    signal_uv, mask = np.asarray(item["signal_uv"][0]), np.asarray(item["mask"][0])
    patch_s = item["patch_samples"] / item["rate_hz"]
    # Padding and bad channels hold zeros, so they are not shown.
    seen = np.flatnonzero(signal_uv.any(axis=1)) if signal_uv.any() else np.arange(len(signal_uv))
    channels = seen[_shown_channels(len(seen))].tolist()
    step_uv = 6 * float(signal_uv[channels].std()) or 1.0
    time_s = np.arange(signal_uv.shape[1]) / item["rate_hz"]
    shades = []
    for place, channel in enumerate(channels):
        figure.add_scatter(
            x=time_s, y=signal_uv[channel] - place * step_uv, mode="lines", line={"color": "black", "width": 0.8},
            showlegend=False, row=row, col=1,
        )  # fmt: skip
        axes = {"xref": figure.data[-1].xaxis, "yref": figure.data[-1].yaxis}
        for patch in np.flatnonzero(mask[channel]):
            shades.append({
                "type": "rect", "x0": patch * patch_s, "x1": (patch + 1) * patch_s, "line": {"width": 0}, **axes,
                "y0": -(place + 0.45) * step_uv, "y1": -(place - 0.45) * step_uv, "fillcolor": _SHADE,
            })  # fmt: skip
    figure.update_yaxes(
        tickvals=[-k * step_uv for k in range(len(channels))],
        ticktext=[item["channel_names"][c] for c in channels], row=row, col=1,
    )  # fmt: skip
    figure.update_xaxes(title_text=f"s ({step_uv:.0f} µV between lines)", row=row, col=1)
    return shades


def _draw_prediction(figure: go.Figure, row: int, item: Mapping[str, Any], *, show_legend: bool) -> None:
    """Mean over the masked patches of the window for spectra, the first masked patch for samples."""
    mask = np.asarray(item["mask"][0])
    target, predicted = np.asarray(item["target"][0])[mask], np.asarray(item["prediction"][0])[mask]
    if len(item["frequencies_hz"]):
        x, axis = np.asarray(item["frequencies_hz"]), "Hz"
        target, predicted = target.mean(axis=0), predicted.mean(axis=0)
    else:
        x, axis = np.arange(item["patch_samples"]) / item["rate_hz"], "s"
        target, predicted = target[0], predicted[0]
    for values, name, color in ((target, "target", "black"), (predicted, "prediction", "crimson")):
        figure.add_scatter(
            x=x, y=values, name=name, mode="lines", line={"color": color}, legendgroup=name,
            showlegend=show_legend, row=row, col=2,
        )  # fmt: skip
    figure.update_xaxes(title_text=axis, row=row, col=2)
    figure.update_yaxes(title_text=item["unit"], row=row, col=2)

"""Catalog dataset of the signal store."""

import base64
import io
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset, DatasetError
from kedro_datasets._typing import ImagePreview

from eegfm.store.layout import read_facts
from eegfm.store.reader import SignalStore

_PREVIEW_S = 4.0
_PREVIEW_CHANNELS = 16


class SignalStoreDataset(AbstractDataset[SignalStore, SignalStore]):
    """A handle on the store in a folder. The writer commits recording by recording; saving only checks.

    Args:
        path: The store's folder.
        metadata: Kedro's free metadata.
    """

    def __init__(self, *, path: str, metadata: dict[str, Any] | None = None) -> None:
        self._path = Path(path)
        self.metadata = metadata

    def load(self) -> SignalStore:
        """A handle; nothing is read yet but the store's version."""
        read_facts(self._path)
        return SignalStore(self._path)

    def save(self, data: SignalStore) -> None:
        """Take note that the store was written."""
        if data.folder != self._path:
            raise DatasetError(f"node wrote the store {data.folder}, the catalog names {self._path}")

    def preview(self) -> ImagePreview:
        """Four seconds of the first recording, for kedro viz."""
        from matplotlib.figure import Figure

        store = SignalStore(self._path)
        entry = store.entries[0]
        names = store.montages[entry.montage].channel_names
        signal_uv = store.recording(entry.recording_id)[: int(_PREVIEW_S * store.rate_hz), :_PREVIEW_CHANNELS]
        figure = Figure(figsize=(8, 5), layout="constrained")
        axes = figure.add_subplot()
        step_uv = 6 * float(signal_uv.std()) or 1.0
        for k in range(signal_uv.shape[1]):
            axes.plot(signal_uv[:, k] - k * step_uv, color="black", linewidth=0.6)
        axes.set_yticks([-k * step_uv for k in range(signal_uv.shape[1])], names[: signal_uv.shape[1]])
        origin = "SIMULATED, " if store.is_simulated else ""
        axes.set(
            title=f"{origin}{entry.recording_id}, {store.rate_hz:g} Hz, {step_uv:.0f} µV between lines", xlabel="sample"
        )
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=80)
        return ImagePreview(base64.b64encode(buffer.getvalue()).decode())

    def identity(self) -> str | None:
        """Hash of the whole store; None if there is no store."""
        return SignalStore(self._path).identity if self._exists() else None

    def identity_of(self, data: SignalStore) -> str:
        """The same of a handle."""
        return data.identity

    def _exists(self) -> bool:
        return (self._path / "store.json").is_file()

    def _describe(self) -> dict[str, Any]:
        return {"path": str(self._path)}

"""TUAR: types of artifacts in a window."""

from dataclasses import replace
from typing import Annotated, ClassVar, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from eegfm.targets import TargetSpec
from eegfm.windows.cutters.base import PublishedClassesCut, Seconds
from eegfm.windows.intervals import covered, grid, select
from eegfm.windows.runs import Runs, SampleGrid
from eegfm.windows.tuh import DERIVATIONS, Annotations, TuhCut, annotations, lacks_derivation

ARTIFACTS = ("eyem", "chew", "shiv", "musc", "elec")
"""In the order in which pairs name them: ``eyem_musc``, never ``musc_eyem``."""
_PAIRS = [f"{a}_{b}" for n, a in enumerate(ARTIFACTS) for b in ARTIFACTS[n + 1 :]]
MEMBERS = {name: tuple(name.split("_")) for name in (*ARTIFACTS, *_PAIRS)} | {"elpp": ("elec",)}
"""By label, the elementary artifacts that it stands for; ``elpp`` is an older name of electrode artifacts."""
NONE = "none"
_NUMBERS = {label: tuple(ARTIFACTS.index(m) for m in members) for label, members in MEMBERS.items()}
_ANY: dict[str, tuple[int, ...]] = dict.fromkeys(MEMBERS, (0,))


class TuarTask(PublishedClassesCut, TuhCut):
    """Windows at a fixed stride, labelled with the artifacts that cover enough of them.

    An artifact is present where its annotations, overlaps counted once, cover at least ``min_overlap_ratio`` of the
    window's samples. Events of several rows add up: three artifacts of 0.5 s make 30 % of 5 s. A pair such as
    ``eyem_musc`` counts for both.

    BioFoundation differs in three points: seizures that are marked count as artifacts in its binary task; the time
    without a mark competes for the class of a derivation, so that an artifact of 40 % loses against it, while here the
    largest of the artifacts that are present wins; and recordings without annotations are clean, while here they are
    left out.

    Attributes:
        mode: ``bc`` (binary): any artifact on any derivation, or none. ``mc``: yes or no for each of the 22 TCP
            derivations, NaN where the montage has none. ``mcc``: the artifact of the window, of the five elementary
            ones; windows without an artifact are left out and counted. ``mmc``: one class for each of the 22
            derivations, NaN as for ``mc``. ``ml``: yes or no for each of the five artifacts on any derivation. Where
            ``mcc`` and ``mmc`` must choose, the artifact that covers most wins, and of two that cover as much the
            first of the five, which for a pair is the one named first. ``bc``, ``mc`` and ``mmc`` are BioFoundation's
            ``Binary``, ``MultiBinary`` and ``MultiLabel``.
        min_overlap_ratio: Share of a window that an artifact must cover; 0.3 in BioFoundation.
        length_s: Window length; 5 s in BioFoundation.
        stride_s: From one window to the next; the window length by default.
    """

    citation: ClassVar[str] = (
        "Buckwalter et al. 2021, Recent advances in the TUH EEG corpus (TUAR v3.0.1), doi "
        "10.1109/SPMB52430.2021.9672302; 30 % rule: BioFoundation (FEMBA, LUNA), make_datasets/process_raw_eeg.py"
    )

    name: Literal["tuar"] = "tuar"
    mode: Literal["bc", "mc", "mcc", "mmc", "ml"] = "bc"
    min_overlap_ratio: Annotated[float, Field(gt=0, le=1)] = 0.3
    length_s: Seconds = 5.0
    stride_s: Seconds | None = None

    @property
    def published(self) -> TargetSpec:
        """Artifact or none, yes or no per derivation or per artifact, or the class of the window or derivation."""
        return {
            "bc": TargetSpec("binary", (NONE, "artifact")),
            "mc": TargetSpec("multilabel", outputs=DERIVATIONS),
            "mcc": TargetSpec("multiclass", ARTIFACTS),
            "mmc": TargetSpec("multioutput", (NONE, *ARTIFACTS), DERIVATIONS),
            "ml": TargetSpec("multilabel", outputs=ARTIFACTS),
        }[self.mode]

    def find_in(self, recordings: pd.DataFrame, events: pd.DataFrame, sample_grid: SampleGrid) -> Runs:
        """Fill the annotated recordings; see the base class."""
        found = annotations(recordings, events, ("csv",), sample_grid)
        runs = grid(found.recordings, sample_grid, self.length_s, self.stride_s or self.length_s)
        counted = {
            **found.counted,
            "n_events_of_other_labels": found.n_of_other_labels(tuple(MEMBERS)),
            "n_recordings_without_window": len(found.recordings) - len(np.unique(runs.recording)),
        }
        runs = replace(runs, counted=counted)
        if self.mode in ("mc", "mmc"):
            n_elsewhere = int((~found.channel.isin(DERIVATIONS)).sum())
            counted = {**counted, "n_events_of_other_channels": n_elsewhere}
            return replace(runs, targets=self._per_derivation(found, runs), counted=counted)
        if self.mode == "bc":
            present = self._shares(found, runs, _ANY, 1)[:, 0] >= self.min_overlap_ratio
            return replace(runs, label=np.array(self.published.classes, dtype=object)[present.astype(np.int64)])
        shares = self._shares(found, runs, _NUMBERS, len(ARTIFACTS))
        if self.mode == "ml":
            return replace(runs, targets=(shares >= self.min_overlap_ratio).astype(np.float32))
        number = self._largest(shares)
        counted = {**counted, "n_windows_without_artifact": int((number == 0).sum())}
        label = np.array(ARTIFACTS, dtype=object)[number[number > 0] - 1]
        return replace(select(runs, number > 0), label=label, counted=counted)

    def _shares(
        self, found: Annotations, runs: Runs, number_of: dict[str, tuple[int, ...]], n_keys: int
    ) -> NDArray[np.float64]:
        """(W, n_keys) share of each window that the intervals of each key cover."""
        stop = runs.start + runs.n_samples
        return covered(found.intervals(number_of), n_keys, runs.recording, runs.start, stop) / runs.n_samples

    def _largest(self, shares: NDArray[np.float64]) -> NDArray[np.int64]:
        """(W,) number of the artifact that covers most of each window, from 1; 0 where none covers enough."""
        present = shares.max(axis=1, initial=0.0) >= self.min_overlap_ratio
        return np.where(present, 1 + shares.argmax(axis=1), 0)

    def _per_derivation(self, found: Annotations, runs: Runs) -> NDArray[np.float32]:
        """(W, 22) number of the class of each derivation; for ``mc`` whether it shows an artifact."""
        numbers, n_keys = (_ANY, 1) if self.mode == "mc" else (_NUMBERS, len(ARTIFACTS))
        targets = np.zeros((len(runs.start), len(DERIVATIONS)), dtype=np.float32)
        for index, name in enumerate(DERIVATIONS):
            targets[:, index] = self._largest(self._shares(found.on(name), runs, numbers, n_keys))
        targets[lacks_derivation(found.recordings, runs.recording)] = np.nan
        return targets

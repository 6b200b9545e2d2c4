"""Find the evaluation persons that the encoder may have been trained on."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from eegfm.checkpoint import CheckpointHeader
from eegfm.errors import SplitError
from eegfm.splits.config import TUH_FAMILIES
from eegfm.splits.leakage import Met, Seen, SplitTable
from eegfm.splits.persons import NDA, TUEG, TUEV_EVALUATION, some

UNKNOWN = "unknown"
_ALLOW = "set probe.allow_pretrained_persons=true, which is written into the metrics"
_TUH, _HBN = "tuh", "hbn"


@dataclass(frozen=True)
class Exposure:
    """Evaluation persons that the encoder may have been trained on.

    Args:
        met: Persons and recordings that the encoder was trained on; None if unknown. Unknown does not mean none.
        declared: Declared training corpora of imported weights that share persons with the probed corpus.
    """

    met: Met | None
    declared: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain data for the protocol of an evaluation."""
        if self.met is None:
            seen: dict[str, Any] = {"pretrained_persons": UNKNOWN, "pretrained_signals": UNKNOWN}
            return seen | {"pretrained_corpora_probed": list(self.declared)}
        return {"pretrained_persons": self.met.persons, "pretrained_signals": self.met.recordings}


def refuse_pretrained(
    split_table: SplitTable,
    windows: pd.DataFrame,
    header: CheckpointHeader,
    hashes: Mapping[str, Sequence[str]],
    *,
    keys: Iterable[str],
    n_persons: int,
    is_allowed: bool,
) -> Exposure:
    """Find the persons and signals that an encoder was trained on.

    Args:
        split_table: Persons and splits.
        windows: Windows to be evaluated.
        header: Header of the encoder.
        hashes: Hashes of all channels, by recording.
        keys: All names of the evaluation persons.
        n_persons: Number of evaluation persons.
        is_allowed: Whether such persons may be evaluated nevertheless.

    Raises:
        SplitError: The encoder was, or imported weights may have been, trained on evaluation persons, and this is not
            allowed.
    """
    if header.persons is None or header.signals is None:
        declared = shared_corpora(header.corpora, set(windows["corpus"]), keys)
        if not is_allowed:
            _refuse_declared(header, declared, sorted(set(windows["corpus"])))
        return Exposure(None, tuple(declared))
    met = split_table.met(windows["recording_id"], Seen(header.persons, header.signals), hashes)
    if met.persons and not is_allowed:
        signals = f", by the signals of {some(met.recordings)}" if met.recordings else ""
        raise SplitError(
            f"the encoder was pretrained on {len(met.persons)} of the {n_persons} persons to probe: "
            f"{some(met.persons)}{signals}; probe others, or {_ALLOW}"
        )
    return Exposure(met)


def shared_corpora(declared: Iterable[str], probed: Iterable[str], keys: Iterable[str]) -> list[str]:
    """The declared corpora that share persons with the probed corpora.

    Args:
        declared: Names of declared corpora.
        probed: Names of probed corpora.
        keys: Names of the probed persons (``namespace:subject``). All TUH corpora share one pool of persons.
    """
    pools = {_pool(name) for name in probed} | {_pool_of_key(key) for key in keys}
    return sorted(name for name in declared if _pool(name) in pools)


def _refuse_declared(header: CheckpointHeader, declared: Sequence[str], probed: Sequence[str]) -> None:
    if not header.corpora:
        raise SplitError(
            "nobody said what corpora the imported encoder was trained on, so it may have seen the persons to probe; "
            f"name them in import.corpora and import again, or {_ALLOW}"
        )
    if declared:
        raise SplitError(
            f"the imported encoder was trained on {some(declared)}, nobody knows on which persons, and corpus "
            f"{some(probed)} shares persons with that; probe another corpus, or {_ALLOW}"
        )


def _pool(corpus: str) -> str:
    name = corpus.casefold()
    return _TUH if name in TUH_FAMILIES else name


def _pool_of_key(key: str) -> str:
    namespace = key.partition(":")[0]
    return {TUEG: _TUH, TUEV_EVALUATION: _TUH, NDA: _HBN}.get(namespace, namespace.casefold())

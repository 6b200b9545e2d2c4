"""Find the test persons that the encoder may have been trained on."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from eegfm.ancestry import Parent
from eegfm.checkpoint import CheckpointHeader
from eegfm.errors import SplitError
from eegfm.splits.config import TUH_FAMILIES
from eegfm.splits.leakage import Met, Seen, SplitTable
from eegfm.splits.persons import NDA, TUEG, TUEV_EVALUATION, some

UNKNOWN = "unknown"
_KEY = "probe.allow_pretrained_persons"
_ALLOW = "set {key}=true, which is written into the metrics"
_TUH, _HBN = "tuh", "hbn"


@dataclass(frozen=True)
class Exposure:
    """Test persons that the encoder may have been trained on.

    Args:
        met: Known persons and recordings that the encoder was trained on; None if no training person is known.
        is_all_known: Whether all training persons are known. This is False if the encoder or an ancestor was imported.
        declared: Declared training corpora of imported weights that share persons with the probed corpus.
    """

    met: Met | None
    is_all_known: bool = True
    declared: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain data for the protocol of an evaluation. If some training persons are unknown, so is the exposure."""
        known: dict[str, Any] = {}
        if self.met is not None:
            known = {"pretrained_persons": self.met.persons, "pretrained_signals": self.met.recordings}
        if self.is_all_known:
            return known
        return {
            "pretrained_persons": UNKNOWN,
            "pretrained_signals": UNKNOWN,
            **{f"{name}_known": found for name, found in known.items()},
            "pretrained_corpora_probed": list(self.declared),
        }


def refuse_pretrained(
    split_table: SplitTable,
    windows: pd.DataFrame,
    header: CheckpointHeader,
    hashes: Mapping[str, Sequence[str]],
    *,
    keys: Iterable[str],
    n_persons: int,
    is_allowed: bool,
    key: str = _KEY,
) -> Exposure:
    """Find the persons and signals that an encoder was trained on.

    Args:
        split_table: Persons and splits.
        windows: Test windows.
        header: Header of the encoder.
        hashes: Hashes of all channels, by recording.
        keys: All names of the test persons.
        n_persons: Number of test persons.
        is_allowed: Whether such persons may be tested on nevertheless.
        key: Parameter that allows it, for messages.

    Raises:
        SplitError: The encoder was trained on test persons, or imported weights that it is or started from may have
            been, and this is not allowed.
    """
    met = None
    if header.persons is not None and header.signals is not None:
        met = split_table.met(windows["recording_id"], Seen(header.persons, header.signals), hashes)
    if met and met.persons and not is_allowed:
        signals = f", by the signals of {some(met.recordings)}" if met.recordings else ""
        raise SplitError(
            f"the encoder was pretrained on {len(met.persons)} of the {n_persons} persons to probe: "
            f"{some(met.persons)}{signals}; probe others, or {_ALLOW.format(key=key)}"
        )
    imports = list(header.imports())
    probed = sorted(set(windows["corpus"]))
    declared = shared_corpora({corpus for one in imports for corpus in one.corpora}, probed, keys)
    if not is_allowed:
        _refuse_declared(header, declared, probed, key)
    return Exposure(met, not imports, tuple(declared))


def refuse_declared(header: CheckpointHeader, probed: str) -> None:
    """Refuse an encoder whose imported weights may have been trained on a corpus, as far as names of corpora tell.

    Args:
        header: Header of the encoder.
        probed: Name of the corpus to probe.

    Raises:
        SplitError: They may have been.
    """
    declared = shared_corpora({corpus for one in header.imports() for corpus in one.corpora}, [probed], keys=())
    _refuse_declared(header, declared, [probed])


def shared_corpora(declared: Iterable[str], probed: Iterable[str], keys: Iterable[str]) -> list[str]:
    """The declared corpora that share persons with the probed corpora.

    Args:
        declared: Names of declared corpora.
        probed: Names of probed corpora.
        keys: Names of the probed persons (``namespace:subject``). All TUH corpora share one pool of persons.
    """
    pools = {_pool(name) for name in probed} | {_pool_of_key(key) for key in keys}
    return sorted(name for name in declared if _pool(name) in pools)


def _refuse_declared(header: CheckpointHeader, declared: Sequence[str], probed: Sequence[str], key: str = _KEY) -> None:
    allow = _ALLOW.format(key=key)
    again = "import again" if header.imported else "import and train again"
    for one in header.imports():
        which = f"the imported encoder{'' if one.imported == header.imported else _started_from(one)}"
        if not one.corpora:
            raise SplitError(
                f"the training corpora of {which} are unknown, so it may have been trained on the probed persons; "
                f"name them in import.corpora and {again}, or {allow}"
            )
        if shared := [corpus for corpus in one.corpora if corpus in declared]:
            raise SplitError(
                f"{which} was trained on unknown persons of {some(shared)}, and corpus {some(probed)} shares "
                f"persons with {some(shared)}; probe another corpus, or {allow}"
            )


def _started_from(one: Parent) -> str:
    source = one.imported.source if one.imported else one.fingerprint
    return f" ({source}) that this one started from"


def _pool(corpus: str) -> str:
    name = corpus.casefold()
    return _TUH if name in TUH_FAMILIES else name


def _pool_of_key(key: str) -> str:
    namespace = key.partition(":")[0]
    return {TUEG: _TUH, TUEV_EVALUATION: _TUH, NDA: _HBN}.get(namespace, namespace.casefold())

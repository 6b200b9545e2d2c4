"""Measures of the features of a validation: whether they collapse, and how far they tell persons apart.

Shapes: B windows of a micro-batch, N of a corpus in a validation, X width of features.
"""

import logging
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from eegfm.batch import StoredBatch
from eegfm.metrics.groups import between_share
from eegfm.metrics.moments import movie_correlation
from eegfm.metrics.spread import alignment, effective_rank, mean_sd, uniformity
from eegfm.objectives.base import LossOutput, Objective
from eegfm.training.logs.averages import mixed
from eegfm.training.logs.history import History
from eegfm.training.logs.names import VAL, history_columns, named

logger = logging.getLogger(__name__)

RANK, SD, PERSON_SHARE = "effective_rank", "pooled_sd", "person_share"
ALIGNMENT, UNIFORMITY, MOVIE_CORRELATION = "alignment", "uniformity", "movie_correlation"

_MOVIES = "movie_moment"
_MOST_WINDOWS = 2048
"""Windows of a corpus that are measured; memory and time grow with their square."""
_SMALLEST_RANK, _SMALLEST_SD = 2.0, 1e-3
_ENOUGH = 10
"""Windows, and dimensions, of which a low rank tells anything."""


class FeatureBatch(NamedTuple):
    """Pooled features of the windows of a micro-batch of a validation.

    Args:
        step: Number of the batch.
        corpus: Name of the corpus.
        pairing: Name of the pairing; empty where windows came one by one.
        features: (B, X) of the untouched windows. Of pairs, anchors first, and of movie moments alone: (0, X) of
            others.
        persons: (B,) numbers of their persons, -1 where nobody tells; (0,) of pairs.
        compared: (B, X) of the windows of pairs as the objective encodes them: augmented, or with patches hidden. They
            are means over channels, which a projection with ``sites`` does not use. (0, X) where windows came one by
            one.
    """

    step: int
    corpus: str
    pairing: str
    features: Tensor
    persons: Tensor
    compared: Tensor


class FeatureMeasures:
    """Pooled features of a validation, kept on the device, and their measures at its end.

    Rank, spread and the share of persons are of windows that came one by one, which are the same in every phase on one
    mixture: those of ``mix.cut`` that a validation shows, or, where it shows pairs, that it measures besides.

    A corpus whose features collapse gives one warning, at the validation that first sees it.

    Args:
        weights: Share of each corpus, for means over the mixture.
    """

    def __init__(self, weights: Mapping[str, float]) -> None:
        self._weights = weights
        self._batches: list[FeatureBatch] = []
        self._warned: set[str] = set()

    def forget(self) -> None:
        """Begin a validation."""
        self._batches = []

    @torch.no_grad()
    def add(self, step: int, batch: StoredBatch, output: LossOutput | None, objective: Objective) -> None:
        """Keep the features of a micro-batch; nothing waits for the device.

        They are those that the objective gives, if it gives them of untouched windows. Otherwise the backbone encodes
        the windows once more; of pairs, those of movie moments alone.

        Args:
            step: Number of the batch of the validation.
            batch: Windows as stored.
            output: What the objective gave for them; None for windows that are measured alone.
            objective: In evaluation mode, with the weights that are validated.
        """
        encoded = None if output is None else output.features
        shown = None if encoded is None else encoded.features.pooled.float()
        untouched = shown if objective.encodes_untouched else None
        pairing = batch["pairs"].pairing if "pairs" in batch else ""
        if pairing:
            assert shown is not None, "pairs are never measured alone, and their objective gives features"
            compared, whole = shown, untouched if pairing == _MOVIES else shown[:0]
        else:
            compared, whole = None, untouched
        whole = objective.backbone(batch).features.pooled.float() if whole is None else whole
        persons = batch.get("person")
        if persons is None or pairing:
            persons = whole.new_full((0 if pairing else len(whole),), -1, dtype=torch.int64)
        compared = whole[:0] if compared is None else compared
        self._batches.append(FeatureBatch(step, batch["corpus"], pairing, whole, persons, compared))

    def take(
        self, step: int, history: History, gather: Callable[[Any], list[Any]] | None = None, *, warns: bool = True
    ) -> dict[str, float]:
        """Named measures of the validation, whose features are forgotten. This waits for the device.

        The mean of a measure over the mixture is over the corpora that have it.

        Args:
            step: Steps taken so far.
            history: Rows so far: those of the first validation tell what a standard deviation has shrunk from.
            gather: Gives the plain data of all processes; None in one process.
            warns: Whether this process warns of a collapse.
        """
        batches, self._batches = self._batches, []
        if gather is not None:
            batches = _merged(gather([_plain(batch) for batch in batches]))
        of_corpus = {c: [b for b in batches if b.corpus == c] for c in sorted({b.corpus for b in batches})}
        by_corpus = {corpus: measures(own) for corpus, own in of_corpus.items()}
        for corpus, own in of_corpus.items() if warns else ():
            why = _collapse(own, by_corpus[corpus], history)
            if why and corpus not in self._warned:
                self._warned.add(corpus)
                logger.warning("Step %d: the features of %s collapse: %s", step, corpus, why)
        return named(VAL, mixed(by_corpus, self._weights), by_corpus)


def measures(batches: list[FeatureBatch]) -> dict[str, float]:
    """Measures of the features of one corpus; without those that need pairs, or persons, where there are none.

    Features that are not finite have no measure. Those of pairs have the name of the pairing behind theirs: windows of
    two pairings are pairs for other reasons.

    Args:
        batches: Micro-batches of a validation.
    """
    if not all(part.isfinite().all() for batch in batches for part in (batch.features, batch.compared)):
        return {}
    found = _of_windows(_one_by_one(batches))
    for pairing in sorted({batch.pairing for batch in batches} - {""}):
        first, second = _halves([batch.compared for batch in batches if batch.pairing == pairing])
        found[f"{ALIGNMENT}_{pairing}"] = alignment(first, second)
        found[f"{UNIFORMITY}_{pairing}"] = uniformity(torch.cat([first, second]))
    movies = [batch.features for batch in batches if batch.pairing == _MOVIES]
    if movies and sum(map(len, movies)) > 2:
        found[MOVIE_CORRELATION] = movie_correlation(*_halves(movies))
    return {name: float(value) for name, value in found.items()}


def _one_by_one(batches: list[FeatureBatch]) -> list[FeatureBatch]:
    return [batch for batch in batches if not batch.pairing]


def _of_windows(batches: list[FeatureBatch]) -> dict[str, Tensor]:
    """Measures of windows that came one by one."""
    if not batches:
        return {}
    features, persons = (_rows(list(parts)) for parts in zip(*((b.features, b.persons) for b in batches), strict=True))
    found = {RANK: effective_rank(features), SD: mean_sd(features)} if len(features) > 1 else {}
    known = persons[persons >= 0].tolist()
    if 1 < len(set(known)) < len(known):
        found[PERSON_SHARE] = between_share(features, persons, corrected=True)
    return found


def _collapse(batches: list[FeatureBatch], values: Mapping[str, float], history: History) -> str:
    """Say why the features of a corpus count as collapsed; return an empty text if they do not."""
    if RANK not in values:
        return ""
    batches = _one_by_one(batches)
    highest = min(sum(len(batch.features) for batch in batches) - 1, batches[0].features.shape[1])
    if values[RANK] < _SMALLEST_RANK and highest >= _ENOUGH:
        return f"their effective rank is {values[RANK]:.3g} of at most {highest}, below {_SMALLEST_RANK:g}"
    first = history.first(*history_columns({f"{VAL}/{SD}/{batches[0].corpus}": 0.0}))
    if first is not None and values[SD] < _SMALLEST_SD * first:
        return f"their standard deviation is {values[SD]:.3g}, and was {first:.3g} in the first validation"
    return ""


def _rows(parts: list[Tensor]) -> Tensor:
    """Rows of all parts on the CPU, in float64 where they are numbers; of too many, some, spread evenly."""
    rows = torch.cat(parts).cpu()
    rows = rows.double() if rows.is_floating_point() else rows
    return rows if len(rows) <= _MOST_WINDOWS else rows[_spread(len(rows))]


def _halves(parts: list[Tensor]) -> tuple[Tensor, Tensor]:
    """First and second windows of all pairs, row i beside row i."""
    first, second = zip(*(part.chunk(2) for part in parts), strict=True)
    return _rows(list(first)), _rows(list(second))


def _spread(n_rows: int) -> Tensor:
    return torch.linspace(0, n_rows - 1, _MOST_WINDOWS, dtype=torch.float64).round().long()


def _plain(batch: FeatureBatch) -> dict[str, Any]:
    """Return what ``json`` takes: tensors as text, with type and shape."""
    found = batch._asdict()
    for name, value in found.items():
        if isinstance(value, Tensor):
            array = value.cpu().numpy()
            text = b64encode(array.tobytes()).decode()
            found[name] = {"dtype": str(array.dtype), "shape": list(array.shape), "bytes": text}
    return found


def _merged(plain: Iterable[Iterable[dict[str, Any]]]) -> list[FeatureBatch]:
    """Batches of all processes, in the order of one process."""
    found = [FeatureBatch(**{name: _value(value) for name, value in one.items()}) for of in plain for one in of]
    return sorted(found, key=lambda batch: (batch.step, batch.corpus))


def _value(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    array = np.frombuffer(b64decode(value["bytes"]), dtype=value["dtype"]).reshape(value["shape"])
    return torch.from_numpy(array.copy())

"""Answers of auxiliary heads for persons that were not trained on: one for each person.

Shapes: W windows, U answers, K classes.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from eegfm.batch import WindowIndex
from eegfm.evaluation.bootstrap import person_interval
from eegfm.evaluation.metrics import (
    balanced_accuracy,
    confusions_by_person,
    number_sums,
    pearson,
)
from eegfm.objectives.base import Objective
from eegfm.store.stores import Stores
from eegfm.training.loading.gather import gather
from eegfm.training.plans.plan import Draw, Groups

N_WINDOWS_PER_PERSON = 16
_N_WINDOWS_AT_ONCE = 32
_N_RESAMPLES = 1000
_LEAST_PERSONS = 3

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Answers(NamedTuple):
    """A head's answers.

    Args:
        person: Number of the person.
        truth: The label: a number, or the number of a class.
        said: (U,) mean of what was said of the person's windows, or (U, K) mean probabilities.
    """

    person: Ints
    truth: Floats
    said: Floats


def held_out_scores(
    objective: Objective, groups: Groups, stores: Stores, device: torch.device, seed: int
) -> dict[str, float]:
    """Score the answers of all heads on persons, each by the mean over some of its windows.

    Args:
        objective: In evaluation mode; it is moved to the device.
        groups: Windows of these persons by corpus.
        stores: Signal stores by corpus.
        device: Where to compute.
        seed: Seed of the resamples.

    Returns:
        For each head ``held_out_<head>_n_persons``; of numbers ``_r`` (Pearson, with ``_r_low`` and ``_r_high``, a
        bootstrap interval of 95 % over persons) and ``_mae`` in the label's unit; of classes ``_balanced_accuracy``
        with an interval. The same by corpus, ``_<corpus>`` behind the name. Over several corpora, r is that within
        corpora: both sides count from their means in the corpus, or a difference between corpora would be taken for a
        relation between persons; for the same reason classes have no score over several corpora. No scores where nobody
        has the label, and no r of fewer than three persons.
    """
    heads = objective.auxiliary
    if heads is None:
        return {}
    objective.to(device)
    found: dict[str, dict[str, Answers]] = {name: {} for name in heads.classes()}
    for corpus, of_corpus in sorted(groups.items()):
        for name, answers in _answers(objective, of_corpus, stores, device).items():
            found[name][corpus] = answers
    scores: dict[str, float] = {}
    for name, classes in heads.classes().items():
        by_corpus = {corpus: answers for corpus, answers in found[name].items() if len(answers.person)}
        score = _class_scores if classes else _number_scores
        for corpus, answers in by_corpus.items():
            scores |= {f"held_out_{name}_{k}_{corpus}": v for k, v in score({corpus: answers}, seed).items()}
        scores |= {f"held_out_{name}_{k}": v for k, v in score(by_corpus, seed).items()}
    return scores


def windows_of_persons(groups: Sequence[WindowIndex], n_per_person: int) -> list[Draw]:
    """Windows of each person, spread evenly over all that the person has: at most ``n_per_person``."""
    if not groups:
        return []
    number = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    position = np.concatenate([np.arange(len(group)) for group in groups])
    person = np.concatenate([group.persons[group.runs_of(np.arange(len(group)))[0]] for group in groups])
    order = np.argsort(person, kind="stable")
    _, first, count = np.unique(person[order], return_index=True, return_counts=True)
    place, n_all = np.arange(len(order)) - np.repeat(first, count), np.repeat(count, count)
    n_taken = np.minimum(n_all, n_per_person)
    # Of n windows k are taken: those with which the share of k that has gone by reaches the next whole number.
    is_taken = (place * n_taken) // n_all != ((place - 1) * n_taken) // n_all
    taken = np.sort(order[is_taken])
    return [Draw(group, position[taken[number[taken] == k]]) for k, group in enumerate(groups)]


@torch.no_grad()
def _answers(
    objective: Objective, groups: Sequence[WindowIndex], stores: Stores, device: torch.device
) -> dict[str, Answers]:
    """By head, the answers on the persons of one corpus."""
    assert objective.auxiliary is not None
    assert not objective.training, "dropout is off"
    parts: list[dict[str, NDArray[Any]]] = []
    for draw in _small(windows_of_persons(groups, N_WINDOWS_PER_PERSON)):
        batch = gather(draw, stores[draw.group.corpus])
        signals = {key: value.to(device) if isinstance(value, torch.Tensor) else value for key, value in batch.items()}
        encoded = objective.backbone(signals)
        said = objective.auxiliary.predict(encoded.features.pooled)
        parts.append({f"said {name}": values.double().cpu().numpy() for name, values in said.items()})
        parts[-1] |= {f"true {name}": batch["targets"][name].double().numpy() for name in said}
        parts[-1]["person"] = batch["person"].numpy()
    if not parts:
        return {}
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return {
        name: _by_person(whole["person"], whole[f"true {name}"], whole[f"said {name}"], is_class=bool(classes))
        for name, classes in objective.auxiliary.classes().items()
    }


def _small(draws: Sequence[Draw]) -> Iterator[Draw]:
    for draw in draws:
        for k in range(0, len(draw.positions), _N_WINDOWS_AT_ONCE):
            yield Draw(draw.group, draw.positions[k : k + _N_WINDOWS_AT_ONCE])


def _by_person(person: Ints, truth: Floats, said: Floats, *, is_class: bool) -> Answers:
    """Means over the windows of each person whose label is known; of classes, over those of each person and class."""
    known = truth >= 0 if is_class else ~np.isnan(truth)
    person, truth, said = person[known], truth[known], said[known]
    keys = np.stack([person, truth if is_class else np.zeros_like(truth)], axis=1)
    unique, unit = np.unique(keys, axis=0, return_inverse=True)
    n_windows = np.bincount(unit, minlength=len(unique)).astype(np.float64)

    def mean(values: Floats) -> Floats:
        total = np.zeros((len(unique), *values.shape[1:]))
        np.add.at(total, unit, values)
        means: Floats = total / n_windows.reshape(-1, *(1 for _ in values.shape[1:]))
        return means

    return Answers(unique[:, 0].astype(np.int64), mean(truth), mean(said))


def _number_scores(by_corpus: Mapping[str, Answers], seed: int) -> dict[str, float]:
    if not by_corpus:
        return {"n_persons": 0}
    errors = np.concatenate([np.abs(a.truth - a.said) for a in by_corpus.values()])
    n = len(errors)
    scores = {"n_persons": float(n), "mae": float(errors.mean())}
    truth, said = (_within_corpora([getattr(a, side) for a in by_corpus.values()]) for side in ("truth", "said"))
    sums = number_sums(truth, said, np.arange(n), n)
    r = float(pearson(sums.sum(axis=0)))
    if n < _LEAST_PERSONS or np.isnan(r):
        return scores
    low, high = person_interval(sums, pearson, n_resamples=_N_RESAMPLES, seed=seed)
    return {**scores, "r": r, "r_low": low, "r_high": high}


def _class_scores(by_corpus: Mapping[str, Answers], seed: int) -> dict[str, float]:
    if len(by_corpus) != 1:
        return {"n_persons": float(sum(len(np.unique(answers.person)) for answers in by_corpus.values()))}
    [answers] = by_corpus.values()
    persons, number = np.unique(answers.person, return_inverse=True)
    truth, chosen = answers.truth.astype(np.int64), answers.said.argmax(axis=1)
    counts = confusions_by_person(number, len(persons), truth, chosen, answers.said.shape[1])
    low, high = person_interval(counts, balanced_accuracy, n_resamples=_N_RESAMPLES, seed=seed)
    score = float(balanced_accuracy(counts.sum(axis=0)))
    named = {"balanced_accuracy": score, "balanced_accuracy_low": low, "balanced_accuracy_high": high}
    return {"n_persons": float(len(persons)), **named}


def _within_corpora(values: Sequence[Floats]) -> Floats:
    """Values from their means in each corpus."""
    centred: Floats = np.concatenate([of_corpus - of_corpus.mean() for of_corpus in values])
    return centred

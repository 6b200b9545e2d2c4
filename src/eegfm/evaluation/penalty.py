"""Choice of a probe's penalty on the training persons alone."""

from collections.abc import Iterator

import numpy as np

from eegfm.errors import SplitError
from eegfm.evaluation.answers import Answers
from eegfm.evaluation.config import FitParams
from eegfm.evaluation.linear import Ints, LinearFit, Rows


def choose_penalty(fit: LinearFit, answers: Answers, persons: Ints, params: FitParams) -> float:
    """Choose the penalty that is best on held-out training persons; the strongest of equals.

    Classes are judged by balanced accuracy, numbers by squared error, over the windows of all groups of held-out
    persons.

    Args:
        fit: Fit to the training windows.
        answers: (W,) their answers.
        persons: (W,) numbers of their persons.
        params: Penalties, and groups of persons.

    Raises:
        SplitError: In every division of the training persons, a class is missing from the inner training set, or
            nobody is left.
    """
    lambdas = tuple(sorted(params.lambdas))
    if len(lambdas) == 1:
        return lambdas[0]
    found = []
    for group in _groups(persons, params):
        if answers.at(~group).can_be_learnt():
            found.append(answers.at(group).goodness(answers.predicted(fit.left_out(group, lambdas))))
    if not found:
        raise _indivisible(persons, params)
    rank = answers.rank(np.sum(found, axis=0))
    return lambdas[int(np.flatnonzero(rank >= rank.max() - 1e-12 * max(1.0, abs(rank.max())))[-1])]


def refuse_indivisible(answers: Answers, persons: Ints, params: FitParams) -> None:
    """Refuse training windows on which ``choose_penalty`` cannot choose, before there are features.

    Raises:
        SplitError: See ``choose_penalty``.
    """
    if len(params.lambdas) == 1:
        return
    if not any(answers.at(~group).can_be_learnt() for group in _groups(persons, params)):
        raise _indivisible(persons, params)


def _groups(persons: Ints, params: FitParams) -> Iterator[Rows]:
    """(W,) windows of the persons that are held out together."""
    names, numbers = np.unique(persons, return_inverse=True)
    group_of = numbers % min(params.inner_folds, len(names))
    for group in np.unique(group_of):
        yield group_of == group


def _indivisible(persons: Ints, params: FitParams) -> SplitError:
    return SplitError(
        f"{len(np.unique(persons))} training persons cannot be divided to choose among {len(params.lambdas)} "
        "penalties: without some of them a class is missing, or nobody is left; add persons or give one value in "
        "probe.lambdas"
    )

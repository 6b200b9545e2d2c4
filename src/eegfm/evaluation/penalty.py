"""Choice of a probe's penalty, or number of neighbours, on the training persons alone."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from eegfm.errors import SplitError
from eegfm.evaluation.answers import Answers
from eegfm.evaluation.config import FitParams
from eegfm.evaluation.linear import Fit, Ints, Rows


class Choice(NamedTuple):
    """What was chosen on training persons.

    Args:
        value: The penalty, or the number of neighbours.
        rank: How good it was on them, higher is better; infinite where there was nothing to choose.
    """

    value: float
    rank: float

    def is_no_worse_than(self, rank: float) -> bool:
        """Return whether this is at least as good, but for rounding."""
        return self.rank >= rank - 1e-12 * max(1.0, abs(rank))


def choose_penalty(fit: Fit, answers: Answers, persons: Ints, params: FitParams) -> Choice:
    """Choose what is best on held-out training persons; the strongest of equals.

    Classes are judged by balanced accuracy, numbers by squared error, over the windows of all groups of held-out
    persons. Many neighbours smooth as strong penalties do.

    Args:
        fit: Fit to the training windows.
        answers: (W,) their answers.
        persons: (W,) numbers of their persons.
        params: Penalties or numbers of neighbours, and groups of persons.

    Raises:
        SplitError: In every division of the training persons, a class is missing from the inner training set, or
            nobody is left.
    """
    strengths = params.strengths
    if not params.has_choice:
        return Choice(strengths[0], np.inf)
    found = []
    for group in _groups(persons, params):
        if answers.at(~group).can_be_learnt():
            found.append(answers.at(group).goodness(answers.predicted(fit.left_out(group, strengths))))
    if not found:
        raise _indivisible(persons, params)
    rank = answers.rank(np.sum(found, axis=0))
    best = float(rank.max())
    last = max(k for k, value in enumerate(rank) if Choice(strengths[k], float(value)).is_no_worse_than(best))
    return Choice(strengths[last], float(rank[last]))


def refuse_indivisible(answers: Answers, persons: Ints, params: FitParams, key: str = "probe") -> None:
    """Refuse training windows on which ``choose_penalty`` cannot choose, before there are features.

    Args:
        answers: See there, like all that follow.
        persons: See there.
        params: See there.
        key: Name of the parameters that hold the choices, for the message.

    Raises:
        SplitError: See ``choose_penalty``.
    """
    if not params.has_choice:
        return
    if not any(answers.at(~group).can_be_learnt() for group in _groups(persons, params)):
        raise _indivisible(persons, params, key)


def _groups(persons: Ints, params: FitParams) -> Iterator[Rows]:
    """(W,) windows of the persons that are held out together."""
    names, numbers = np.unique(persons, return_inverse=True)
    group_of = numbers % min(params.inner_folds, len(names))
    for group in np.unique(group_of):
        yield group_of == group


def _indivisible(persons: Ints, params: FitParams, key: str = "probe") -> SplitError:
    what = {"lambdas": "penalties", "neighbours": "numbers of neighbours"}[params.strength]
    n_strengths = len(params.strengths)
    asked, remedy = f"{n_strengths} {what}", f"give one value in {key}.{params.strength}"
    if n_strengths == 1:
        asked, remedy = "layers", f"set {key}.layers=last"
    return SplitError(
        f"{len(np.unique(persons))} training persons cannot be divided to choose among {asked}: without some of them a "
        f"class is missing, or nobody is left; add persons or {remedy}"
    )

"""Find the windows of movies that a probe retrieves: those of test persons, in a fixed order."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from eegfm.errors import SplitError
from eegfm.evaluation.linear import Ints
from eegfm.evaluation.retrieval import MomentAnswers, Moments
from eegfm.evaluation.tasks import ProbedTask
from eegfm.jobs.probe.trials import Trials, windows_of
from eegfm.windows.runs import NO_MOMENT


def moments_of_test_persons(
    windows: pd.DataFrame,
    splits: pd.DataFrame,
    task: ProbedTask,
    usable: Callable[[pd.DataFrame], pd.DataFrame],
) -> Trials:
    """Find the windows of movies whose persons are in split ``test``.

    Persons none of whose moments can be told from enough others are left out.

    Args:
        windows: Runs of windows of the probed corpus.
        splits: One row per person.
        task: The task.
        usable: Function that leaves out windows that cannot be encoded.

    Raises:
        SplitError: Persons without a split, windows without moments of movies, or too few persons or moments.
    """
    of_cut = windows[windows["cut"] == task.cut]
    of_task = of_cut[(of_cut["moment"] != NO_MOMENT) & of_cut["label"].notna()]
    if of_task.empty:
        raise SplitError(
            f"task {task.key}: the windows of cut {task.cut!r} show no moments of movies; give the task a cut such as "
            "{name: hbn_movies}"
        )
    tested = splits[(splits["split"] == "test") & (splits["corpus"] == task.corpus)]
    kept = windows_of(of_task, splits, tested, usable).drop_duplicates(["recording_id", "label", "moment"])
    n_seen, n_persons, n_candidates = len(kept), kept["identity"].nunique(), task.asked.n_candidates
    while True:
        kept = kept.reset_index(drop=True)
        names, persons = np.unique(kept["identity"].to_numpy(dtype=str), return_inverse=True)
        moments = _moments(kept, persons)
        has_counted = np.bincount(persons, moments.counted(n_candidates), minlength=len(names)) > 0
        if has_counted.all():
            break
        kept = kept[has_counted[persons]]
    if len(names) < 2:
        raise SplitError(
            f"task {task.key}: {n_seen} windows of {n_persons} test persons, and no two persons share {n_candidates} "
            "moments of a movie that do not overlap; probe more persons, or lower candidates of the task"
        )
    answers = MomentAnswers(moments, n_candidates)
    return Trials(task, kept, answers, tuple(map(str, names)), persons, folds=persons)


def _moments(windows: pd.DataFrame, persons: Ints) -> Moments:
    keys = windows[["recording_id", "label"]].astype(str).agg("|".join, axis=1)
    stride = int(windows["stride"].min()) if len(windows) else 1
    return Moments(
        persons=persons,
        viewings=np.unique(keys, return_inverse=True)[1],
        movies=np.unique(windows["label"].to_numpy(dtype=str), return_inverse=True)[1],
        moments=windows["moment"].to_numpy(np.int64),
        reach=(int(windows["n_samples"].max()) - 1) // stride if len(windows) else 0,
    )

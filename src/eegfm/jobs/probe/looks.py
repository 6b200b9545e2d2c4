"""Count how often the persons of a probe were scored before."""

from pathlib import Path

from eegfm.checkpoint import Checkpoint
from eegfm.evaluation.config import ProbeParams
from eegfm.evaluation.ledger import Ledger, asked_persons, window_hash
from eegfm.jobs.probe.trials import Trials
from eegfm.provenance import sha256_of
from eegfm.source_code import code_sha256
from eegfm.store.reader import SignalStore

_DECIDES = ("n_untrained", "untrained_seed", "label_ratios", "seed", "precision")
"""Choices of the whole probe that decide what is predicted, beside the fit of a task."""


def look(ledger: Path, checkpoint: Checkpoint, trials: Trials, store: SignalStore, params: ProbeParams) -> int:
    """Write down that a task is scored, and return how often its persons had been scored on it before.

    Args:
        ledger: Folder of the book.
        checkpoint: The encoder.
        trials: Windows of the task.
        store: Their signals.
        params: All choices.

    Raises:
        DamageError: The book cannot be read.
    """
    task = trials.task
    run = sha256_of(
        [
            "probe",
            task.key,
            task.asked.kind,
            task.asked.candidates,
            task.fit.identity(),
            window_hash(trials.windows),
            store.signals_sha256(set(map(str, trials.windows["recording_id"]))),
            [*trials.names, *trials.persons.tolist(), *trials.folds.tolist()],
            checkpoint.identity(),
            {name: getattr(params, name) for name in _DECIDES},
            code_sha256("eegfm.jobs.probe.probe"),
        ]
    )[:16]
    return Ledger(ledger).look(asked_persons(trials.tested.windows), run, "probe", task.key)

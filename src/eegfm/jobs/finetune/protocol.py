"""Describe a finetuning in its metrics: all that is needed to repeat it and to judge it."""

from importlib.metadata import version
from typing import Any

from eegfm.checkpoint import Checkpoint
from eegfm.inference.encoder_code import other_code
from eegfm.jobs.finetune.audit import order_of_label
from eegfm.jobs.finetune.controls import pooling_of
from eegfm.jobs.finetune.divisions import Division
from eegfm.jobs.finetune.encoders import described_encoders
from eegfm.jobs.finetune.planned import PlannedTask
from eegfm.jobs.finetune.said import Said
from eegfm.splits.leakage import SplitTable

_NOT_SAID = {"loader", "checkpoint", "progress_bar", "resume", "load", "strategy"}
"""Choices of the machine, and the strategy, which stands by itself."""


def describe_protocol(planned: PlannedTask, said: Said, n_looks_before: int) -> dict[str, Any]:
    """Describe the finetuning of a task.

    Args:
        planned: The task.
        said: What was said of the test windows.
        n_looks_before: How often these test persons had been scored before.
    """
    task, params, divisions = planned.task, planned.params, planned.divisions
    return {
        "corpus": task.corpus,
        "task": task.asked.name,
        "cut": task.asked.own_cut,
        "target": {**said.target._asdict()},
        "evaluation": "cross_validation" if divisions[0].is_fold else "split",
        "divisions": {one.name: _counts(one, said) for one in divisions},
        "encoders": described_encoders(planned),
        **_choices(planned),
        "n_looks_before": n_looks_before,
        **order_of_label(said),
        "simulated": task.store.is_simulated,
        **planned.exposure.to_dict(),
        "splits_sha256": SplitTable(divisions[0].splits).sha256,
        "start": _start(planned.start),
        "n_bootstrap": params.n_bootstrap,
        "bootstrap_seed": params.bootstrap_seed,
        "versions": {name: version(name) for name in ("eegfm", "numpy", "scipy", "torch", "lightning")},
        "other_code": other_code(planned.start.header),
    }


def _choices(planned: PlannedTask) -> dict[str, Any]:
    """Return what was chosen for the trainings and for the fits of the controls."""
    asked, params = planned.task.asked, planned.params
    pooling = pooling_of(planned.task.windows, params.fit)
    return {
        "seeds": list(params.seeds),
        "tuning": params.tuning(asked).model_dump(mode="json", exclude=_NOT_SAID),
        "strategy": (asked.strategy or params.strategy).model_dump(mode="json"),
        "fit": params.fit.model_dump(mode="json") | {"pooling": pooling},
        "control_optimizer": params.control_optimizer.model_dump(mode="json"),
        "controls_fitted_on": "training and selecting persons",
        **({"label_seed": params.label_seed} if params.label_ratios else {}),
    }


def _start(start: Checkpoint) -> dict[str, Any]:
    header = start.header
    return {
        "phase": header.phase,
        "fingerprint": header.fingerprint,
        "corpora": header.corpora,
        "seed": header.seed,
        "n_steps": header.n_steps,
        "weights_sha256": start.weights_sha256(),
        "license": header.license,
    }


def _counts(division: Division, said: Said) -> dict[str, int]:
    windows = said.tests[division.name].windows
    return {"n_test_windows": len(windows), "n_test_persons": int(windows["identity"].nunique())}

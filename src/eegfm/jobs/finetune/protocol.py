"""Protocol of a finetuning for its metrics: all that is needed to repeat it and to judge it."""

from importlib.metadata import version
from typing import Any

import pandas as pd

from eegfm.checkpoint import Checkpoint
from eegfm.evaluation.config import Pooling
from eegfm.inference.encoder_code import other_code
from eegfm.jobs.finetune.audit import order_of_label
from eegfm.jobs.finetune.config import FinetuneParams, FinetuneTask
from eegfm.jobs.finetune.divisions import Division
from eegfm.jobs.finetune.said import Said, TestWindows
from eegfm.jobs.probe.exposure import Exposure, refuse_pretrained
from eegfm.splits.leakage import SplitTable
from eegfm.store.reader import SignalStore

_NOT_SAID = {"loader", "checkpoint", "progress_bar", "resume", "load", "strategy"}
"""Choices of the machine, and the strategy, which stands by itself."""


def exposure_of(
    tests: dict[str, TestWindows], splits: pd.DataFrame, start: Checkpoint, store: SignalStore, params: FinetuneParams
) -> Exposure:
    """Find test persons that the encoder was, or may have been, trained on.

    Raises:
        SplitError: There are some, and that is not allowed.
    """
    windows = pd.concat([test.windows for test in tests.values()])
    tested = splits[splits["identity"].isin(windows["identity"])]
    return refuse_pretrained(
        SplitTable(splits),
        windows,
        start.header,
        {entry.recording_id: entry.facts.get("signal_hashes", ()) for entry in store.entries},
        keys=[str(key) for keys in tested["keys"] for key in keys],
        n_persons=windows["identity"].nunique(),
        is_allowed=params.allow_pretrained_persons,
        key="finetune.allow_pretrained_persons",
    )


def describe_protocol(
    key: str,
    asked: FinetuneTask,
    divisions: list[Division],
    said: Said,
    params: FinetuneParams,
    start: Checkpoint,
    exposure: Exposure,
    n_looks_before: int,
    *,
    pooling: Pooling,
    is_simulated: bool,
) -> dict[str, Any]:
    """Describe the finetuning of a task.

    Args:
        key: ``corpus.task``.
        asked: The task.
        divisions: Who was trained on and tested.
        said: What was said of the test windows.
        params: All choices.
        start: The encoder.
        exposure: See ``exposure_of``.
        n_looks_before: How often these test persons had been scored before.
        pooling: How features of closed forms were pooled over channels.
        is_simulated: Whether the signals are simulated.
    """
    header, target = start.header, said.target
    tuning = params.tuning(asked)
    persons = {name: _counts(division, said) for name, division in ((one.name, one) for one in divisions)}
    return {
        "corpus": key.partition(".")[0],
        "task": asked.name,
        "cut": asked.own_cut,
        "target": {**target._asdict()},
        "evaluation": "cross_validation" if divisions[0].is_fold else "split",
        "divisions": persons,
        "seeds": list(params.seeds),
        "tuning": tuning.model_dump(mode="json", exclude=_NOT_SAID),
        "strategy": (asked.strategy or params.strategy).model_dump(mode="json"),
        "fit": params.fit.model_dump(mode="json") | {"pooling": pooling},
        "control_optimizer": params.control_optimizer.model_dump(mode="json"),
        "controls_fitted_on": "training and selecting persons",
        "n_looks_before": n_looks_before,
        **order_of_label(said),
        "simulated": is_simulated,
        **exposure.to_dict(),
        "splits_sha256": SplitTable(divisions[0].splits).sha256,
        "start": {
            "phase": header.phase,
            "fingerprint": header.fingerprint,
            "corpora": header.corpora,
            "seed": header.seed,
            "n_steps": header.n_steps,
            "weights_sha256": start.weights_sha256(),
            "license": header.license,
        },
        "n_bootstrap": params.n_bootstrap,
        "bootstrap_seed": params.bootstrap_seed,
        "versions": {name: version(name) for name in ("eegfm", "numpy", "scipy", "torch", "lightning")},
        "other_code": other_code(header),
    }


def _counts(division: Division, said: Said) -> dict[str, int]:
    windows = said.tests[division.name].windows
    return {"n_test_windows": len(windows), "n_test_persons": int(windows["identity"].nunique())}

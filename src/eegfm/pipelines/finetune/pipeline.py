"""Finetune pipeline: encoder and windows with answers to finetuned encoders, metrics and predictions."""

import inspect
from collections.abc import Callable, Sequence
from functools import partial, update_wrapper
from typing import Any

from kedro.pipeline import Node, Pipeline

from eegfm.pipelines.finetune.nodes import finetune_encoder
from eegfm.training.phases import FINETUNE
from eegfm.windows.config import WindowParams

_OF_CORPUS = ("signals", "windows", "recordings")
FIGURES = (
    *("history", "comparison", "label_efficiency", "groups"),
    *("roc", "precision_recall", "confusion", "calibration", "scatter"),
)
"""Entries of its figures."""


def create_pipeline(corpora: Sequence[str], start: str) -> Pipeline:
    """Finetune an encoder on the windows with answers of some corpora.

    Args:
        corpora: Names of the corpora.
        start: Catalog entry of the encoder.
    """
    node = Node(
        _with_cuts(corpora),
        inputs={
            "start": start,
            "splits": "splits",
            "params": f"params:{FINETUNE}",
            "runs": f"{FINETUNE}.runs",
            "ledger": "test_ledger",
        }
        | {f"{corpus}__{what}": f"{corpus}.{what}" for corpus in corpora for what in _OF_CORPUS}
        | {f"{corpus}__cuts": f"params:{corpus}.window" for corpus in corpora},
        outputs={k: f"{FINETUNE}.{k}" for k in ("encoder", "metrics", "predictions", *FIGURES)},
        name="finetune_encoder",
        tags=[FINETUNE],
    )
    return Pipeline([node])


def _with_cuts(corpora: Sequence[str]) -> Callable[..., dict[str, Any]]:
    """Name the cuts of each corpus among the arguments: Kedro builds and checks a parameter by what stands there."""
    run = update_wrapper(partial(finetune_encoder), finetune_encoder)
    named = {f"{corpus}__cuts": WindowParams for corpus in corpora}
    signature = inspect.signature(finetune_encoder)
    known = [one for one in signature.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
    cuts = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=of) for name, of in named.items()]
    rest = [one for one in signature.parameters.values() if one.kind is inspect.Parameter.VAR_KEYWORD]
    run.__signature__ = signature.replace(parameters=[*known, *cuts, *rest])  # type: ignore[attr-defined]
    run.__annotations__ = {**finetune_encoder.__annotations__, **named}
    return run

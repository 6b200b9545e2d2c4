"""Check a probe before the training of its encoder."""

import logging
from collections.abc import Mapping
from typing import Any

from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from eegfm.errors import EegfmError
from eegfm.evaluation.config import ProbeParams
from eegfm.project.encoder_guard import ENCODER

logger = logging.getLogger(__name__)

_PRETRAIN, _PROBE = "params:pretrain", "params:probe"


class ProbeAhead:
    """The probe of a run, as far as its inputs are known before the training.

    Args:
        pipeline: Steps of the run.
        later: Steps of a probe that may follow in a run of its own. What it would refuse is only a warning.
    """

    def __init__(self, pipeline: Pipeline | None = None, later: Pipeline | None = None) -> None:
        own, others = _probe_of(pipeline), _probe_of(later)
        self._probe, self._is_later = own or others, own is None
        self._unmade = pipeline.all_outputs() if pipeline else set()

    def begin(self, node: Node, catalog: CatalogProtocol[Any, Any], inputs: Mapping[str, Any]) -> None:
        """Stop before a training whose encoder the probe of the same run would refuse.

        Tables of the probe that are not there yet are not waited for.

        Raises:
            SplitError: Persons, classes, folds or windows of the probe are too few.
            CheckpointError: Signals or windows of the probe do not fit the encoder.
        """
        if self._probe is None or ENCODER not in node.outputs or _PRETRAIN not in node.inputs:
            return
        read = [name for name in self._probe.inputs if name not in (ENCODER, _PROBE)]
        [windows] = [name for name in read if name.endswith(".windows")]
        [signals] = [name for name in read if name.endswith(".signals")]
        if self._unmade & {*read} or not all(catalog[name].exists() for name in read):
            return
        from eegfm.jobs.probe.ahead import check_ahead

        ending = ".signals"
        stores = {name.removesuffix(ending): value for name, value in inputs.items() if name.endswith(ending)}
        try:
            check_ahead(
                inputs["mixture"],
                stores,
                inputs[_PRETRAIN],
                catalog.load(signals),
                catalog.load(windows),
                inputs["splits"],
                _parameters(catalog),
            )
        except EegfmError as error:
            if not self._is_later:
                raise
            logger.warning("The encoder will be trained, but a probe of it would be refused: %s", error)

    def end(self, node: Node) -> None:
        """Note what a step has made. Kedro saves it before it starts a step that reads it."""
        self._unmade -= {*node.outputs}


def _parameters(catalog: CatalogProtocol[Any, Any]) -> ProbeParams:
    """Parameters of the probe. Kedro builds the typed ones of the run's own steps only."""
    found = catalog.load(_PROBE)
    return found if isinstance(found, ProbeParams) else ProbeParams.model_validate(found)


def _probe_of(pipeline: Pipeline | None) -> Node | None:
    nodes = pipeline.nodes if pipeline else []
    return next((node for node in nodes if {_PROBE, ENCODER} <= {*node.inputs}), None)

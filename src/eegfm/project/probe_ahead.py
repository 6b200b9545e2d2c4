"""Check a probe before the training of its encoder, if one run holds both."""

from collections.abc import Mapping
from typing import Any

from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from eegfm.project.encoder_guard import ENCODER

_PRETRAIN, _PROBE = "params:pretrain", "params:probe"


class ProbeAhead:
    """The probe of a run, as far as its inputs are known before the training.

    Args:
        pipeline: Steps of the run.
    """

    def __init__(self, pipeline: Pipeline | None = None) -> None:
        nodes = pipeline.nodes if pipeline else []
        self._probe = next((node for node in nodes if {_PROBE, ENCODER} <= {*node.inputs}), None)
        self._unmade = pipeline.all_outputs() if pipeline else set()

    def begin(self, node: Node, catalog: CatalogProtocol[Any, Any], inputs: Mapping[str, Any]) -> None:
        """Stop before a training whose encoder the probe of the same run would refuse.

        Tables of the probe that the run has not made yet are not waited for.

        Raises:
            SplitError: Persons, classes, folds or windows of the probe are too few.
            CheckpointError: Signals or windows of the probe do not fit the encoder.
        """
        if self._probe is None or ENCODER not in node.outputs or _PRETRAIN not in node.inputs:
            return
        read = [name for name in self._probe.inputs if name not in (ENCODER, _PROBE)]
        [windows] = [name for name in read if name.endswith(".windows")]
        [signals] = [name for name in read if name.endswith(".signals")]
        if self._unmade & {*read}:
            return
        from eegfm.jobs.probe.ahead import check_ahead

        ending = ".signals"
        stores = {name.removesuffix(ending): value for name, value in inputs.items() if name.endswith(ending)}
        check_ahead(
            inputs["mixture"],
            stores,
            inputs[_PRETRAIN],
            catalog.load(signals),
            catalog.load(windows),
            inputs["splits"],
            catalog.load(_PROBE),
        )

    def end(self, node: Node) -> None:
        """Note what a step has made. Kedro saves it before it starts a step that reads it."""
        self._unmade -= {*node.outputs}

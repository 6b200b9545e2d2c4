"""Check a probe before the training of its encoder."""

import logging
from collections.abc import Mapping
from typing import Any

from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from eegfm.errors import EegfmError
from eegfm.evaluation.config import ProbeParams
from eegfm.project.encoder_steps import made_encoder, maker_key, trains

logger = logging.getLogger(__name__)

_PROBE = "params:probe"
_LEDGER = "test_ledger"
"""The book of looks at test sets: what is checked ahead is no look."""


class ProbeAhead:
    """Checks the probes of a run before its trainings, as far as their inputs are there by then.

    Args:
        pipeline: Steps of the run.
        later: Steps of probes that may follow in runs of their own. What they would refuse is only a warning.
    """

    def __init__(self, pipeline: Pipeline | None = None, later: Pipeline | None = None) -> None:
        self._own, self._later = _probes_of(pipeline), _probes_of(later)
        self._unmade = pipeline.all_outputs() if pipeline else set()

    def begin(self, node: Node, catalog: CatalogProtocol[Any, Any], inputs: Mapping[str, Any]) -> None:
        """Stop before a training whose encoder the probe of the same run would refuse.

        Tables of the probe that are not there yet are not waited for.

        Raises:
            SplitError: Persons, classes, folds or windows of the probe are too few.
            CheckpointError: Signals or windows of the probe do not fit the encoder.
        """
        encoder = made_encoder(node)
        probe = self._own.get(encoder) or self._later.get(encoder)
        if probe is None or not trains(node):
            return
        read = [name for name in probe.inputs if name not in (encoder, _PROBE, _LEDGER)]
        if self._unmade & {*read} or not all(catalog[name].exists() for name in read):
            return
        from eegfm.jobs.probe.ahead import check_ahead

        probed = {name: catalog.load(name) for name in read}
        try:
            check_ahead(
                inputs["mixture"],
                _by_corpus(inputs, ".signals"),
                inputs[f"params:{maker_key(node)}"],
                _by_corpus(probed, ".signals"),
                _by_corpus(probed, ".windows"),
                inputs["splits"],
                _parameters(catalog),
            )
        except EegfmError as error:
            if encoder in self._own:
                raise
            logger.warning("The encoder will be trained, but a probe of it would be refused: %s", error)

    def end(self, node: Node) -> None:
        """Note what a step has made. Kedro saves it before it starts a step that reads it."""
        self._unmade -= {*node.outputs}


def _by_corpus(entries: Mapping[str, Any], ending: str) -> dict[str, Any]:
    """Values of the entries with an ending, by corpus."""
    return {name.removesuffix(ending): value for name, value in entries.items() if name.endswith(ending)}


def _parameters(catalog: CatalogProtocol[Any, Any]) -> ProbeParams:
    """Parameters of the probe. Kedro builds the typed ones of the run's own steps only."""
    found = catalog.load(_PROBE)
    return found if isinstance(found, ProbeParams) else ProbeParams.model_validate(found)


def _probes_of(pipeline: Pipeline | None) -> dict[str, Node]:
    """Probes by the entry of the encoder that they read."""
    probes = [node for node in (pipeline.nodes if pipeline else []) if _PROBE in node.inputs]
    return {name: node for node in probes for name in node.inputs if name.endswith(".encoder")}

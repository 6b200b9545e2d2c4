"""Kedro hooks that check a run before any heavy import: parameters, raw folders, stored encoders."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.framework.project import pipelines
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from eegfm.errors import CheckpointError, EegfmError, LineageError, SplitError, StoreError
from eegfm.jobs.acquire.config import AcquireParams, FolderSource
from eegfm.pipelines.pretrain.nodes import refuse_pretraining
from eegfm.project.encoder_guard import ENCODER, check_encoder, keep_other_encoder
from eegfm.project.lineage import Lineage, refuse_workers
from eegfm.project.parameters import check_parameters, check_places, parameter_identities
from eegfm.project.preflight import check_machine
from eegfm.project.probe_ahead import ProbeAhead
from eegfm.project.report_parts import leave_out_absent

_OF_JOBS = (StoreError, SplitError, CheckpointError, LineageError)
"""Errors of jobs, which do not know the options of the run."""


class ProjectHooks:
    """Hooks of every run of this project."""

    def __init__(self) -> None:
        self._options = ""
        self._lineage = Lineage({})
        self._pretrains = True
        self._probe_ahead = ProbeAhead()

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Refuse invalid parameters, and build the pipelines for the configured corpora."""
        from eegfm.pipeline_registry import use_roles

        parameters = context.config_loader["parameters"]
        check_places(parameters, context.config_loader.runtime_params or {})
        roles = check_parameters(parameters)
        use_roles(roles)
        self._pretrains = bool(roles.pretrain)
        self._options = f" --env={context.env}" if context.env else ""
        given = ",".join(_as_given(context.config_loader.runtime_params or {}))
        if given:
            self._options += f" --params={given}"
        self._lineage = Lineage(pipelines, parameter_identities(parameters), self._options)

    @hook_impl
    def before_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> None:
        """Stop before the first node if the run cannot end well: an input is missing or does not fit, for instance."""
        refuse_workers(catalog)
        _refuse_empty_pretraining(pipeline, catalog)
        _check_raw_folders(pipeline, catalog)
        leave_out_absent(pipeline, catalog)
        self._refuse_missing(pipeline.inputs(), catalog)
        self._lineage.check_run(pipeline, catalog)
        check_encoder(pipeline, catalog)
        check_machine(pipeline, catalog)
        self._probe_ahead = ProbeAhead(pipeline, pipelines.get("probe"))

    @hook_impl
    def before_node_run(self, node: Node, catalog: CatalogProtocol[Any, Any], inputs: dict[str, Any]) -> None:
        """Stop before a step that would read two generations, and before a training whose probe would fail."""
        self._lineage.begin(node, catalog, inputs)
        self._probe_ahead.begin(node, catalog, inputs)

    @hook_impl
    def after_node_run(
        self, node: Node, catalog: CatalogProtocol[Any, Any], inputs: dict[str, Any], outputs: dict[str, Any]
    ) -> None:
        """Give the outputs of a step a record of their origin."""
        self._lineage.end(node, catalog, inputs, outputs)
        keep_other_encoder(node, catalog, outputs)
        self._probe_ahead.end(node)

    @hook_impl
    def on_pipeline_error(self, error: Exception) -> None:
        """Add the environment and options of this run to the command that a message of a job names."""
        for cause in _causes(error):
            if isinstance(cause, _OF_JOBS) and self._options not in str(cause):
                cause.args = (re.sub(r"kedro run --\w+=\w+", lambda m: m[0] + self._options, str(cause)),)

    def _refuse_missing(self, inputs: set[str], catalog: CatalogProtocol[Any, Any]) -> None:
        """Refuse a run without files that it reads and does not make. The line names the smallest command for them."""
        if ENCODER in inputs and not catalog[ENCODER].exists():
            path, options = catalog[ENCODER]._describe()["filepath"], self._options
            imports = f"FOREIGN_WEIGHTS=FILE kedro run --pipelines=import_weights{options}"
            if not self._pretrains:
                raise CheckpointError(f"no encoder at {path}; import one with: {imports}")
            raise CheckpointError(
                f"no pretrained encoder at {path}; make it with: kedro run --pipelines=pretrain{options}, or import "
                f"one with: {imports}"
            )
        read = (name for name in inputs if not name.startswith("params:") and name in catalog)
        missing = sorted(name for name in read if not catalog[name].exists())
        if missing:
            command = self._lineage.command_for(missing)
            raise EegfmError(f"not there yet: {', '.join(missing)}; run first: {command}")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and its causes."""
    while error is not None:
        yield error
        error = error.__cause__


def _as_given(params: Mapping[str, Any], key: str = "") -> Iterator[str]:
    """Parameters in the form of the command line. Lists and tables have no such form."""
    for name, value in params.items():
        if isinstance(value, Mapping):
            yield from _as_given(value, f"{key}{name}.")
        elif isinstance(value, str | int | float) and "," not in str(value):
            yield f"{key}{name}={value}"


def _refuse_empty_pretraining(pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> None:
    """Stop the run before another step if there is no corpus to pretrain on."""
    for node in pipeline.nodes:
        if node.func is refuse_pretraining:
            refuse_pretraining(catalog.load("params:corpora"))


def _check_raw_folders(pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> None:
    """Stop the run if a raw folder is missing or empty, before another corpus is made, fetched or converted."""
    from eegfm.jobs.acquire.acquire import check_folder

    for node in pipeline.nodes:
        if node.namespace is None or not node.name.endswith("acquire_raw_files"):
            continue
        acquire: AcquireParams = catalog.load(f"params:{node.namespace}.acquire")
        if isinstance(acquire.source, FolderSource):
            check_folder(node.namespace, catalog.load(f"{node.namespace}.raw_folder"))

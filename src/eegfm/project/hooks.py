"""Kedro hooks that check a run before any heavy import: raw folders, stored encoders, lineage."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.framework.project import pipelines
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from eegfm.errors import CheckpointError, ConfigError, EegfmError, LineageError, SplitError, StoreError
from eegfm.jobs.acquire.config import AcquireParams, FolderSource
from eegfm.pipelines.pretrain.nodes import refuse_pretraining
from eegfm.project.encoder_guard import check_encoder, keep_other_encoder
from eegfm.project.encoder_steps import TOKENIZER_ENTRY, read_encoders
from eegfm.project.lineage import Lineage, refuse_workers
from eegfm.project.parameters import parameter_identities
from eegfm.project.params_option import as_option
from eegfm.project.phase_blocks import checked_phases
from eegfm.project.phase_checks import check_lengths
from eegfm.project.preflight import check_machine
from eegfm.project.probe_ahead import ProbeAhead
from eegfm.project.report_parts import leave_out_absent
from eegfm.project.run_lock import RunLock
from eegfm.project.starts import follow_starts
from eegfm.splits.config import Roles
from eegfm.training.phases import DEFAULT_PHASES, FINETUNE, PROBE_ENDING, TOKENIZER, Phase

_OF_JOBS = (StoreError, SplitError, CheckpointError, LineageError)
"""Errors of jobs, which do not know the options of the run."""


class ProjectHooks:
    """Hooks of every run of this project."""

    def __init__(self) -> None:
        self._options = ""
        self._lineage = Lineage({})
        self._pretrains = True
        self._phases: tuple[Phase, ...] = DEFAULT_PHASES
        self._probe_ahead = ProbeAhead()
        self._lock = RunLock()
        self._context: KedroContext | None = None
        self._catalog: CatalogProtocol[Any, Any] | None = None

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Note what the command was, for the commands in messages. ``ProjectContext`` has checked the parameters."""
        parameters = context.config_loader["parameters"]
        self._pretrains = bool(Roles.model_validate(parameters["corpora"]).pretrain)
        self._phases = checked_phases(parameters)
        self._options = f" --env={context.env}" if context.env else ""
        self._options += as_option(context.config_loader.runtime_params or {})
        names = (TOKENIZER, *(phase.name for phase in self._phases))
        self._lineage = Lineage(pipelines, parameter_identities(parameters), self._options, names)
        self._context = context

    @hook_impl
    def before_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> None:
        """Stop before the first node if the run cannot end well: an input is missing or does not fit, for instance."""
        refuse_workers(catalog)
        self._catalog = catalog
        _refuse_empty_pretraining(pipeline, catalog, self._options)
        root = _data_root(self._context) if self._context is not None else None
        _check_raw_folders(pipeline, catalog, root)
        leave_out_absent(pipeline, catalog, tuple(phase.name for phase in self._phases))
        self._refuse_missing(pipeline, catalog)
        follow_starts(pipeline, catalog)
        self._check_lengths(pipeline, catalog)
        self._lineage.check_run(pipeline, catalog)
        check_encoder(pipeline, catalog)
        check_machine(pipeline, catalog)
        self._probe_ahead = ProbeAhead(pipeline, _all_probes())
        # A run that is refused writes nothing, not even a lock. What another run changes meanwhile, each step checks.
        if root is not None:
            self._lock.take(pipeline, catalog, root)

    @hook_impl
    def after_pipeline_run(self) -> None:
        """Let other runs write."""
        self._lock.release()

    @hook_impl
    def before_dataset_loaded(self, dataset_name: str, node: Node) -> None:
        """Note what a step is about to read."""
        if self._catalog is not None:
            self._lineage.before_load(node, dataset_name, self._catalog)

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
        """Let other runs write, and add the options of this run to the command that a message of a job names."""
        self._lock.release()
        for cause in _causes(error):
            if isinstance(cause, _OF_JOBS) and self._options not in str(cause):
                cause.args = (re.sub(r"kedro run --\w+=\w+", lambda m: m[0] + self._options, str(cause)),)

    def _check_lengths(self, pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> None:
        """Compare the lengths of windows again: a stored start may have told another encoder than the parameters."""
        if self._context is not None:
            names = [phase.name for phase in self._phases if f"params:{phase.name}" in pipeline.inputs()]
            params = {name: catalog.load(f"params:{name}") for name in names}
            check_lengths(self._context.config_loader["parameters"], self._phases, params)

    def _refuse_missing(self, pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> None:
        """Refuse a run without files that it reads and does not make. The line names the smallest command for them."""
        for name in read_encoders(pipeline):
            if name in catalog and not catalog[name].exists():
                raise CheckpointError(self._no_encoder(name, catalog))
        read = (name for name in pipeline.inputs() if not name.startswith("params:") and name in catalog)
        missing = sorted(name for name in read if not catalog[name].exists())
        if missing:
            command = self._lineage.command_for(missing)
            raise EegfmError(f"not there yet: {', '.join(missing)}; run first: {command}")

    def _no_encoder(self, name: str, catalog: CatalogProtocol[Any, Any]) -> str:
        """Name what makes a missing encoder: its phase, with the phases before it whose encoders are missing."""
        described, options = catalog[name]._describe(), self._options
        path = described.get("filepath", described.get("path"))
        if name == f"{FINETUNE}.encoder":
            return f"no finetuned encoder in {path}; make one with: kedro run --pipelines={FINETUNE}{options}"
        imports = f"FOREIGN_WEIGHTS=FILE kedro run --pipelines=import_weights{options}"
        if not self._pretrains:
            return f"no encoder at {path}; import one with: {imports}"
        by_encoder = {phase.encoder: phase for phase in self._phases}
        chain, entry = [name.partition(".")[0]], by_encoder[name].start_entry if name in by_encoder else ""
        while entry in by_encoder and not catalog[entry].exists():
            chain, entry = [by_encoder[entry].name, *chain], by_encoder[entry].start_entry
        command = f"kedro run --pipelines={','.join(chain)}{options}"
        is_first = name == self._phases[0].encoder
        what = "pretrained encoder" if is_first else f"encoder of the phase {chain[-1]}"
        if name == TOKENIZER_ENTRY:
            what = "tokenizer"
        said = f"no {what} at {path}; make it with: {command}"
        return f"{said}, or import one with: {imports}" if is_first else said


def _all_probes() -> Pipeline:
    """Probes that may follow a training in runs of their own."""
    return sum((one for name, one in pipelines.items() if f"_{name}".endswith(PROBE_ENDING)), Pipeline([]))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and its causes."""
    while error is not None:
        yield error
        error = error.__cause__


def _refuse_empty_pretraining(pipeline: Pipeline, catalog: CatalogProtocol[Any, Any], options: str) -> None:
    """Stop the run before another step if there is no corpus to pretrain on."""
    for node in pipeline.nodes:
        if node.func is refuse_pretraining:
            try:
                refuse_pretraining(catalog.load("params:corpora"))
            except ConfigError as error:
                raise ConfigError(f"{error}{options}") from None


def _data_root(context: KedroContext) -> Path:
    """Folder of everything that a run writes."""
    given = (context.config_loader.runtime_params or {}).get("data")
    return Path(context.project_path) / str(given or context.config_loader["globals"]["data"])


def _check_raw_folders(pipeline: Pipeline, catalog: CatalogProtocol[Any, Any], root: Path | None) -> None:
    """Stop the run before another corpus is made, fetched or converted if a raw folder is missing, empty or written to.

    Args:
        pipeline: The steps of the run.
        catalog: Their catalog.
        root: Folder of everything that the run writes.
    """
    from eegfm.jobs.acquire.acquire import check_folder

    for node in pipeline.nodes:
        if node.namespace is None or not node.name.endswith("acquire_raw_files"):
            continue
        acquire: AcquireParams = catalog.load(f"params:{node.namespace}.acquire")
        if isinstance(acquire.source, FolderSource):
            folder: Path = catalog.load(f"{node.namespace}.raw_folder")
            check_folder(node.namespace, folder)
            if root is not None and root.resolve().is_relative_to(folder.resolve()):
                raise ConfigError(
                    f"the data folder {root} lies in the raw folder {folder} of {node.namespace}, which is only read; "
                    "choose another with --params=data=FOLDER, or data in globals.yml"
                )

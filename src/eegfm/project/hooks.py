"""Kedro hooks that check a run before any heavy import: parameters, raw folders, stored encoders."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.framework.project import pipelines
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from eegfm.errors import CheckpointError, EegfmError, StoreError
from eegfm.jobs.acquire.config import AcquireParams, FolderSource
from eegfm.project.lineage import Lineage, refuse_workers
from eegfm.project.parameters import check_parameters, parameter_identities
from eegfm.project.run_lock import RunLock


class ProjectHooks:
    """Hooks of every run of this project."""

    def __init__(self) -> None:
        self._options = ""
        self._lineage = Lineage({})
        self._lock = RunLock()
        self._context: KedroContext | None = None
        self._catalog: CatalogProtocol[Any, Any] | None = None

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Refuse invalid parameters, and build the pipelines for the configured corpora."""
        from eegfm.pipeline_registry import use_roles

        parameters = context.config_loader["parameters"]
        use_roles(check_parameters(parameters))
        self._options = f" --env={context.env}" if context.env else ""
        given = ",".join(_as_given(context.config_loader.runtime_params or {}))
        if given:
            self._options += f" --params={given}"
        self._lineage = Lineage(pipelines, parameter_identities(parameters), self._options)
        self._context = context

    @hook_impl
    def before_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> None:
        """Stop before the first node if an input is missing that no node makes, or if inputs do not fit."""
        refuse_workers(catalog)
        self._catalog = catalog
        _check_raw_folders(pipeline, catalog)
        inputs = pipeline.inputs()
        if "pretrain.encoder" in inputs and not catalog["pretrain.encoder"].exists():
            path = catalog["pretrain.encoder"]._describe()["filepath"]
            raise CheckpointError(
                f"no pretrained encoder at {path}; make it with: kedro run --pipelines=pretrain{self._options}"
            )
        missing = sorted(
            name for name in inputs if not name.startswith("params:") and name in catalog and not catalog[name].exists()
        )
        if missing:
            raise EegfmError(
                f"not there yet: {', '.join(missing)}; run the whole project first: kedro run{self._options}"
            )
        self._lineage.check_run(pipeline, catalog)
        # A run that is refused writes nothing, not even a lock. What another run changes meanwhile, each step checks.
        if self._context is not None:
            self._lock.take(pipeline, catalog, _data_root(self._context))

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
        """Stop before a step that would read two generations."""
        self._lineage.begin(node, catalog, inputs)

    @hook_impl
    def after_node_run(
        self, node: Node, catalog: CatalogProtocol[Any, Any], inputs: dict[str, Any], outputs: dict[str, Any]
    ) -> None:
        """Give the outputs of a step a record of their origin."""
        self._lineage.end(node, catalog, inputs, outputs)

    @hook_impl
    def on_pipeline_error(self, error: Exception) -> None:
        """Let other runs write, and add the environment and options of this run to the repair command of a store."""
        self._lock.release()
        for cause in _causes(error):
            if isinstance(cause, StoreError):
                cause.args = (re.sub(r"kedro run --\w+=\w+", lambda m: m[0] + self._options, str(cause)),)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and its causes."""
    while error is not None:
        yield error
        error = error.__cause__


def _data_root(context: KedroContext) -> Path:
    """Folder of everything that a run writes."""
    given = (context.config_loader.runtime_params or {}).get("data")
    return Path(context.project_path) / str(given or context.config_loader["globals"]["data"])


def _as_given(params: Mapping[str, Any], key: str = "") -> Iterator[str]:
    """Parameters in the form of the command line. Lists and tables have no such form."""
    for name, value in params.items():
        if isinstance(value, Mapping):
            yield from _as_given(value, f"{key}{name}.")
        elif isinstance(value, str | int | float) and "," not in str(value):
            yield f"{key}{name}={value}"


def _check_raw_folders(pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> None:
    """Stop the run if a raw folder is missing or empty, before another corpus is made, fetched or converted."""
    from eegfm.jobs.acquire.acquire import check_folder

    for node in pipeline.nodes:
        if node.namespace is None or not node.name.endswith("acquire_raw_files"):
            continue
        acquire: AcquireParams = catalog.load(f"params:{node.namespace}.acquire")
        if isinstance(acquire.source, FolderSource):
            check_folder(node.namespace, catalog.load(f"{node.namespace}.raw_folder"))

"""Checks before a run: known parameters, present raw folders, stored encoders. All before any heavy import."""

import logging
from typing import Any

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from pydantic import TypeAdapter, ValidationError

from eegfm import console
from eegfm.corpora.config import AcquireParams, FolderSource
from eegfm.errors import CheckpointError, ConfigError, EegfmError
from eegfm.jobs.config import CorpusParams
from eegfm.windows.config import Roles

_log = logging.getLogger(__name__)

SHARED_PARAMETERS = ("corpora", "data", "mix", "pretrain", "probe", "report", "signal", "split")
"""Top-level parameters that are not the name of a corpus; ``data`` moves everything a run writes."""


class ProjectHooks:
    """What the project asks of every run."""

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Refuse unknown parameters and build the pipelines for the corpora that the configuration names."""
        from eegfm.pipeline_registry import use_roles

        parameters = context.config_loader["parameters"]
        roles = check_parameters(parameters)
        use_roles(roles)

    @hook_impl
    def before_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> None:
        """Stop before the first node where an input is missing that no node of this run makes."""
        _check_raw_folders(pipeline, catalog)
        inputs = pipeline.inputs()
        if "pretrain.encoder" in inputs and not catalog["pretrain.encoder"].exists():
            path = catalog["pretrain.encoder"]._describe()["filepath"]
            raise CheckpointError(f"no pretrained encoder at {path}; make it with: kedro run --pipelines=pretrain")
        missing = sorted(
            name for name in inputs if not name.startswith("params:") and name in catalog and not catalog[name].exists()
        )
        if missing:
            raise EegfmError(f"not there yet: {', '.join(missing)}; run the whole project first: kedro run")


def check_parameters(parameters: dict[str, Any]) -> Roles:
    """Check the top level of the parameters; typed nodes check what lies below.

    Returns:
        Which corpora there are and what for.

    Raises:
        ConfigError: A key that is neither shared nor a complete corpus, or a role that names no corpus.
    """
    if "corpora" not in parameters:
        raise ConfigError("parameters: 'corpora' is missing; it names the corpora to pretrain and to probe on")
    roles: Roles = _validated(Roles, parameters["corpora"], "corpora")
    corpora = [key for key in parameters if key not in SHARED_PARAMETERS]
    for name in corpora:
        block = parameters[name]
        if not isinstance(block, dict) or "ingest" not in block:
            known = sorted({*SHARED_PARAMETERS, *(c for c in corpora if c != name)})
            raise ConfigError(
                f"unknown parameter {name!r}; known: {', '.join(known)}{console.did_you_mean(name, known)} "
                "(a corpus needs at least the keys ingest and window)"
            )
        _validated(CorpusParams, block, name)
    for name in [*roles.pretrain, *([roles.probe] if roles.probe else [])]:
        if name not in corpora:
            raise ConfigError(f"corpora: {name!r} has no parameters; there are {', '.join(sorted(corpora))}")
    return roles


def _validated(model: Any, value: Any, key: str) -> Any:
    try:
        return TypeAdapter(model).validate_python(value)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join([key, *(str(part) for part in problem["loc"])])
        raise ConfigError(f"parameter {where}: {problem['msg']} (found {problem['input']!r})") from error


def _check_raw_folders(pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> None:
    """A folder source that is missing or empty stops the run before another corpus is simulated or converted."""
    for node in pipeline.nodes:
        if node.namespace is None or not node.name.endswith("acquire_raw_files"):
            continue
        acquire: AcquireParams = catalog.load(f"params:{node.namespace}.acquire")
        folder = catalog.load(f"{node.namespace}.raw_folder")
        if isinstance(acquire.source, FolderSource) and not (folder.is_dir() and any(folder.iterdir())):
            found = "is empty" if folder.is_dir() else "does not exist"
            raise EegfmError(
                f"{node.namespace}: raw folder {folder} {found}; point the catalog entry {node.namespace}.raw_folder "
                "(or the environment variable that it reads) at the recordings"
            )

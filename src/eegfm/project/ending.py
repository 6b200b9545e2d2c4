"""The last lines of a run: where its results are."""

import logging
from pathlib import Path
from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

logger = logging.getLogger(__name__)

_RESULTS = ("encoder", "metrics", "export", "report")
"""Last parts of the names of entries that a user looks for, in the order of a run."""
_OF_INGESTION = "file_outcomes"


class EndHooks:
    """Hook that ends a run with the paths of its results."""

    @hook_impl
    def after_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> None:
        """Name the report, encoders, metrics and exports that the run made; if there are none, the tables of files."""
        made = [name for node in pipeline.nodes for name in node.outputs]
        found = [name for kind in _RESULTS for name in made if _last_part(name) == kind]
        for name in found or [name for name in made if _last_part(name) == _OF_INGESTION]:
            place = _path(catalog, name)
            if place:
                logger.info("%s: %s", name, place)


def _last_part(name: str) -> str:
    return name.rpartition(".")[2]


def _path(catalog: CatalogProtocol[Any, Any], name: str) -> str:
    """Path of an entry, from the working folder if it lies below it; empty for an entry without a file."""
    described = catalog[name]._describe() if name in catalog else {}
    place = described.get("filepath", described.get("path"))
    if place is None:
        return ""
    path, here = Path(str(place)), Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)

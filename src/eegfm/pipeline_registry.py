"""Register the pipelines of the project.

The list of corpora is configuration (``params:corpora``). ``ProjectContext`` hands these roles over before Kedro asks
for the pipelines. Without a context (``kedro registry list``) the embedded default is used.
"""

from kedro.framework.project import pipelines as kedro_pipelines
from kedro.pipeline import Pipeline

from eegfm.pipelines import export, import_weights, ingest, mix, pretrain, probe, report, window
from eegfm.splits.config import Roles

DEFAULT_ROLES = Roles(pretrain=["tuh", "hbn"], probe="hbn")
_roles = DEFAULT_ROLES


def use_roles(roles: Roles) -> None:
    """Build the pipelines for these corpora from now on."""
    global _roles  # noqa: PLW0603  Kedro calls register_pipelines() without arguments
    if roles != _roles:
        _roles = roles
        kedro_pipelines.configure(__name__)  # drops the pipelines that were loaded before


def register_pipelines() -> dict[str, Pipeline]:
    """Every pipeline by name. Pipelines up to the probe start at raw files and skip data that exists."""
    pretrained, corpora = list(_roles.pretrain), _roles.corpora
    ingested = sum((ingest.create_pipeline(c) for c in corpora), Pipeline([]))
    windowed = ingested + sum((window.create_pipeline(c) for c in corpora), Pipeline([]))
    mixed = windowed + mix.create_pipeline(corpora, pretrained)
    pretraining = pretrain.create_pipeline(pretrained)
    probing = probe.create_pipeline(_roles.probe) if _roles.probe else Pipeline([])
    reporting = report.create_pipeline(corpora, pretrained=bool(pretrained), probed=bool(_roles.probe))
    registry = {
        "ingest": ingested,
        "window": windowed,
        "mix": mixed,
        "pretrain": mixed + pretraining if pretrained else pretraining,
        "import_weights": import_weights.create_pipeline(),
        "export": export.create_pipeline(),
        "report": reporting,
        # An encoder that comes from elsewhere is there, or an error names the command that imports it.
        "__default__": mixed + (pretraining if pretrained else Pipeline([])) + probing + reporting,
    }
    if _roles.probe:
        # With all tables of a report, so that a report can follow, but without the mixture, which only training reads.
        registry["probe"] = windowed + mix.create_pipeline(corpora, []) + probing
    return registry

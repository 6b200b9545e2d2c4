"""Kedro settings. Kedro imports them first, so they also install the handling of errors, warnings and signals."""

import os
import sys
import warnings
from pathlib import Path

import yaml
from kedro.framework.project import LOGGING
from kedro.utils import find_config_file

from eegfm.errors import ConfigError
from eegfm.project import console
from eegfm.project.config_loader import ConfigLoader
from eegfm.project.context import ProjectContext
from eegfm.project.ending import EndHooks
from eegfm.project.hooks import ProjectHooks
from eegfm.project.model_folder import model_folder
from eegfm.stopping import stop_before_the_run

# Silence two warnings. Kedro registers its resolvers through a name that omegaconf 2.4 has deprecated. It also warns if
# a node reads from another namespace, and corpora meet in this way here.
warnings.filterwarnings("ignore", message=".*register_new_resolver.*", category=UserWarning)
warnings.filterwarnings("ignore", message=".*dataset names contain.*", category=UserWarning)
_LOGGING = Path(__file__).parents[2] / "conf" / "logging.yml"
if find_config_file("conf/logging") is None and "KEDRO_LOGGING_CONFIG" not in os.environ and _LOGGING.is_file():
    # Kedro looks for it from the working folder alone, which may be any folder of the project, e.g. a notebook's.
    LOGGING.configure(yaml.safe_load(_LOGGING.read_text(encoding="utf-8")))
console.install()
stop_before_the_run(sys.argv)


def _environment_variable(name: str, default: str | None = None) -> str:
    """Resolve ``${env:NAME}`` in ``globals.yml``. Kedro reserves ``oc.env`` for credentials."""
    value = os.environ.get(name, default)
    if not value:
        raise ConfigError(
            f"environment variable {name} is not set; set it to the folder of the recordings, e.g. {name}=/data/eeg"
        )
    return value


HOOKS = (ProjectHooks(), EndHooks())
# The run hooks of kedro-viz write into the project's folder, even if a run writes elsewhere.
DISABLE_HOOKS_FOR_PLUGINS = ("kedro-viz",)
CONTEXT_CLASS = ProjectContext
CONFIG_LOADER_CLASS = ConfigLoader
CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    "merge_strategy": {"parameters": "soft", "globals": "soft"},
    "custom_resolvers": {"env": _environment_variable, "model_folder": model_folder},
    "config_patterns": {"globals": ["globals*", "**/globals*"]},
}

"""Kedro's context for this project. Tools that run without hooks build it too."""

from typing import Any

from kedro.framework.context import KedroContext

from eegfm.project.parameters import check_parameters, check_places, with_finetune_tasks
from eegfm.project.phase_blocks import checked_phases, checked_tokenizer
from eegfm.training.phases import FINETUNE


class ProjectContext(KedroContext):
    """Check the parameters, and build the pipelines for the corpora and phases of this environment.

    This is no hook: Kedro-Viz (without ``--include-hooks``) and editors load a context, and run no hooks.

    Raises:
        ConfigError: A parameter is invalid.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        from eegfm.pipeline_registry import use_roles

        super().__init__(*args, **kwargs)
        parameters = self.config_loader["parameters"]
        check_places(parameters, self.config_loader.runtime_params or {})
        roles, block = check_parameters(parameters), parameters.get(FINETUNE) or {}
        start = block.get("start", "previous")
        phases, tokenizer = checked_phases(parameters), checked_tokenizer(parameters)
        has_answers = bool((with_finetune_tasks(parameters).get(FINETUNE) or {}).get("tasks"))
        use_roles(roles, phases, tokenizer, start, has_answers=has_answers)

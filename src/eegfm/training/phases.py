"""Phases of training: their names, and the weights that each starts from. No torch here."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from eegfm.config import StrictModel
from eegfm.splits.config import RESERVED

Start = Literal["scratch", "previous", "file"]
"""Weights that a phase starts from: those of a seed, of the phase before it, or of the file that ``ENCODER`` names."""
PROBE_ENDING, EXPORT_ENDING = "_probe", "_export"

FINETUNE = "finetune"
"""Name of finetuning: of its parameters, pipeline, tag and catalog entries. It is no phase: nothing starts from it."""
TOKENIZER = "tokenizer"
"""Name of the training of the tokenizer. It is one like those of the phases, but none of them: a phase that predicts
codes reads its encoder."""

_MAY_BE_PHASES = {"pretrain", "contrast", TOKENIZER}
_OF_STEPS = {"encoder", "phases"}
"""Names that steps or parameters of the project have."""


def _not_reserved(name: str) -> str:
    if name in (RESERVED | _OF_STEPS) - _MAY_BE_PHASES or name.endswith((PROBE_ENDING, EXPORT_ENDING)):
        raise ValueError(f"{name!r} cannot name a phase, it means something else; choose another name")
    return name


PhaseName = Annotated[
    str, Field(pattern=r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$", max_length=40), AfterValidator(_not_reserved)
]
"""Lower case, digits and single underscores: it becomes part of folders, catalog entries, pipelines and parameters."""


class Phase(StrictModel):
    """A phase of training, as far as the pipelines differ by it.

    Args:
        name: Its name: that of its parameters, pipeline, tag, catalog entries and folders.
        start: Weights that it starts from.
        previous: Name of the phase before it; empty for the first one.
        needs_tokenizer: Whether it predicts the codes of the tokenizer.
    """

    name: PhaseName
    start: Start = "scratch"
    previous: str = ""
    needs_tokenizer: bool = False

    @property
    def encoder(self) -> str:
        """Catalog entry of its encoder."""
        return f"{self.name}.encoder"

    @property
    def start_entry(self) -> str:
        """Catalog entry of the weights that it starts from; empty for weights of a seed."""
        return {"scratch": "", "previous": f"{self.previous}.encoder", "file": f"{self.name}.start"}[self.start]

    @property
    def tokenizer_entry(self) -> str:
        """Catalog entry of the tokenizer whose codes it predicts; empty for none."""
        return f"{TOKENIZER}.encoder" if self.needs_tokenizer else ""


TOKENIZER_PHASE = Phase(name=TOKENIZER)
DEFAULT_PHASES = (Phase(name="pretrain"),)


def probe_name(phase: Phase, phases: tuple[Phase, ...]) -> str:
    """Return the name of a phase's probe: of its pipeline, tag and catalog entries. The last phase's is ``probe``."""
    return "probe" if phase == phases[-1] else f"{phase.name}{PROBE_ENDING}"


def export_name(phase: Phase, phases: tuple[Phase, ...]) -> str:
    """Return the name of the pipeline that exports the encoder of a phase. That of the last phase is ``export``."""
    return "export" if phase == phases[-1] else f"{phase.name}{EXPORT_ENDING}"

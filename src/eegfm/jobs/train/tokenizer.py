"""Check the tokenizer whose codes a training predicts."""

from eegfm.batch import SignalSpec
from eegfm.checkpoint import Checkpoint
from eegfm.errors import CheckpointError, ConfigError
from eegfm.jobs.train.data import TrainingData
from eegfm.jobs.train.start import check_persons
from eegfm.splits.leakage import SplitTable
from eegfm.training.config import PretrainParams

_AGAIN = "make it with: kedro run --pipelines=tokenizer"


def check_tokenizer(
    tokenizer: Checkpoint | None, splits: SplitTable, params: PretrainParams, data: TrainingData, phase: str
) -> None:
    """Refuse a tokenizer that is missing or does not fit this training, whose encoder will know what it knows.

    Args:
        tokenizer: The tokenizer whose codes are predicted.
        splits: Persons and splits of this training.
        params: Choices; whether codes are predicted, and whether test persons are allowed.
        data: Windows of this training.
        phase: Name of the phase, for messages.

    Raises:
        ConfigError: Codes are to be predicted, and there is no tokenizer.
        CheckpointError: The tokenizer was trained on signals of another rate or with other filters.
        SplitError: It has seen test persons, and that is not allowed.
    """
    if tokenizer is None:
        if params.objective.needs_tokenizer:
            raise ConfigError(f"{phase}.objective.target is codes, and there is no tokenizer; {_AGAIN}")
        return
    header = tokenizer.header
    prepared = {"rate_hz": SignalSpec.from_dict(header.signal_spec).rate_hz, **header.filters}
    here = {"rate_hz": data.spec.rate_hz, **data.filters}
    if prepared != here:
        raise CheckpointError(
            f"the tokenizer was trained on signals with {prepared}, those of {phase} have {here}; {_AGAIN}"
        )
    check_persons(header, splits, params, phase, "predicts the codes of a tokenizer", _AGAIN)

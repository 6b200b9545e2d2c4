"""Names of phases, and the catalog entries that belong to them."""

import pytest
from pydantic import ValidationError

from eegfm.training.phases import DEFAULT_PHASES, TOKENIZER_PHASE, Phase, export_name, probe_name

PHASES = (Phase(name="pretrain"), Phase(name="adapt", start="previous", previous="pretrain"))


@pytest.mark.parametrize("name", ["pretrain", "contrast", "adapt", "adapt_2", "a"])
def test_names(name: str) -> None:
    assert Phase(name=name).encoder == f"{name}.encoder"


@pytest.mark.parametrize(
    "name",
    ["probe", "report", "mix", "import_weights", "export", "start", "phases", "encoder", "x_probe", "x_export",
     "", "Adapt", "2nd", "a-b", "a.b", "a__b", "a_", "é", "x" * 41],
)  # fmt: skip
def test_names_that_mean_something_else_or_are_no_plain_names(name: str) -> None:
    with pytest.raises(ValidationError):
        Phase(name=name)


def test_where_a_phase_starts() -> None:
    assert [phase.start_entry for phase in PHASES] == ["", "pretrain.encoder"]
    assert Phase(name="adapt", start="file", previous="pretrain").start_entry == "adapt.start"


def test_a_phase_of_codes_reads_the_tokenizer() -> None:
    assert [phase.tokenizer_entry for phase in PHASES] == ["", ""]
    assert Phase(name="pretrain", needs_tokenizer=True).tokenizer_entry == "tokenizer.encoder"
    assert TOKENIZER_PHASE.encoder == "tokenizer.encoder"


def test_the_last_phase_has_the_plain_names() -> None:
    assert [probe_name(phase, PHASES) for phase in PHASES] == ["pretrain_probe", "probe"]
    assert [export_name(phase, PHASES) for phase in PHASES] == ["pretrain_export", "export"]
    assert [probe_name(phase, DEFAULT_PHASES) for phase in DEFAULT_PHASES] == ["probe"]

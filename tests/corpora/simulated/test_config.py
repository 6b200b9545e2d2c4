import subprocess
import sys

import pytest
from pydantic import TypeAdapter, ValidationError

from eegfm.corpora.simulated.config import SimulatedConfig, SimulatedHbn, SimulatedTuh


def test_union_chooses_by_name_and_survives_json() -> None:
    adapter: TypeAdapter[SimulatedTuh | SimulatedHbn] = TypeAdapter(SimulatedConfig)
    for config in (SimulatedTuh(n_subjects=3), SimulatedHbn(movies=("ThePresent",), file_format="set")):
        assert adapter.validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"resting_s": 0, "n_ccd_runs": 0, "movies": ()}, "no task is left"),
        ({"resting_s": 5}, "at least 20 s"),
        ({"movies": ("ThePresent", "ThePresent")}, "twice"),
        ({"movies": ("Jaws",)}, "DespicableMe"),
        ({"n_subject": 3}, "Extra inputs"),
    ],
)
def test_refuses_what_cannot_be_simulated(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SimulatedHbn.model_validate(values)


def test_rate_follows_the_file_format() -> None:
    assert (SimulatedHbn().rate_hz, SimulatedHbn(file_format="set").rate_hz) == (100, 500)


def test_imports_neither_torch_nor_mne_for_the_menu() -> None:
    code = (
        "import sys, eegfm.corpora.simulated.config; assert not {'torch', 'mne'} & set(sys.modules); "
        "import eegfm.corpora.simulated.writer, eegfm.corpora.simulated.ceiling; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

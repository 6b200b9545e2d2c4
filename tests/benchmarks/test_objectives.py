"""The trainings of the table of objectives: their parameters are those of runs that could begin."""

import sys
import warnings
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.objectives import ENV, TABLES, Variant, of_all

from eegfm import settings
from eegfm.project.config_loader import ConfigLoader
from eegfm.project.parameters import PLACES, check_parameters
from eegfm.project.params_option import parse_params
from kedro_project import PROJECT_ROOT

VARIANTS = [variant for table in TABLES.values() for variant in table]


def test_rows_of_one_name_are_one_training() -> None:
    names = [variant.name for variant in VARIANTS]
    assert len(set(names)) == len(set(VARIANTS))
    assert {variant.start for variant in VARIANTS if variant.start} <= set(names)


@pytest.mark.parametrize("variant", [VARIANTS[0], *VARIANTS[6::4]], ids=lambda variant: variant.name)
def test_parameters_pass_the_checks(variant: Variant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENCODER", "encoder.safetensors")
    given = parse_params(",".join([*of_all(variant, 6, Path("data")), *variant.params]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loader = ConfigLoader(str(PROJECT_ROOT / "conf"), ENV, given, **settings.CONFIG_LOADER_ARGS)
    parameters = loader["parameters"]
    check_parameters({key: value for key, value in parameters.items() if key not in PLACES})
    assert parameters["phases"] == list(variant.phases)

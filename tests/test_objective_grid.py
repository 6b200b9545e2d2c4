"""Every objective with encoders of three kinds, by the commands of a user: trained, killed, gone on with, probed."""

import json
import os
import re
from itertools import product
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from eegfm.config import first_problem
from eegfm.objectives.config import AnyObjectiveConfig
from eegfm.training.config import PretrainParams
from kedro_project import Command, kedro
from warm_process import WarmProcess

is_asked_for = pytest.mark.skipif(
    os.environ.get("EEGFM_OBJECTIVES") != "full" or not hasattr(os, "fork"), reason="EEGFM_OBJECTIVES=full, on POSIX"
)
OBJECTIVES = [member.model_fields["name"].default for member in get_args(get_args(AnyObjectiveConfig)[0])]
ENCODERS = ("patch_transformer", "luna", "conv")
CODES = "codes"
"""The objective ``masked`` that predicts the codes of a tokenizer."""
CASES = [*product(OBJECTIVES, ENCODERS), *product([CODES], ENCODERS), ("tokenizer", "labram")]
DATA = "phases=[pretrain],hbn.acquire.source.movie_s=60,mix.cuts=[movies],"
DATA += "hbn.window.cuts.movies={name: hbn_movies, movies: [DespicableMe]}"
HBN = "corpora.pretrain=[hbn],mix.weights={hbn: 1.0}"
"""Movies are HBN's alone."""
REFUSED = {("mae", "luna"), ("mae", "conv"), (CODES, "luna"), *product(["tokenizer"], ENCODERS)}
"""``mae`` leaves patches out, codes are of patches of one length, and the tokenizer has a pipeline of its own."""
PROGRAM = "import runpy, sys; sys.path.insert(0, 'tests'); runpy.run_module('objective_grid', run_name='__main__')"


def options(objective: str, encoder: str) -> dict[str, Any]:
    """Data, phase and parameters of a case. Batches are such that pairs of both corpora share them."""
    given = f"{DATA},{HBN}" if objective == "isc" else DATA
    if encoder == "labram":
        return {"phase": "tokenizer", "given": f"{given},tokenizer.n_steps=6,tokenizer.checkpoint.every_steps=2"}
    what = "pretrain.objective.target=codes" if objective == CODES else f"pretrain.objective.name={objective}"
    size = "pretrain.batch_size=20,pretrain.checkpoint.every_steps=2,pretrain.n_validation_windows=20,"
    size += "pretrain.validation_interval_steps=6,probe.n_untrained=1"
    return {"phase": "pretrain", "given": f"{given},{size},{what},pretrain.encoder.name={encoder}"}


@pytest.fixture(scope="module")
def found(warm: WarmProcess, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What each case gave. The tokenizer comes first, so that there are codes."""
    folder = tmp_path_factory.mktemp("grid")
    for name, params in {"both": DATA, "hbn": f"{DATA},{HBN}"}.items():
        args = ("run", "--env=test", "--pipelines=mix", f"--params=data={folder / name},{params}")
        [outcome] = kedro(Command(args, folder / f"{name}_said"))
        assert outcome.code == 0, outcome.err[-3000:]
    tokenizer = {"06_models/tokenizer": str(folder / "tokenizer-labram/whole/06_models/tokenizer")}
    asked = {
        f"{objective}-{encoder}": {
            "data": str(folder / ("hbn" if objective == "isc" else "both")),
            "killed_at": 4,
            "links": tokenizer if objective == CODES else {},
            **options(objective, encoder),
        }
        for objective, encoder in reversed(CASES)
    }
    (folder / "cases.json").write_text(json.dumps(asked))
    done = warm.run(PROGRAM, str(folder / "cases.json"), folder=folder, timeout_s=7200)
    assert done.returncode == 0, done.stderr[-3000:]
    lines = (folder / "cases.found").read_text().splitlines()
    return {line.pop("case"): line for line in map(json.loads, lines)}


@is_asked_for
@pytest.mark.parametrize(("objective", "encoder"), CASES)
def test_it_trains_goes_on_after_a_kill_and_is_probed_or_is_refused(
    found: dict[str, dict[str, Any]], objective: str, encoder: str
) -> None:
    case = found[f"{objective}-{encoder}"]
    if "refused" in case:
        [line] = case["refused"]
        assert case["before_data"], line
        assert ({"tokenizer", "encoder"} if objective == CODES else {objective, encoder}) <= {*re.findall(r"\w+", line)}
        assert "; " in line, "it says what to do"
        assert (objective, encoder) in REFUSED
        return
    assert (objective, encoder) not in REFUSED
    assert case["failed"] == {}
    assert case["states"] == ["step_2.ckpt"]
    assert case["steps"] == {"whole": [0, 1, 2, 3, 4, 5], "killed": [0, 1, 2, 3], "resumed": [2, 3, 4, 5]}
    assert case["differing"] == []
    assert case["are_headers_equal"]
    assert case["are_metrics_equal"]
    if encoder != "labram":
        assert case["probes"] == ["hbn.age", "hbn.eyes", "hbn.response_time"]


@pytest.mark.parametrize(("objective", "encoder"), product(OBJECTIVES, ENCODERS))
def test_what_cannot_be_trained_is_refused_with_what_can(objective: str, encoder: str) -> None:
    asked = {"objective": {"name": objective}, "encoder": {"name": encoder}, "n_steps": 6}
    if (objective, encoder) not in REFUSED:
        assert PretrainParams.model_validate(asked).encoder.name == encoder
        return
    line = rf"objective {objective} .*encoder .*{encoder}.*; .*(choose|or) "
    with pytest.raises(ValidationError, match=line) as caught:
        PretrainParams.model_validate(asked)
    assert "\n" not in first_problem(caught.value)

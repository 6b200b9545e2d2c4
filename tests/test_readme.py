"""The examples of the README work as they are written."""

import re
from pathlib import Path

import numpy as np
import pytest
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

from edf_files import write_tones
from eegfm.checkpoint import read_header
from kedro_project import PROJECT_ROOT
from notebook_cells import run_cells
from own_experiment import README, write_experiment

LABELS = ["Fp1", "Fp2", "F3", "F4", "C3", "C4", "O1", "O2"]


def write_recordings(root: Path, n_subjects: int) -> None:
    for subject in range(n_subjects):
        folder = root / f"s{subject:02d}"
        folder.mkdir(parents=True)
        tones_hz = np.linspace(4, 30, len(LABELS))
        write_tones(folder / f"s{subject:02d}_1.edf", LABELS, tones_hz, 20, 200, noise_uv=10, seed=subject)


@pytest.mark.filterwarnings("ignore:.*nperseg:UserWarning")
def test_a_folder_of_recordings_becomes_a_corpus_by_configuration_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_experiment(tmp_path / "conf")
    write_recordings(tmp_path / "recordings", 10)
    monkeypatch.setenv("MY_EEG", str(tmp_path / "recordings"))
    bootstrap_project(PROJECT_ROOT)
    tiny = {
        "pretrain": {
            "encoder": {"name": "patch_transformer", "d_model": 16, "head_size": 16, "n_layers": 1},
            "n_steps": 2, "batch_size": 4, "progress_bar": False,
        },
        "data": str(tmp_path / "data"),
        "mine": {"ingest": {"workers": {"n_workers": 1}}},
    }  # fmt: skip

    def session() -> KedroSession:
        conf = str(tmp_path / "conf")
        return KedroSession.create(PROJECT_ROOT, env="experiments/mine", conf_source=conf, runtime_params=tiny)

    session().run(pipeline_names=["pretrain"])
    header = read_header(tmp_path / "data/06_models/pretrain/encoder.safetensors")
    assert header.corpora == ["mine"]
    assert not header.simulated_corpora
    assert len(header.persons) == 10
    session().run(pipeline_names=["report"])
    assert "My recordings" in (tmp_path / "data/08_reporting/report.html").read_text(encoding="utf-8")
    printed, names = run_cells(session())
    assert set(names["recordings"]["corpus"]) == {"mine"}
    assert "There is no probe: corpora.probe is empty." in printed
    assert names["table"].columns.tolist() == ["probe"]


def test_files_that_the_readme_names_exist() -> None:
    for path in re.findall(r"`((?:conf|docs|notebooks|benchmarks|src)/[\w./-]+)`", README):
        if not path.startswith("conf/experiments/mine"):
            assert (PROJECT_ROOT / path).exists(), path


def test_ci_runs_the_second_command_first() -> None:
    """But for where the virtual environment lies."""
    _, command = re.findall(r"```bash\n(python -m venv .*)\n```", README)
    lines = (PROJECT_ROOT / ".ci" / "run").read_text().splitlines()
    steps = [line for line in lines if re.search(r"^[^#]*\b(pytest|mypy|ruff|pip|lint-imports)\b", line)]
    as_shown = steps[0].replace('"$venv"', ".venv").replace('"$venv/bin/activate"', ".venv/bin/activate")
    assert as_shown == f"{{ {command}; }} || exit"
    assert steps[-1] == "pytest -m zoo"

"""Errors reach the user as one clear line: an exit code that is not zero, no traceback, no heavy import before."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pytest
from kedro.config import MissingConfigException
from kedro.io import DatasetError
from omegaconf import OmegaConf
from pydantic import ValidationError

from eegfm.errors import ConfigError, RecordingError
from eegfm.project import console
from eegfm.signal.config import SignalParams
from kedro_project import HEAVY, PROJECT_ROOT, Command, Outcome, kedro


@dataclass(frozen=True)
class Case:
    """A ``kedro run`` that must fail. ``TMP`` in arguments and texts stands for a folder of the case."""

    args: tuple[str, ...]
    texts: tuple[str, ...]
    """What the line must name."""
    params: str = ""
    variables: dict[str, str] = field(default_factory=dict)
    folders: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


INGEST = ("--env=test", "--pipelines=ingest")
FOLDER = "tuh.acquire.source.name=folder"
CASES = {
    # What else is found wrong with parameters: test_parameters.py.
    "member": Case(
        INGEST,
        ("pretrain.encoder.name", "'lunna'", "known: patch_transformer", "did you mean luna?"),
        "pretrain.encoder.name=lunna",
    ),
    "features for tokens": Case(
        INGEST,
        ("parameter pretrain: objective masked", "encoder eegnet gives one vector", "such as patch_transformer"),
        "pretrain.encoder.name=eegnet",
    ),
    "role": Case(INGEST, ("corpora", "'bhn'", "hbn, tuh"), "corpora.probe=[bhn]"),
    "environment": Case(("--env=nowhere",), ("conf/nowhere", "experiments/eegmmidb")),
    "pipeline": Case(("--env=test", "--pipelines=ingst"), ("'ingst'", "ingest")),
    "older spelling of a pipeline": Case(("--env=test", "--pipeline=ingst"), ("'ingst'", "ingest")),
    "missing folder": Case(
        ("--pipelines=ingest",),
        ("tuh: raw folder TMP/data/01_raw/tuh does not exist", "tuh.raw_folder"),
        FOLDER,
    ),
    "empty folder": Case(
        ("--pipelines=ingest",),
        ("tuh: raw folder TMP/data/01_raw/tuh is empty",),
        FOLDER,
        folders=("data/01_raw/tuh",),
    ),
    "foreign folder": Case(
        ("--pipelines=ingest", "--namespaces=tuh"),
        (
            "tuh: raw folder TMP/data/01_raw/tuh holds 1 .edf files, none in the layout of tuh.ingest.corpus",
            "aaaaaaab_s001_t000.edf",
        ),
        FOLDER,
        files=("data/01_raw/tuh/mine.edf",),
    ),
    "unreadable files": Case(
        ("--pipelines=ingest", "--namespaces=tuh"),
        ("1 of 1 files were rejected", "aaaaaaab_s001_t000.edf", "none got in; all are listed in tuh.rejected"),
        FOLDER,
        files=("data/01_raw/tuh/edf/train/normal/01_tcp_ar/aaaaaaab_s001_t000.edf",),
    ),
    "variable": Case(("--env=experiments/eegmmidb",), ("EEGMAT_ROOT is not set", "EEGMAT_ROOT=/")),
    "folder of a variable": Case(
        ("--env=experiments/eegmmidb",),
        ("eegmat: raw folder TMP/nowhere does not exist", "environment variable"),
        variables={"EEGMAT_ROOT": "TMP/nowhere", "EEGMMIDB_ROOT": "TMP"},
    ),
    "encoder": Case(
        ("--env=test", "--pipelines=probe"),
        ("TMP/data/06_models/pretrain/encoder.safetensors", "kedro run --pipelines=pretrain"),
    ),
    "encoder of one node": Case(
        ("--env=test", "--pipelines=probe", "--nodes=probe_encoder"),
        ("TMP/data/06_models/pretrain/encoder.safetensors", "kedro run --pipelines=pretrain"),
    ),
    "tables of a report": Case(("--env=test", "--pipelines=report"), ("not there yet", "hbn.recordings", "kedro run")),
}


def command(name: str, folder: Path) -> Command:
    case = CASES[name]
    for path in case.folders:
        (folder / path).mkdir(parents=True)
    for path in case.files:
        (folder / path).parent.mkdir(parents=True)
        (folder / path).write_bytes(b"not an EDF file")
    params = ",".join(p for p in (f"data={folder}/data", case.params) if p)
    variables = {k: v.replace("TMP", str(folder)) for k, v in case.variables.items()}
    return Command(("run", *case.args, f"--params={params}"), folder, variables)


Outcomes = dict[str, tuple[Outcome, Path]]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    """All failing commands, and three that work."""
    root = tmp_path_factory.mktemp("console")
    commands = {name: command(name, root / name.replace(" ", "_")) for name in CASES}
    tiny = f"data={root}/older/data,tuh.acquire.source.n_subjects=1,tuh.acquire.source.duration_s=5"
    no_rest = "hbn.acquire.source.n_subjects=2,hbn.acquire.source.resting_s=0,hbn.ingest.workers.n_workers=1"
    dropped = f"data={root}/dropped/data,{no_rest},hbn.window.cuts.eyes=null,hbn.window.cuts.age=null,corpora.probe=[]"
    older = ("run", "--env=test", "--pipeline=ingest", "--namespaces=tuh", f"--params={tiny}")
    commands |= {
        "older": Command(older, root / "older"),
        "dropped": Command(
            ("run", "--env=test", "--pipelines=window", "--namespaces=hbn", f"--params={dropped}"), root / "dropped"
        ),
        "registry": Command(("registry", "list"), root / "registry"),
    }
    done = kedro(*commands.values())
    return {name: (outcome, c.folder) for (name, c), outcome in zip(commands.items(), done, strict=True)}


@pytest.mark.parametrize("name", CASES)
def test_an_error_of_the_user_is_one_line(name: str, outcomes: Outcomes) -> None:
    case, (outcome, folder) = CASES[name], outcomes[name]
    printed = outcome.out + outcome.err
    assert outcome.code not in (0, None), printed
    assert "Traceback" not in printed
    assert len(outcome.errors) == 1, printed
    assert outcome.err.rstrip().splitlines()[-1] == outcome.errors[0], "nothing follows the line"
    for text in case.texts:
        assert text.replace("TMP", str(folder)) in outcome.errors[0]
    assert "pydantic" not in printed
    assert "failed with error" not in printed, "Kedro prints the error of a step as well"
    assert "--from-nodes" not in printed, "Kedro's advice is another than ours"
    assert not outcome.packages & HEAVY
    assert not (folder / "data" / "02_intermediate" / "hbn").exists(), "another corpus was worked on before the check"


def test_the_command_itself_prints_the_line(tmp_path: Path) -> None:
    """The cases above fork from a warm process; this one is the command as a user types it."""
    executable = Path(sys.executable).with_name("kedro")
    args = ["run", "--env=test", "--pipelines=ingest", f"--params=data={tmp_path},pretrain.n_step=5"]
    done = subprocess.run([executable, *args], cwd=PROJECT_ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("eegfm: error: parameter pretrain.n_step is not known; known: ")
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stdout


def test_older_spelling_runs(outcomes: Outcomes) -> None:
    outcome, folder = outcomes["older"]
    assert outcome.code == 0, outcome.err
    assert (folder / "data/02_intermediate/tuh/recordings.parquet").is_file()
    assert not outcome.packages & (HEAVY - {"mne"})


def test_a_dropped_cut_asks_for_no_events(outcomes: Outcomes) -> None:
    """HBN without its task RestingState, on which the cuts ``eyes`` and ``age`` of the embedded default depend."""
    outcome, folder = outcomes["dropped"]
    assert outcome.code == 0, outcome.err
    counts = pd.read_parquet(folder / "data/08_reporting/hbn/window_counts.parquet")
    assert set(counts["cut"]) == {"pretrain", "moments", "movies", "response_time"}


def test_registry_list_names_the_pipelines(outcomes: Outcomes) -> None:
    outcome, _ = outcomes["registry"]
    assert outcome.code == 0, outcome.err
    names = {line.removeprefix("- ") for line in outcome.out.splitlines() if line.startswith("- ")}
    assert names == {
        *("__default__", "ingest", "window", "mix", "tokenizer", "pretrain", "import_weights", "probe", "export"),
        *("finetune", "finetune_export", "report"),
    }  # fmt: skip


def raised(raise_it: Callable[[], object]) -> BaseException:
    with pytest.raises(BaseException) as info:  # noqa: PT011  any error, that is the point
        raise_it()
    return info.value


def test_line_of_an_error_that_kedro_wrapped() -> None:
    def wrapped() -> None:
        try:
            raise RecordingError("code", "found this", "do that")
        except RecordingError as error:
            raise DatasetError("Failed while loading data") from error

    assert console.one_line(raised(wrapped)) == "found this; do that"


def test_line_of_an_error_inside_omegaconf() -> None:
    def fails() -> None:
        raise ConfigError("environment variable X is not set")

    OmegaConf.register_new_resolver("eegfm_test_fails", fails)
    config = OmegaConf.create({"a": {"b": "${eegfm_test_fails:}"}})
    try:
        error = raised(lambda: OmegaConf.to_container(config, resolve=True))
    finally:
        OmegaConf.clear_resolver("eegfm_test_fails")
    assert console.one_line(error) == "environment variable X is not set"


class MisconfigurationException(Exception):  # noqa: N818  the name is Lightning's
    """As Lightning's. Its package costs seconds to import."""


class OutOfMemoryError(RuntimeError):
    """As torch's."""


KEDRO_NO_MODULE = "An exception occurred when parsing config for dataset 'a.b':\nNo module named 'c'. Please install"
KEDRO_NO_ARGUMENT = "\nF() got an unexpected keyword argument 'x'.\nDataset 'a' must only contain arguments valid"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MisconfigurationException("No supported gpu backend found!"), "No supported gpu backend found! Set accel"),
        (RuntimeError("Found no NVIDIA driver on your system."), "Found no NVIDIA driver on your system. Set accel"),
        (AssertionError("Torch not compiled with CUDA enabled"), "Set accelerator and precision to what this machine"),
        (OutOfMemoryError("CUDA out of memory. Tried\nto allocate"), "full: CUDA out of memory; lower batch_size"),
        (DatasetError(KEDRO_NO_MODULE), "catalog entry a.b: No module named 'c'; correct the entry"),
        (DatasetError(KEDRO_NO_ARGUMENT), "catalog entry a: F() got an unexpected keyword argument 'x'; correct"),
        (ValueError("Pipeline input(s) {'params:x'} not found in the DataCatalog"), "lacks {'params:x'}, which a step"),
        (DatasetError("Failed while loading data from dataset X.\nboom"), None),
        (RuntimeError("boom"), None),
    ],
)
def test_line_of_an_error_of_a_library(error: Exception, expected: str | None) -> None:
    line = console.one_line(error)
    assert (line is None) == (expected is None)
    assert expected is None or expected in str(line)
    assert "\n" not in str(line)


def test_mistakes_of_our_own_keep_their_traceback() -> None:
    def accident() -> None:
        try:
            raise ConfigError("expected and handled")
        except ConfigError:
            {}["missing"]

    assert console.one_line(raised(accident)) is None
    assert console.one_line(AssertionError("ours")) is None
    assert console.one_line(MissingConfigException("no folder")) is not None


def test_line_of_a_model_names_key_and_value() -> None:
    error = raised(lambda: SignalParams(rate_hz="fast"))
    assert isinstance(error, ValidationError)
    assert console.one_line(error) == (
        "SignalParams: rate_hz: Input should be a valid number, unable to parse string as a number (found 'fast')"
    )


def test_hook_prints_the_line_or_the_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    console.install()
    sys.excepthook(ConfigError, ConfigError("set x"), None)
    assert capsys.readouterr().err == "eegfm: error: set x\n"
    sys.excepthook(KeyError, KeyError("y"), None)
    assert "KeyError: 'y'" in capsys.readouterr().err

"""Mistakes of somebody new: one line each that says what to mend, before any work is done, and an exit code.

Others have tests of their own: Ctrl-C in ``test_stopping.py``, a full disk in ``test_os_errors.py`` and
``tests/io/test_whole.py``, an encoder that would be replaced in ``test_encoder_guard.py``, names of parameters in
``test_console.py`` and ``test_parameters.py``, every kind of broken YAML in ``test_yaml_files.py``.
"""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from eegfm.files import exclusive
from kedro_project import HEAVY, PROJECT_ROOT, Command, Outcome, kedro
from own_experiment import write_experiment

MINE = ("--env=experiments/mine", "--pipelines=ingest")
PARAMETERS, GLOBALS, CATALOG = "parameters.yml", "globals.yml", "catalog.yml"


@dataclass(frozen=True)
class Mistake:
    """A ``kedro run`` that must fail. ``TMP`` stands for a folder of the case, ``ENV`` for the experiment's."""

    expected: tuple[str, ...]
    """What the line must say."""
    args: tuple[str, ...] = MINE
    changes: dict[str, tuple[str, str]] = field(default_factory=dict)
    """By file of the experiment: a text of the README's example, and what stands there instead."""
    variables: dict[str, str] = field(default_factory=lambda: {"MY_EEG": "TMP/eeg"})
    files: tuple[str, ...] = ("eeg/s1/s1_1.edf",)
    params: str = ""
    asks_torch: bool = False
    """Only torch knows the devices of a machine."""


MISTAKES = {
    # Files of the configuration.
    "a tab": Mistake(
        ("ENV/parameters.yml, line 12, column 1: a tab",),
        changes={PARAMETERS: ("", "mix:\n\tweights: {mine: 1}\n")},
    ),
    "an unclosed brace": Mistake(
        ("ENV/globals.yml, line 3", "begins in line 2; close the bracket or brace"),
        changes={GLOBALS: ('{mine: "${env:MY_EEG}"}', '{mine: "${env:MY_EEG}"')},
    ),
    "a key that YAML takes for true": Mistake(
        ("ENV/parameters.yml, line 11", 'the key yes as true or false; put it in quotes: "yes"'),
        changes={PARAMETERS: ("", "probe: {yes: 1}\n")},
    ),
    "a key twice": Mistake(
        ("ENV/parameters.yml, line 11: the key mix stands in line 3 already",),
        changes={PARAMETERS: ("", "mix: {weights: {mine: 1.0}}\n")},
    ),
    "a misspelt dataset": Mistake(
        ("catalog entry mine.raw: ", "'FoldrDataset' not found", "correct the entry in catalog.yml"),
        changes={CATALOG: ("FolderDataset", "FoldrDataset")},
    ),
    "globals without raw": Mistake(
        ("catalog, mine.raw_folder.path: Globals key 'raw.mine' not found", "globals.yml"),
        changes={GLOBALS: ("raw: {mine", "rwa: {mine")},
    ),
    "null for an entry that nothing has": Mistake(
        ("mine.window.cuts.eyes is null, but there is no inherited entry",),
        changes={PARAMETERS: ("cuts: {pretrain", "cuts: {eyes: null, pretrain")},
    ),
    # Where the recordings are.
    "a variable that is not set": Mistake(("environment variable MY_EEG is not set", "MY_EEG=/"), variables={}),
    "a wrong folder": Mistake(
        ("mine: raw folder TMP/egg does not exist", "environment variable"),
        variables={"MY_EEG": "TMP/egg"},
    ),
    "a wrong folder below ~": Mistake(
        ("mine: raw folder TMP/egg does not exist",),
        variables={"MY_EEG": "~/egg", "HOME": "TMP"},
    ),
    "an empty folder": Mistake(("raw folder TMP/empty is empty",), variables={"MY_EEG": "TMP/empty"}),
    "results among the recordings": Mistake(
        ("the data folder TMP/eeg/out lies in the raw folder TMP/eeg of mine, which is only read",),
        params="data=TMP/eeg/out",
    ),
    "a zip": Mistake(
        ("no .edf .bdf file but archives (1), e.g. recordings.zip: unpack them; expected are files like {subject}/",),
        files=("eeg/recordings.zip",),
    ),
    "a wrong pattern": Mistake(
        ("raw folder TMP/eeg holds 1 .edf .bdf files, none in the layout", "e.g. s1/s1_1.edf", "S{subject}R{run}.edf"),
        changes={PARAMETERS: ("{subject}/{subject}_{run}.edf", "S{subject}R{run}.edf")},
    ),
    "a BIDS root one level too high": Mistake(
        ("none in the layout of mine.ingest.corpus, e.g. ds1/sub-01/eeg/sub-01_task-rest_eeg.edf", "files like sub-01"),
        changes={PARAMETERS: ('{name: edf_folder, pattern: "{subject}/{subject}_{run}.edf"}', "{name: bids}")},
        files=("eeg/ds1/sub-01/eeg/sub-01_task-rest_eeg.edf",),
    ),
    # The command.
    "a misspelt environment": Mistake(
        ("there is no folder TMP/conf/experiments/mnie", "did you mean experiments/mine?"),
        ("--env=experiments/mnie",),
    ),
    "a misspelt pipeline": Mistake(("no pipeline 'prob'", "did you mean probe?"), ("--env=test", "--pipelines=prob")),
    "a tag that is no tag": Mistake(
        ("there is no tag 'training'; known: data, pretrain, report",),
        ("--env=experiments/mine", "--tags=training"),
    ),
    "a misspelt step": Mistake(
        ("--from-nodes: there is no step 'index_raw_files'", "did you mean mine.index_raw_files?"),
        ("--env=experiments/mine", "--from-nodes=index_raw_files"),
    ),
    "a misspelt entry": Mistake(
        ("--to-outputs: there is no entry 'mine.recording'", "did you mean mine.recordings?"),
        (*MINE, "--to-outputs=mine.recording"),
    ),
    "a misspelt option": Mistake(("No such option '--pipelins'", "'--pipelines'"), ("--pipelins=ingest",)),
    "two options that mean one": Mistake(
        ("'--pipeline' and '--pipelines' cannot be used together",),
        ("--pipeline=ingest", "--pipelines=ingest"),
    ),
    "a misspelt runner": Mistake(("there is no 'Sequential'", "SequentialRunner"), ("--runner=Sequential",)),
    "an option that the runner does not take": Mistake(
        ("SequentialRunner does not know 'max_worker'; known: is_async",),
        ("--env=test", "--runner-params=max_worker=2"),
    ),
    "a file of options with a tab": Mistake(("TMP/run.yml, line 2, column 1: a tab",), ("--config=TMP/run.yml",)),
    "a misspelt parameter": Mistake(
        ("pretrain.n_step is not known", "did you mean n_steps?"),
        params="pretrain.n_step=1",
    ),
    "parameters without a value": Mistake(("--params: 'pretrain.seed' is no key=value",), params="pretrain.seed"),
    "a list without brackets": Mistake(
        ("--params: 'torch_export' is no key=value", "a list is [a,b]"),
        params="export.formats=onnx,torch_export",
    ),
    "a list that is not closed": Mistake(("[ is opened in '[onnx' and not closed",), params="export.formats=[onnx"),
    # The order of the steps.
    "a probe where none is configured": Mistake(
        ("no corpus is probed, since corpora.probe is empty; name the corpora",),
        ("--env=experiments/mine", "--pipelines=probe"),
    ),
    "a probe before the encoder": Mistake(
        ("no pretrained encoder at TMP/data/06_models/pretrain/encoder.safetensors", "kedro run --pipelines=pretrain"),
        ("--env=test", "--pipelines=probe"),
    ),
    "weights that no variable names": Mistake(
        ("environment variable FOREIGN_WEIGHTS is not set",),
        ("--env=test", "--pipelines=import_weights"),
        variables={},
    ),
    "weights that are not there": Mistake(
        ("TMP/luna.safetensors: no such file; FOREIGN_WEIGHTS names it",),
        ("--env=test", "--pipelines=import_weights"),
        variables={"FOREIGN_WEIGHTS": "~/luna.safetensors", "HOME": "TMP"},
    ),
    # The machine.
    "a GPU that is not there": Mistake(
        ("parameter pretrain.accelerator is 'cuda'", "finds no GPU on this machine; set pretrain.accelerator=cpu"),
        ("--env=test", "--pipelines=pretrain"),
        params="pretrain.accelerator=cuda",
        asks_torch=True,
    ),
    "a file where the data should lie": Mistake(
        ("TMP/data is no folder; move it away, or write elsewhere with --params=data=FOLDER",),
        files=("eeg/s1/s1_1.edf", "data"),
    ),
    "a disk that takes nothing": Mistake(
        ("/proc/eegfm", "write elsewhere with --params=data=FOLDER"), params="data=/proc/eegfm",
    ),
    "two runs at once": Mistake(
        ("TMP/data/02_intermediate/mine/signals", "is writing to this store; wait for it or end it"),
        files=("eeg/s1/s1_1.edf", "data/02_intermediate/mine/signals/held"),
    ),
}  # fmt: skip


def command(name: str, root: Path) -> Command:
    mistake, folder = MISTAKES[name], root / name.replace(" ", "_").replace("~", "home")
    write_experiment(folder / "conf", mistake.changes)
    (folder / "empty").mkdir()
    for path in mistake.files:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(b"")
    data = "" if "data=" in mistake.params else f"data={folder}/data"
    params = ",".join(p for p in (data, mistake.params.replace("TMP", str(folder))) if p)
    variables = {k: v.replace("TMP", str(folder)) for k, v in mistake.variables.items()}
    (folder / "run.yml").write_text("run:\n\ttags: data\n")
    args = (arg.replace("TMP", str(folder)) for arg in mistake.args)
    return Command(("run", f"--conf-source={folder}/conf", *args, f"--params={params}"), folder, variables)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Outcome, Path]]:
    """All failing commands, one after the other."""
    root = tmp_path_factory.mktemp("newcomer")
    commands = {name: command(name, root) for name in MISTAKES}
    held = commands["two runs at once"].folder / "data/02_intermediate/mine/signals/lock"
    with exclusive(held, AssertionError):
        done = kedro(*commands.values())
    return {name: (outcome, c.folder) for (name, c), outcome in zip(commands.items(), done, strict=True)}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line(name: str, outcomes: dict[str, tuple[Outcome, Path]]) -> None:
    mistake, (outcome, folder) = MISTAKES[name], outcomes[name]
    printed = outcome.out + outcome.err
    assert outcome.code not in (0, None), printed
    assert outcome.err.count("\n") == 1, printed
    assert len(outcome.errors) == 1, printed
    for text in mistake.expected:
        assert text.replace("TMP", str(folder)).replace("ENV", f"{folder}/conf/experiments/mine") in outcome.errors[0]
    # Not a second time in the log, and no advice of Kedro's.
    assert outcome.errors[0].removeprefix("eegfm: error: ")[:60] not in outcome.out
    assert not [line for line in outcome.out.splitlines() if "ERROR" in line or "--from-nodes" in line]
    assert mistake.asks_torch or not outcome.packages & HEAVY, "before training"
    assert not (folder / "data/06_models").exists()


def test_the_project_itself_is_as_before() -> None:
    assert not (PROJECT_ROOT / "conf/experiments/mine").exists()
    assert not list(PROJECT_ROOT.glob("~*"))

import errno
import hashlib
import json
import os
from pathlib import Path

import pytest

from eegfm.corpora.simulated import writer
from eegfm.corpora.simulated.config import MANIFEST, UNFINISHED, SimulatedHbn, SimulatedTuh
from eegfm.corpora.simulated.plan import PlannedFile
from eegfm.corpora.simulated.writer import is_current, write_simulated
from eegfm.errors import ConfigError
from kedro_project import run_python

TUH = SimulatedTuh(n_subjects=3, duration_s=2)
HBN = SimulatedHbn(n_subjects=2, resting_s=20, ccd_s=20, movie_s=10)


def _digests(root: Path) -> dict[str, str]:
    files = (p for p in root.rglob("*") if p.is_file())
    return {p.relative_to(root).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.mark.parametrize("config", [TUH, HBN, HBN.model_copy(update={"file_format": "set", "resting_s": 0})])
def test_two_writes_give_the_same_bytes(config: SimulatedTuh | SimulatedHbn, tmp_path: Path) -> None:
    write_simulated(config, tmp_path / "a")
    write_simulated(config, tmp_path / "b")
    assert _digests(tmp_path / "a") == _digests(tmp_path / "b")
    assert not list(tmp_path.rglob("*.tmp"))


@pytest.mark.parametrize("config", [TUH, HBN])
def test_more_persons_leave_the_earlier_ones_as_they_are(config: SimulatedTuh | SimulatedHbn, tmp_path: Path) -> None:
    write_simulated(config, tmp_path / "few")
    write_simulated(config.model_copy(update={"n_subjects": config.n_subjects + 2}), tmp_path / "more")
    few, more = _digests(tmp_path / "few"), _digests(tmp_path / "more")
    tables = {MANIFEST, "participants.tsv"}
    assert {k: v for k, v in few.items() if k not in tables}.items() <= more.items()
    signals = [v for k, v in more.items() if k.endswith((".edf", "RestingState_eeg.bdf"))]
    assert len(set(signals)) == len(signals)  # no two persons alike
    if isinstance(config, SimulatedHbn):
        rows = [(tmp_path / k / "participants.tsv").read_text().splitlines() for k in ("few", "more")]
        assert rows[1][: len(rows[0])] == rows[0]


def test_seed_changes_the_signals(tmp_path: Path) -> None:
    write_simulated(TUH, tmp_path / "a")
    write_simulated(TUH.model_copy(update={"seed": 21}), tmp_path / "b")
    a, b = _digests(tmp_path / "a"), _digests(tmp_path / "b")
    assert all(a[k] != b[k] for k in a if k.endswith(".edf"))


def test_a_current_folder_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_current(TUH, tmp_path / "none")
    write_simulated(TUH, tmp_path)
    assert is_current(TUH, tmp_path)
    assert not is_current(TUH.model_copy(update={"seed": 1}), tmp_path)

    def refuse(config: object) -> None:
        raise AssertionError("nothing is to be written")

    monkeypatch.setattr(writer, "planned_files", refuse)
    write_simulated(TUH, tmp_path)


def test_a_damaged_or_outdated_folder_is_not_current(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_simulated(TUH, tmp_path)
    before = _digests(tmp_path)
    recording = next(tmp_path.rglob("*.edf"))
    recording.write_bytes(recording.read_bytes()[:-1])
    assert not is_current(TUH, tmp_path)
    recording.unlink()
    assert not is_current(TUH, tmp_path)
    write_simulated(TUH, tmp_path)
    assert _digests(tmp_path) == before
    monkeypatch.setattr(writer, "VERSION", 99)
    assert not is_current(TUH, tmp_path)


def test_another_simulation_is_replaced_without_remains(tmp_path: Path) -> None:
    write_simulated(HBN, tmp_path / "a")
    write_simulated(TUH, tmp_path / "a")
    write_simulated(TUH, tmp_path / "b")
    assert _digests(tmp_path / "a") == _digests(tmp_path / "b")
    assert not list((tmp_path / "a").glob("sub-*"))


@pytest.mark.parametrize("name", ["my.edf", "edf/train/normal/01_tcp_ar/zzzzzzzz_s001_t000.edf"])
@pytest.mark.parametrize("simulated_before", [False, True])
def test_foreign_files_are_never_overwritten(name: str, simulated_before: bool, tmp_path: Path) -> None:
    if simulated_before:
        write_simulated(TUH, tmp_path)
    foreign = tmp_path / name
    foreign.parent.mkdir(parents=True, exist_ok=True)
    foreign.write_text("mine")
    before = _digests(tmp_path)
    with pytest.raises(ConfigError, match=r"which no simulation wrote.*another folder"):
        write_simulated(TUH.model_copy(update={"seed": 7}), tmp_path)
    assert _digests(tmp_path) == before


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "raw").write_text("mine")
    with pytest.raises(ConfigError, match="is a file"):
        write_simulated(TUH, tmp_path / "raw")


def test_a_manifest_removes_nothing_behind_a_link(tmp_path: Path) -> None:
    """The manifest lies in the folder, so that whoever made the folder wrote it."""
    folder, outside = tmp_path / "raw", tmp_path / "outside"
    outside.mkdir()
    (outside / "mine.edf").write_text("mine")
    write_simulated(TUH, folder)
    (folder / "link").symlink_to(outside)
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["files"]["link/mine.edf"] = 4
    manifest["files"]["gone.edf"] = 4
    (folder / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(ConfigError, match="holds link, which no simulation wrote"):
        write_simulated(TUH, folder)
    assert (outside / "mine.edf").read_text() == "mine"


def test_an_unreadable_manifest_makes_nothing_ours(tmp_path: Path) -> None:
    write_simulated(TUH, tmp_path)
    (tmp_path / MANIFEST).write_text("{")
    with pytest.raises(ConfigError, match="which no simulation wrote"):
        write_simulated(TUH, tmp_path)


def test_a_manifest_cannot_reach_out_of_its_folder(tmp_path: Path) -> None:
    root, outside = tmp_path / "raw", tmp_path / "outside.txt"
    outside.write_text("mine")
    write_simulated(TUH, root)
    content = json.loads((root / MANIFEST).read_text())
    content["files"] |= {"../outside.txt": 4, str(outside): 4}
    (root / MANIFEST).write_text(json.dumps(content))
    write_simulated(TUH.model_copy(update={"seed": 7}), root)
    assert outside.read_text() == "mine"


def test_an_interrupted_run_is_taken_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = writer.planned_files

    def crash() -> bytes:
        raise KeyboardInterrupt

    def interrupted(config: SimulatedTuh) -> list[PlannedFile]:
        *first, last = original(config)
        return [*first, PlannedFile(last.path, crash)]

    write_simulated(HBN, tmp_path / "a")
    with monkeypatch.context() as patch:
        patch.setattr(writer, "planned_files", interrupted)
        with pytest.raises(KeyboardInterrupt):
            write_simulated(TUH, tmp_path / "a")
    assert not is_current(TUH, tmp_path / "a")
    assert (tmp_path / "a" / UNFINISHED).exists()
    write_simulated(TUH, tmp_path / "a")
    write_simulated(TUH, tmp_path / "b")
    assert _digests(tmp_path / "a") == _digests(tmp_path / "b")


def test_the_manifest_says_simulated(tmp_path: Path) -> None:
    write_simulated(TUH, tmp_path)
    content = json.loads((tmp_path / MANIFEST).read_text())
    assert "SIMULATED" in content["what"]
    assert content["config"]["n_subjects"] == 3
    assert sum(path.endswith(".edf") for path in content["files"]) >= 3


TWO = """
import json, logging, os, sys
from pathlib import Path
import numpy, edfio, scipy.signal
from eegfm.corpora.simulated import writer
from eegfm.corpora.simulated.config import SimulatedTuh

root, seeds = Path(sys.argv[1]), json.loads(sys.argv[2])
logging.basicConfig(level="INFO", stream=sys.stdout)
begin = os.pipe()
children = []
for seed in seeds:
    children.append(os.fork())
    if not children[-1]:
        os.read(begin[0], 1)
        config = SimulatedTuh(n_subjects=4, duration_s=10, seed=seed)
        writer.write_simulated(config, root)
        sys.stdout.flush()
        os._exit(0)
os.write(begin[1], b"." * len(seeds))
print(sorted(os.waitpid(child, 0)[1] for child in children))
"""


def test_processes_that_begin_at_once_write_one_after_the_other(tmp_path: Path) -> None:
    seeds = [1, 2, 2]
    done = run_python(TWO, str(tmp_path / "raw" / "tuh"), json.dumps(seeds))
    assert done.stdout.splitlines()[-1] == str([0] * len(seeds)), done.stdout + done.stderr
    configs = [SimulatedTuh(n_subjects=4, duration_s=10, seed=seed) for seed in seeds]
    last = [config for config in configs if is_current(config, tmp_path / "raw" / "tuh")]
    assert len({config.seed for config in last}) == 1
    write_simulated(last[0], tmp_path / "alone")
    assert _digests(tmp_path / "raw" / "tuh") == _digests(tmp_path / "alone"), "nothing of another corpus is in it"
    assert "waiting for " in done.stdout


@pytest.mark.parametrize("what", ["write", "rename"])
def test_a_full_disk_ends_the_simulation_and_the_next_run_takes_it_up(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_calls = 0

    def full(path: Path, *args: object) -> None:
        nonlocal n_calls
        n_calls += 1
        if n_calls == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        original(path, *args)

    name = {"write": "write_bytes", "rename": "replace"}[what]
    original = getattr(Path, name)
    with monkeypatch.context() as patch:
        patch.setattr(Path, name, full)
        with pytest.raises(OSError, match="No space left") as caught:
            write_simulated(TUH, tmp_path / "a")
    assert str(caught.value.filename).startswith(f"{tmp_path}/a/")
    assert not list(tmp_path.rglob("*.tmp"))
    write_simulated(TUH, tmp_path / "a")
    write_simulated(TUH, tmp_path / "b")
    assert _digests(tmp_path / "a") == _digests(tmp_path / "b")

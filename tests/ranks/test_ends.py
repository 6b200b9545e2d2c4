"""One error of all that ranks say about their end."""

import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from eegfm.errors import RecordingError, StoreError, TrainingError
from eegfm.ranks import ends
from eegfm.ranks.ends import RankState, all_done, cause, this_rank, write

HOST = socket.gethostname()
LOST = RuntimeError("[gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:9")
REPORT = ["Root Cause (first observed failure):", "  exitcode  : -11 (pid: 11)"]
STARTER = (99, 1)


def told(folder: Path, *errors: BaseException | str | None) -> None:
    """Ranks 0, 1, … with pids 10, 11, … whose ends follow each other; those with a text say nothing about it."""
    for rank, error in enumerate(errors):
        begun = replace(this_rank(rank), pid=10 + rank)
        if isinstance(error, str):
            write(folder, begun)
        else:
            ends.end(folder, begun, error)


def raised(error: Exception) -> Exception:
    try:
        raise error
    except type(error) as caught:
        return caught


def test_a_state_comes_back_as_it_was_written(tmp_path: Path) -> None:
    told(tmp_path, raised(PermissionError(13, "no", "/f")), None)
    first, second = ends.states(tmp_path)
    assert (first.state, first.kind, first.numbers) == ("failed", "PermissionError", (13, "no", "/f"))
    assert second == RankState(1, 11, HOST, "done", time_s=second.time_s)
    assert not all_done(tmp_path, 2)
    told(tmp_path, None, None)
    assert all_done(tmp_path, 2)
    assert not all_done(tmp_path, 3)


def test_the_last_rank_removes_the_folder_of_a_parent_that_is_gone(tmp_path: Path) -> None:
    own, shared, kept = (tmp_path / name for name in (f"{ends.FOLDER_PREFIX}x", "shared", f"{ends.FOLDER_PREFIX}y"))
    for folder in (own, shared, kept):
        folder.mkdir()
        told(folder, None, "runs")
    ends.keep_for_parent(kept)
    ends.remove_orphaned(own, 2)
    assert own.exists(), "rank 1 may still say how it ends"
    for folder in (own, shared, kept):
        told(folder, None, raised(StoreError("broken")))
        ends.remove_orphaned(folder, 3)
        assert folder.exists(), "rank 2 has not begun"
        ends.remove_orphaned(folder, 2)
    assert [folder.exists() for folder in (own, shared, kept)] == [False, True, True]


def test_own_errors_keep_their_class(tmp_path: Path) -> None:
    told(tmp_path, raised(LOST), raised(StoreError("broken store")), raised(StoreError("later")))
    found = cause(tmp_path, 3, [1, 0, 2], REPORT, STARTER)
    assert (type(found), str(found)) == (StoreError, "broken store")


def test_an_error_of_the_system_keeps_its_file(tmp_path: Path) -> None:
    told(tmp_path, raised(PermissionError(13, "no", "/f")))
    found = cause(tmp_path, 1, [], REPORT, STARTER)
    assert isinstance(found, PermissionError)
    assert (found.errno, found.strerror, found.filename) == (13, "no", "/f")


def test_a_bug_is_a_line_and_its_traceback_stands_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    told(tmp_path, raised(KeyError("surprise")), SystemExit(143))
    found = cause(tmp_path, 2, [0, 1], REPORT, STARTER)
    assert str(found) == "rank 0 of 2 failed: KeyError: 'surprise'; the log above has its last lines"
    assert "raise error" in caplog.text
    told(tmp_path, raised(RecordingError("code", "reason", "remedy")))
    assert str(cause(tmp_path, 2, [0], REPORT, STARTER)).startswith(
        "rank 0 of 2 failed: RecordingError: reason; remedy"
    )


def test_a_full_gpu_is_said_as_in_one_process(tmp_path: Path) -> None:
    class OutOfMemoryError(RuntimeError):
        pass

    told(tmp_path, raised(OutOfMemoryError("CUDA out of memory. Tried to allocate")))
    assert "the GPU's memory is full on rank 0: CUDA out of memory; lower batch_size" in str(
        cause(tmp_path, 1, [0], REPORT, STARTER)
    )


def test_the_rank_that_went_first_without_a_word_was_killed(tmp_path: Path) -> None:
    told(tmp_path, raised(LOST), "killed", "killed, too")
    assert "rank 1 of 3 (process 11 on" in str(cause(tmp_path, 3, [1, 2], REPORT, STARTER))
    assert "was killed by signal 11; its other" in str(cause(tmp_path, 3, [1, 2], REPORT, STARTER))
    assert "rank 2 of 3 (process 12 on" in str(cause(tmp_path, 3, [2, 1], REPORT, STARTER))
    assert "was killed or crashed (Linux does that" in str(cause(tmp_path, 3, [2, 1], REPORT, STARTER))
    assert "torch.distributed.run (process 99)" in str(cause(tmp_path, 3, [2, 1], REPORT, (99, -9)))


@pytest.mark.parametrize(
    ("errors", "message"),
    [
        ((raised(LOST), SystemExit(143)), "rank 0 of 2 failed: RuntimeError: [gloo"),
        ((raised(LOST), "ended by its starter"), "rank 0 of 2 failed: RuntimeError: [gloo"),
        ((SystemExit(143), SystemExit(143)), "rank 0 of 2 was told to stop from outside"),
        ((), "the 2 processes of the training did not start; the log above says why"),
    ],
)
def test_what_else_can_have_happened(tmp_path: Path, errors: tuple[BaseException | str, ...], message: str) -> None:
    told(tmp_path, *errors)
    found = cause(tmp_path, 2, [1, 0], ["exitcode  : -15 (pid: 11)"], STARTER)
    assert isinstance(found, TrainingError)
    assert str(found).startswith(message)
    assert os.sep not in message


def test_what_ranks_printed_is_said_where_none_began(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cause(tmp_path, 2, [], ["No module named nowhere", *["report"] * 100], STARTER)
    assert "No module named nowhere" in caplog.text
    assert caplog.text.count("report") < 25

"""Events of a file: notes, trigger codes, or what side files say; never the same event twice."""

from pathlib import Path

import edfio
import numpy as np
import pytest

from bids_tree import convert_file, write_eeglab, write_tree
from eegfm.corpora.config import BidsCorpus, CorpusConfig, EdfFolderCorpus
from eegfm.jobs.ingest.convert import Converted

RATE_HZ = 256
LABELS = ("Fz", "Cz", "Pz", "O1")
CODES = ((2.0, "1"), (4.0, "2"), (6.5, "1"))
NOTE = edfio.EdfAnnotation(3.0, 0.5, "go")
BAD = edfio.EdfAnnotation(9.0, 1.0, "BAD_muscle")
TABLE = [["onset", "duration", "trial_type"], [3.0, 0.5, "go"]]


def write(path: Path, *notes: edfio.EdfAnnotation, trigger: np.ndarray | None = None) -> None:
    """Ten seconds of BDF+ with codes in its status channel, or with another trigger channel."""
    rng = np.random.default_rng(0)
    status = np.zeros(10 * RATE_HZ)
    for onset_s, code in CODES:
        status[round(onset_s * RATE_HZ) :][:20] = int(code)
    signals = [
        edfio.BdfSignal(rng.standard_normal(len(status)) * 20, RATE_HZ, label=label, physical_dimension="uV",
                        physical_range=(-500, 500))
        for label in LABELS
    ]  # fmt: skip
    label, values = ("Status", status) if trigger is None else ("Trigger", trigger)
    signals.append(edfio.BdfSignal(values, RATE_HZ, label=label, physical_range=(-8388608, 8388607)))
    path.parent.mkdir(parents=True, exist_ok=True)
    edfio.Bdf(signals, annotations=notes).write(path)


def converted(tmp_path: Path, path: str, corpus: CorpusConfig) -> tuple[list[tuple[float, str]], list[str]]:
    """Events and flags of one recording."""
    found = convert_file(corpus, tmp_path, path, tmp_path / "spool")
    assert isinstance(found, Converted), found
    return [(event["onset_s"], event["value"]) for event in found.events], found.facts["flags"]


@pytest.mark.parametrize(
    ("notes", "events", "flags"),
    [
        ((), list(CODES), []),
        ((NOTE,), [(3.0, "go")], ["triggers_beside_events:3"]),
        ((BAD,), [(9.0, "BAD_muscle"), *CODES], ["bad_s:1", "bad_stretches:1"]),
    ],
    ids=["codes", "notes", "bad_notes"],
)
@pytest.mark.parametrize("corpus", [EdfFolderCorpus(pattern="sub-{subject}/eeg/{run}.bdf"), BidsCorpus()])
def test_codes_are_events_where_nothing_else_is(
    tmp_path: Path,
    corpus: CorpusConfig,
    notes: tuple[edfio.EdfAnnotation, ...],
    events: list[tuple[float, str]],
    flags: list[str],
) -> None:
    path = "sub-01/eeg/sub-01_task-x_eeg.bdf"
    write(tmp_path / path, *notes)
    found, found_flags = converted(tmp_path, path, corpus)
    assert sorted(found) == sorted(events)
    assert found_flags == flags


def test_a_table_of_events_counts_and_the_codes_are_counted(tmp_path: Path) -> None:
    path = "sub-01/eeg/sub-01_task-x_eeg.bdf"
    write(tmp_path / path)
    write_tree(tmp_path, {"sub-01/eeg/sub-01_task-x_events.tsv": TABLE})
    assert converted(tmp_path, path, BidsCorpus()) == ([(3.0, "go")], ["triggers_beside_events:3"])


def test_a_trigger_channel_without_codes_is_flagged_where_there_are_no_events(tmp_path: Path) -> None:
    path, wave = "sub-01/eeg/sub-01_task-x_eeg.bdf", np.random.default_rng(0).standard_normal(10 * RATE_HZ)
    write(tmp_path / path, trigger=wave * 1000)
    assert converted(tmp_path, path, BidsCorpus()) == ([], ["triggers_not_read:Trigger"])
    write_tree(tmp_path, {"sub-01/eeg/sub-01_task-x_events.tsv": TABLE})
    assert converted(tmp_path, path, BidsCorpus()) == ([(3.0, "go")], [])


def test_a_trigger_channel_of_eeglab_is_flagged(tmp_path: Path) -> None:
    path = "sub-01/eeg/sub-01_task-x_eeg.set"
    (tmp_path / path).parent.mkdir(parents=True)
    signal_uv = np.random.default_rng(0).standard_normal((5, 1000)) * 20
    write_eeglab(tmp_path / path, signal_uv, (*LABELS, "STI 014"), 100.0)
    assert converted(tmp_path, path, BidsCorpus()) == ([], ["triggers_not_read:STI_014"])

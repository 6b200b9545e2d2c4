"""Identity of persons: spellings, namespaces, declared links, equal signals."""

import logging
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eegfm.errors import SplitError
from eegfm.recording import normalized_subject, person_id
from eegfm.splits.config import SplitParams
from eegfm.splits.persons import PersonNames, identify
from eegfm.splits.shared_signals import MAX_PERSONS, N_SHORT
from person_tables import channels, letters, people

PARAMS = SplitParams()


def _table(tables: dict[str, pd.DataFrame], params: SplitParams = PARAMS) -> pd.DataFrame:
    return pd.DataFrame(identify(tables, params))


def _identity_of(table: pd.DataFrame) -> dict[str, str]:
    return dict(zip(table["person"], table["identity"], strict=True))


@pytest.mark.parametrize(
    "spelling",
    ["S1", "s1", " S1 ", "sub-S1", "SUB-s1", "\tsub-S1\n", "Ｓ１", "S1\u200b", "\ufeffsub-S1", "sub- S1"],
)
def test_spellings_of_one_subject(spelling: str) -> None:
    assert normalized_subject(spelling) == "s1"


@pytest.mark.parametrize("other", ["S11", "S01", "S-1", "S 1", "1", "S1a", "subS1", "S1sub-", "Š1"])
def test_what_is_no_matter_of_spelling(other: str) -> None:
    assert normalized_subject(other) != "s1"


@settings(max_examples=60, deadline=None)
@given(st.text())
def test_normalizing_twice_changes_nothing(text: str) -> None:
    assert normalized_subject(normalized_subject(text)) == normalized_subject(text)


def test_tuh_corpora_share_their_subjects() -> None:
    tables = {
        "tuh": people("tuh", ["aaaaaaab", "aaaaaaac"], family="tueg"),
        "tuab": people("tuab", ["AAAAAAAB"], family="tuab"),
        "tuev": people("tuev", ["aaaaaaac", "003"], family="tuev"),
        "other": people("other", ["aaaaaaab", "003"]),
        "simulated": people("simulated", ["aaaaaaab"], family="tuab", simulated=True),
    }
    assert _identity_of(_table(tables)) == {
        "tuh:aaaaaaab": "TUEG:aaaaaaab",
        "tuab:aaaaaaab": "TUEG:aaaaaaab",
        "tuh:aaaaaaac": "TUEG:aaaaaaac",
        "tuev:aaaaaaac": "TUEG:aaaaaaac",
        "tuev:003": "TUEV-eval:003",
        "other:aaaaaaab": "other:aaaaaaab",
        "other:003": "other:003",
        "simulated:aaaaaaab": "simulated:aaaaaaab",
    }


def test_ids_of_nda_mean_one_person_everywhere_unless_simulated() -> None:
    tables = {
        "hbn": people("hbn", ["NDARAC350XUM", "NDARLYO38AJZ"]),
        "copy": people("copy", ["sub-NDARAC350XUM", "NDAR1"]),
        "simulated": people("simulated", ["NDARSIM00001"], simulated=True),
    }
    found = _identity_of(_table(tables))
    assert found["hbn:ndarac350xum"] == found["copy:ndarac350xum"] == "NDA:ndarac350xum"
    assert found["hbn:ndarlyo38ajz"] == "NDA:ndarlyo38ajz"
    assert found["copy:ndar1"] == "copy:ndar1"
    assert found["simulated:ndarsim00001"] == "simulated:ndarsim00001"


def test_every_published_hbn_id_is_one_of_nda(shared_data: Path) -> None:
    files = sorted((shared_data / "hbn_meta").glob("ds*/participants.tsv"))
    subjects = pd.concat([pd.read_csv(f, sep="\t") for f in files])["participant_id"].tolist()
    names = PersonNames({"hbn": people("hbn", subjects[:1])}, ())
    assert len(subjects) > 3000
    assert len({names.key("hbn", s) for s in subjects if names.key("hbn", s).startswith("NDA:")}) == len(subjects)


def test_declared_links() -> None:
    tables = {"a": people("a", ["1", "2", "9"]), "b": people("b", ["1", "3"]), "c": people("c", ["1", "x"])}
    params = SplitParams(linked_corpora=(("a", "b"),), same_persons=(("a:2", "b:3"), ("b:3", "c:x")))
    table = _table(tables, params)
    found = _identity_of(table)
    assert found["a:1"] == found["b:1"] != found["c:1"]
    assert found["a:2"] == found["b:3"] == found["c:x"] == "a:2"
    assert found["a:9"] == "a:9"
    keys = dict(zip(table["person"], table["keys"], strict=True))
    # Names in a linked corpus are known even where the person has no recording there: another run may have them.
    assert keys["a:9"] == ["a:9", "b:9"]
    assert keys["c:x"] == ["a:2", "a:3", "b:2", "b:3", "c:x"]


def test_links_of_two_groups_go_on() -> None:
    tables = {c: people(c, ["1"]) for c in "abc"}
    found = _identity_of(_table(tables, SplitParams(linked_corpora=(("a", "b"), ("b", "c")))))
    assert len(set(found.values())) == 1


def test_a_misspelt_link_is_said(caplog: pytest.LogCaptureFixture) -> None:
    _table({"a": people("a", ["1"])}, SplitParams(same_persons=(("a:1", "a:7"),)))
    assert "split.same_persons: no recording of a:7" in caplog.text


def test_one_equal_channel_joins_persons_and_is_said(caplog: pytest.LogCaptureFixture) -> None:
    tables = {"a": people("a", ["1", "2", "3"]), "b": people("b", ["1", "2", "3"])}
    tables["a"].at[1, "signal_hashes"] = channels("x", "shared")
    tables["b"].at[2, "signal_hashes"] = channels("shared", "", "y")
    table = _table(tables)
    found = _identity_of(table)
    assert found["a:2"] == found["b:3"] == "a:2"
    assert len(set(found.values())) == 5
    assert "a:2 is b:3 (a:0001 = b:0002)" in caplog.text
    joined = dict(zip(table["person"], table["joined"], strict=True))
    assert joined["a:2"] == joined["b:3"] == "a:0001 = b:0002"
    assert joined["a:1"] == ""


def test_hundreds_of_equal_recordings_join_as_one_does() -> None:
    """256 edges between two persons: an edge count in eight bits would come round to none."""
    hashes = [channels(f"{k}") for k in range(256)]
    tables = {c: people(c, ["1"] * 256, signal_hashes=hashes) for c in "ab"}
    assert _table(tables)["identity"].tolist() == ["a:1", "a:1"]


def test_flat_channels_and_missing_hashes_join_nobody(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    tables = {
        "a": people("a", ["1", "2"], signal_hashes=[["", ""], []]),
        "b": people("b", ["1", "2"]).drop(columns="signal_hashes"),
    }
    assert len(set(_identity_of(_table(tables)).values())) == 4
    assert "4 of 4 recordings have no hash of a channel" in caplog.text


@pytest.mark.parametrize("n_persons", [MAX_PERSONS, MAX_PERSONS + 1])
def test_a_channel_of_implausibly_many_persons_is_an_artefact(n_persons: int, caplog: pytest.LogCaptureFixture) -> None:
    table = people("a", [f"p{k:02d}" for k in range(20)])
    for k in range(n_persons):
        table.at[k, "signal_hashes"] = channels("calibration", f"own {k}")
    found = _table({"a": table})
    is_artefact = n_persons > MAX_PERSONS
    assert found["identity"].nunique() == (20 if is_artefact else 20 - n_persons + 1)
    assert ("1 channels are the same in recordings of more than 10 persons" in caplog.text) == is_artefact
    if is_artefact:
        shorts = [s for signals in found["signals"] for s in signals]
        assert channels("calibration")[0][:16] not in shorts


def test_two_recordings_of_one_person_are_no_finding(caplog: pytest.LogCaptureFixture) -> None:
    table = people("a", ["1", "1", "2"])
    table.at[1, "signal_hashes"] = table.at[0, "signal_hashes"]
    found = _table({"a": table})
    assert found["recordings"].tolist() == [["a:0000", "a:0001"], ["a:0002"]]
    assert not caplog.text


def test_short_hashes_are_those_of_the_smallest_channels() -> None:
    own = [channels(*(f"{person} {k}" for k in range(n)), "") for person, n in (("1", 2), ("2", 7))]
    found = _table({"a": people("a", ["1", "2"], signal_hashes=own)})
    expected = [[" ".join(h[:16] for h in sorted(filter(None, hashes))[:N_SHORT])] for hashes in own]
    assert found["signals"].tolist() == expected


def test_a_recording_that_many_persons_have_whole_is_one_person(caplog: pytest.LogCaptureFixture) -> None:
    """However often it was copied: no channel is its own, so none is an artefact of an amplifier."""
    table = people("a", [f"p{k:02d}" for k in range(20)])
    for k in range(MAX_PERSONS + 3):
        table.at[k, "signal_hashes"] = channels("one", "two", "")
    table.at[19, "signal_hashes"] = channels("one", "own", "")  # an artefact there: it has a channel of its own
    found = _table({"a": table})
    assert found["identity"].nunique() == 20 - (MAX_PERSONS + 3) + 1
    assert len({s for signals in found["signals"][: MAX_PERSONS + 3] for s in signals}) == 1
    assert found["signals"][0][0].split() == sorted(h[:16] for h in channels("one", "two"))


def test_linked_groups_that_share_a_corpus_are_one_group() -> None:
    tables = {corpus: people(corpus, ["s1"]) for corpus in "abcd"}
    params = SplitParams(linked_corpora=(("a", "b"), ("c", "d"), ("b", "c")))
    assert len(set(_identity_of(_table(tables, params)).values())) == 1


def test_a_corpus_named_after_tuh_has_its_ids_by_whatever_layout_it_is_read() -> None:
    tables = {"tuab": people("tuab", ["aaaaaaab"]), "c": people("c", ["aaaaaaab"], family="tueg")}
    assert set(_identity_of(_table(tables)).values()) == {"TUEG:aaaaaaab"}


def test_tables_that_came_back_from_a_file_give_the_same() -> None:
    table = people("a", ["1", "2"])
    arrays = table.assign(signal_hashes=[np.array(own, dtype=object) for own in table["signal_hashes"]])
    pd.testing.assert_frame_equal(_table({"a": table}), _table({"a": arrays}))


@pytest.mark.parametrize("bad", [["xyz"], ["ab" * 15], ["0" * 31 + "g"], [1]])
def test_what_is_no_hash_is_refused(bad: list[object]) -> None:
    with pytest.raises(SplitError, match=r"recording a:0000: signal_hashes hold no hashes .* ingest"):
        _table({"a": people("a", ["1"], signal_hashes=[bad])})


def test_nameless_and_doubled_recordings_are_refused() -> None:
    with pytest.raises(SplitError, match="1 recordings have no subject: a:0001"):
        _table({"a": people("a", ["1", "sub-"])})
    twice = pd.concat([people("a", ["1"])] * 2)
    with pytest.raises(SplitError, match="1 recordings are listed more than once in the tables: a:0000"):
        _table({"a": twice})


def test_persons_that_a_table_spells_otherwise_are_still_one() -> None:
    """Tables of an earlier version hold persons whose ids were normalized less."""
    table = people("a", ["1", "1"])
    table["person"] = ["a:sub-1", "a:1"]
    assert _table({"a": table})["identity"].tolist() == ["a:1", "a:1"]


def test_persons_of_a_folder_keep_their_corpus() -> None:
    assert person_id("a", "x") != person_id("b", "x")


def test_thousands_of_recordings_take_a_moment() -> None:
    """TUEG and HBN, a tenth of each; every hundredth recording of TUEG stands in TUAB under another id."""
    rng = np.random.default_rng(0)
    tables = {}
    for corpus, n, n_channels in (("tuh", 4_000, 21), ("hbn", 2_000, 129)):
        blob = rng.bytes(16 * n * n_channels).hex()
        texts = [blob[32 * k : 32 * (k + 1)] for k in range(n * n_channels)]
        tables[corpus] = people(
            corpus, [letters(k // 2) for k in range(n)], signal_hashes=list(np.array(texts).reshape(n, n_channels))
        )
    copies = tables["tuh"]["signal_hashes"].iloc[::100].tolist()
    tables["tuab"] = people("tuab", [f"c{k}" for k in range(len(copies))], signal_hashes=copies)
    start = time.process_time()  # what others do on the machine does not count
    found = _table(tables)
    assert time.process_time() - start < 3
    assert found["identity"].nunique() == 2_000 + 1_000

"""Persons of official test sets, and the messages where these persons cannot be known."""

import logging

import pandas as pd
import pytest

from eegfm.errors import ConfigError, SplitError
from eegfm.splits.config import SplitParams
from eegfm.splits.persons import identify
from eegfm.splits.test_sets import find_test_sets, log_unknown
from person_tables import people

HBN_IDS = [f"NDARAA{k:06d}" for k in range(4)]


def _sets(tables: dict[str, pd.DataFrame], **params: object) -> dict[str, str]:
    chosen = SplitParams.model_validate(params)
    persons = identify(tables, chosen)
    return dict(zip([p.person for p in persons], find_test_sets(tables, persons, chosen), strict=True))


@pytest.mark.parametrize(
    ("family", "value", "is_test"),
    [
        ("tuab", "eval", True),
        ("tuab", "train", False),
        ("tuev", "eval", True),
        ("tusz", "eval", True),
        ("tusz", "dev", True),
        ("tusz", "train", False),
        ("tueg", "", False),
        ("tuep", "", False),
    ],
)
def test_registered_sets_of_tuh(family: str, value: str, is_test: bool) -> None:
    found = _sets({"c": people("c", ["aaaaaaab"], family=family, official_split=value)})
    assert found == {"c:aaaaaaab": f"official test set {family} {value}" if is_test else ""}


def test_release_5_of_hbn_whatever_the_corpus_is_called() -> None:
    table = people("kids", HBN_IDS, official_split=["R1", "R5", "r5 ", "R11"])
    assert list(_sets({"kids": table}).values()) == [
        "",
        "official test set hbn R5",
        "official test set hbn r5 ",
        "",
    ]


def test_simulated_hbn_is_no_release(caplog: pytest.LogCaptureFixture) -> None:
    table = people("hbn", ["NDARSIM00001"], official_split="SIM", simulated=True)
    assert set(_sets({"hbn": table}).values()) == {""}
    assert all(record.levelno < logging.WARNING for record in caplog.records)


@pytest.mark.parametrize("release", ["", "R", "five", "2024"])
def test_hbn_without_its_release_is_refused(release: str) -> None:
    table = people("hbn", HBN_IDS, official_split=release)
    if release == "2024":
        assert set(_sets({"hbn": table}).values()) == {""}
        return
    with pytest.raises(
        SplitError, match=r"hbn: 4 persons of HBN have no valid release.*hbn:ndaraa000000.*participants.tsv"
    ):
        _sets({"hbn": table})
    assert set(_sets({"hbn": table}, test_sets={"hbn": ()}).values()) == {""}


@pytest.mark.parametrize("release", ["R5", "5", "R05", "r5 ", "Release 5", "R5_L100"])
def test_release_5_in_every_spelling(release: str) -> None:
    assert "" not in _sets({"hbn": people("hbn", HBN_IDS, official_split=release)}).values()


def test_one_recording_in_a_set_is_enough() -> None:
    table = people("c", ["aaaaaaab", "aaaaaaab", "aaaaaaac"], family="tuab", official_split=["train", "eval", "train"])
    assert _sets({"c": table}) == {"c:aaaaaaab": "official test set tuab eval", "c:aaaaaaac": ""}


def test_sets_can_be_added_and_replaced_but_not_by_accident(caplog: pytest.LogCaptureFixture) -> None:
    tables = {
        "own": people("own", ["1", "2"], official_split=["test", "train"]),
        "tuab": people("tuab", ["aaaaaaab"], family="tuab", official_split="eval"),
        "tusz": people("tusz", ["aaaaaaac", "aaaaaaad"], family="tusz", official_split=["dev", "eval"]),
    }
    found = _sets(tables, test_sets={"own": ["test"], "tusz": ["eval"]})
    assert [name for name, value in found.items() if value] == ["own:1", "tuab:aaaaaaab", "tusz:aaaaaaad"]
    assert "persons of tusz dev may be trained on" in caplog.text


def test_sets_that_no_recording_is_in_are_refused() -> None:
    """Their persons would be trained on."""
    tables = {
        "own": people("own", ["1", "2"], official_split=["Test", "train"]),
        "tuh": people("tuh", ["aaaaaaab", "aaaaaaac"], family="tuab", official_split=["eval", "train"]),
        "hbn": people("hbn", HBN_IDS[:2], official_split=["R3", "R5"]),
    }
    assert _sets(tables, test_sets={"own": ["test"], "hbn": ["3"]})["own:1"]
    for layout, value, there_is in (("own", "tset", "Test"), ("tuab", "evall", "eval"), ("hbn", "R7", "R3")):
        message = rf"split\.test_sets\.{layout}: '{value}' matches none of 2 recordings .*'{there_is}' 1"
        with pytest.raises(ConfigError, match=message):
            _sets(tables, test_sets={layout: [value]})
    del tables["tuh"]
    _sets(tables, test_sets={"tuab": ["own split"]})  # nothing of TUAB is at hand


def test_misspelt_sets_and_corpora_are_refused() -> None:
    tables = {"own": people("own", ["1"])}
    with pytest.raises(SplitError, match=r"split\.test_sets: 'tuba' is no corpus or layout; known: hbn, own, tuab"):
        _sets(tables, test_sets={"tuba": ["eval"]})
    with pytest.raises(SplitError, match=r"split\.held_out: 'owm' is no corpus or layout"):
        _sets(tables, held_out={"owm": ["1"]})


def test_persons_of_sets_that_are_not_at_hand(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    tables = {"tuh": people("tuh", ["aaaaaaab", "aaaaaaac", "aaaaaaad"], family="tueg"), "own": people("own", ["1"])}
    found = _sets(tables, held_out={"tuab": ["AAAAAAAB", "zzzzzzzz"], "tuh": ["aaaaaaad"], "own": ["sub-1"]})
    assert found == {
        "own:1": "split.held_out",
        "tuh:aaaaaaab": "split.held_out",
        "tuh:aaaaaaac": "",
        "tuh:aaaaaaad": "split.held_out",
    }
    assert "split.held_out: 3 of the 4 persons it names have recordings here" in caplog.text


def test_the_log_counts_persons_by_set(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    _sets({"c": people("c", ["aaaaaaab", "aaaaaaac"], family="tuab", official_split="eval")})
    assert "official test sets, never trained on: official test set tuab eval 2" in caplog.text


@pytest.mark.parametrize(
    ("families", "simulated", "absent"),
    [
        (["tueg"], False, "tuab, tuev, tusz"),
        (["tueg", "tuab"], False, "tuev, tusz"),
        (["tuar", "tuab", "tuev", "tusz"], False, None),
        (["tuab"], True, None),
    ],
)
def test_tuh_without_its_test_sets_is_said_in_one_line(
    families: list[str], simulated: bool, absent: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    tables = {f: people(f, ["aaaaaaab"], family=f, simulated=simulated, official_split="eval") for f in families}
    log_unknown(tables, families[:1], SplitParams())
    assert len(caplog.records) == (absent is not None)
    assert absent is None or f"Training on TUH without {absent}:" in caplog.text


def test_the_training_part_alone_says_nothing_of_the_test_set(caplog: pytest.LogCaptureFixture) -> None:
    tables = {f: people(f, ["aaaaaaab"], family=f, official_split="train") for f in ("tuab", "tuev", "tusz")}
    log_unknown(tables, ["tuab"], SplitParams())
    assert "Training on TUH without tuab, tuev, tusz:" in caplog.text


def test_only_evaluating_on_tuh_needs_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    tables = {"tuab": people("tuab", ["aaaaaaab"], family="tuab"), "own": people("own", ["1"])}
    log_unknown(tables, ["own"], SplitParams())
    assert not caplog.text

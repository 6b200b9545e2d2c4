"""Montages and persons: identity that does not depend on who asks."""

import json

import numpy as np
import pytest

from eegfm.recording import Montage, person_id

MONTAGE = Montage(
    ("Fp1", "Cz", "A1"),
    ((-0.03, 0.08, 0.0), (0.0, 0.0, 0.1), (-0.08, 0.0, -0.04)),
    (True, True, False),
    "average",
)


def changed(**fields: object) -> Montage:
    return Montage.from_dict({**MONTAGE.to_dict(), **fields})


def test_round_trip_through_json() -> None:
    again = Montage.from_dict(json.loads(json.dumps(MONTAGE.to_dict())))
    assert again == MONTAGE
    assert again.name == MONTAGE.name
    assert hash(again) == hash(MONTAGE)


def test_positions_are_one_row_per_channel() -> None:
    assert MONTAGE.positions().dtype == np.float32
    np.testing.assert_allclose(MONTAGE.positions()[0], [-0.03, 0.08, 0.0])
    assert Montage((), (), (), "unknown").positions().shape == (0, 3)


def test_name_is_readable_stable_and_distinct() -> None:
    # Folders of stores and keys of checkpoints carry it: it must not change between versions.
    assert MONTAGE.name == "3ch-average-42a165"
    names = {
        MONTAGE.name,
        changed(channel_names=["Fp1", "A1", "Cz"]).name,
        changed(channel_names=["Fp1", "Cz", "A2"]).name,
        changed(reference="linked_ears").name,
    }
    assert len(names) == 4


def test_measured_positions_have_names_of_their_own() -> None:
    measured = changed(is_digitized=True)
    moved = changed(is_digitized=True, positions_m=[[-0.03001, 0.08, 0.0], [0.0, 0.0, 0.1], [-0.08, 0.0, -0.04]])
    assert measured.name == "3ch-average-42a165-66dcb5a76f70"
    assert len({MONTAGE.name, measured.name, moved.name}) == 3
    assert Montage.from_dict(json.loads(json.dumps(moved.to_dict()))) == moved
    assert Montage.from_dict(json.loads(json.dumps(moved.to_dict()))).name == moved.name


def test_descriptions_from_before_positions_were_measured_are_templates() -> None:
    old = {key: value for key, value in MONTAGE.to_dict().items() if key != "is_digitized"}
    assert Montage.from_dict(old) == MONTAGE


@pytest.mark.parametrize(
    "fields",
    [
        {"channel_names": ["Fp1", "Cz"]},
        {"channel_names": ["Fp1", "Cz", "Cz"]},
        {"is_scalp": [True]},
        {"positions_m": [[0, 0, 0]]},
    ],
)
def test_columns_must_fit(fields: dict[str, object]) -> None:
    with pytest.raises(AssertionError):
        changed(**fields)


@pytest.mark.parametrize("subject", ["NDARAA1", "ndaraa1", " NdarAA1 ", "NDARAA1\n"])
def test_spelling_does_not_make_a_second_person(subject: str) -> None:
    assert person_id("hbn", subject) == "hbn:ndaraa1"


def test_same_subject_of_two_corpora_is_two_persons() -> None:
    assert person_id("tuh", "001") != person_id("hbn", "001")

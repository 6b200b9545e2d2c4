"""Measured positions: brought into MNE's head frame where they can be, refused where they cannot."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mne
import numpy as np
import pytest
from numpy.typing import NDArray

from bids_tree import write_tree
from eegfm.corpora.bids_positions import Position, place, position_files, read_positions
from eegfm.errors import RecordingError
from eegfm.signal.montages.electrodes import resolve_channels
from eegfm.signal.montages.layouts import electrode_table

PATH = "sub-01/eeg/sub-01_task-rest_eeg.edf"
NAMES = ("Fp1", "Fp2", "Fz", "C3", "Cz", "C4", "Pz", "O1", "O2")
TEMPLATE: dict[str, Position] = {name: electrode_table("1005")[name].position_m for name in NAMES}
NASION, LEFT, RIGHT = (np.array(p) for p in [(0.0, 0.1, 0.0), (-0.08, 0.0, 0.0), (0.075, 0.0, 0.0)])
ALS = np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
"""From right-anterior-superior to anterior-left-superior, the axes of CTF and EEGLAB."""


def head() -> dict[str, NDArray[np.float64]]:
    """A head that is smaller than the template's, its electrodes a little off: metres, head frame."""
    rng = np.random.default_rng(3)
    return {name: np.array(p) * 0.9 + rng.normal(0, 0.004, 3) for name, p in TEMPLATE.items()}


def tree(
    root: Path, points: Mapping[str, NDArray[np.float64]], system: Mapping[str, Any] | None, space: str = ""
) -> Path:
    stem = f"sub-01/eeg/sub-01_{space}"
    rows = [(name, *(repr(float(v)) for v in xyz)) for name, xyz in points.items()]
    files: dict[str, Any] = {f"{stem}electrodes.tsv": [("name", "x", "y", "z"), *rows, ("Ground", "n/a", "n/a", "n/a")]}
    if system is not None:
        files[f"{stem}coordsystem.json"] = dict(system)
    return write_tree(root, files) / PATH


def captrak(units: str = "m") -> dict[str, Any]:
    return {"EEGCoordinateSystem": "CapTrak", "EEGCoordinateUnits": units}


def landmarks(name: str, *points: NDArray[np.float64], units: str) -> dict[str, Any]:
    given = {key: list(map(float, p)) for key, p in zip(("NAS", "LPA", "RPA"), points, strict=True)}
    return {"EEGCoordinateSystem": name, "EEGCoordinateUnits": units, "AnatomicalLandmarkCoordinates": given}


@pytest.mark.parametrize(("units", "scale"), [("m", 1), ("cm", 100), ("mm", 1000)])
@pytest.mark.parametrize("space", ["", "space-CapTrak_"])
def test_a_system_that_is_the_head_frame(tmp_path: Path, units: str, scale: float, space: str) -> None:
    path = tree(tmp_path, {k: p * scale for k, p in head().items()}, captrak(units), space)
    found = read_positions(path, TEMPLATE)
    assert found.flags == ()
    assert set(found.positions_m) == set(NAMES)
    for name, xyz in head().items():
        np.testing.assert_allclose(found.positions_m[name], xyz, atol=6e-6)


@pytest.mark.parametrize("name", ["EEGLAB", "CTF", "Other", "CapTrak"])
def test_landmarks_lead_from_any_system_to_mnes_head_frame(tmp_path: Path, name: str) -> None:
    """Other axes, another origin, another scale: the same as MNE finds from the same landmarks."""
    rotation, origin = mne.transforms.rotation(0.2, -0.1, 0.4)[:3, :3] @ ALS, np.array([0.01, -0.03, 0.05])
    points = {key: (rotation @ p + origin) * 1000 for key, p in head().items()}
    marks = [(rotation @ p + origin) * 1000 for p in (NASION, LEFT, RIGHT)]
    path = tree(tmp_path, points, landmarks(name, *marks, units="mm"))
    found = read_positions(path, TEMPLATE)
    assert found.flags == ()
    metres = {key: p / 1000 for key, p in points.items()}
    montage = mne.channels.make_dig_montage(metres, *(m / 1000 for m in marks), coord_frame="unknown")
    expected = mne.channels.transform_to_head(montage).get_positions()["ch_pos"]
    for key in NAMES:
        np.testing.assert_allclose(found.positions_m[key], expected[key], atol=6e-6)


def _without(key: str) -> dict[str, Any]:
    system = landmarks("CTF", NASION, LEFT, RIGHT, units="m")
    del system["AnatomicalLandmarkCoordinates"][key]
    return system


@pytest.mark.parametrize(
    "system",
    [
        None,
        {},
        {"EEGCoordinateSystem": "CTF", "EEGCoordinateUnits": "m"},
        {"EEGCoordinateSystem": "CapTrak"},
        {"EEGCoordinateSystem": "CapTrak", "EEGCoordinateUnits": "n/a"},
        _without("NAS"),
        landmarks("CTF", NASION, LEFT, LEFT, units="m"),
        landmarks("CTF", NASION, LEFT, RIGHT, units="m") | {"AnatomicalLandmarkCoordinateSystem": "Other"},
        landmarks("CTF", NASION, LEFT, RIGHT, units="m") | {"AnatomicalLandmarkCoordinateUnits": "n/a"},
        landmarks("CTF", NASION, LEFT, RIGHT, units="m") | {"AnatomicalLandmarkCoordinates": "n/a"},
        landmarks("CTF", NASION, LEFT, RIGHT, units="m")
        | {"AnatomicalLandmarkCoordinates": {"NAS": ["a", "b", "c"], "LPA": [1, 2], "RPA": 0}},
    ],
)
def test_systems_that_lead_nowhere(tmp_path: Path, system: dict[str, Any] | None) -> None:
    found = read_positions(tree(tmp_path, head(), system), TEMPLATE)
    assert found == ({}, ("positions_unusable:coordinate_system",))


@pytest.mark.parametrize(
    "points",
    [
        {k: p * 10 for k, p in head().items()},
        {k: p / 10 for k, p in head().items()},
        {k: ALS @ p for k, p in head().items()},
        {k: p * (-1, 1, 1) for k, p in head().items() if k not in {"Fz", "Cz", "Pz"}},
        {k: p + np.array([0, 0, 0.06]) for k, p in head().items()},
        dict(zip(NAMES, reversed(head().values()), strict=True)),
    ],
    ids=["cm called m", "mm called cm", "other axes", "left is right", "other origin", "shuffled"],
)
def test_positions_that_no_head_has(tmp_path: Path, points: dict[str, NDArray[np.float64]]) -> None:
    found = read_positions(tree(tmp_path, points, captrak()), TEMPLATE)
    assert found == ({}, ("positions_unusable:implausible",))


def test_electrodes_that_no_template_has_must_lie_on_a_head_at_least(tmp_path: Path) -> None:
    named = {f"X{i}": p for i, p in enumerate(head().values())}
    assert set(read_positions(tree(tmp_path, named, captrak()), TEMPLATE).positions_m) == set(named)
    named["X0"] = np.array([0.0, 0.0, 0.5])
    assert read_positions(tree(tmp_path, named, captrak()), TEMPLATE).flags == ("positions_unusable:implausible",)


def test_no_electrodes(tmp_path: Path) -> None:
    assert read_positions(tmp_path / PATH, TEMPLATE) == ({}, ("no_electrodes_tsv",))


@pytest.mark.parametrize(
    "text", ["name\tx\ty\nCz\t1\t2\n", "name\tx\ty\tz\nCz\ta\t0\t0\n", "name\tx\ty\tz\nCz\tinf\t0\t0\n"]
)
def test_tables_that_cannot_be_read_reject_the_recording(tmp_path: Path, text: str) -> None:
    path = write_tree(tmp_path, {"sub-01/eeg/sub-01_electrodes.tsv": text}) / PATH
    with pytest.raises(RecordingError, match=r"sub-01_electrodes\.tsv: not readable") as info:
        read_positions(path, TEMPLATE)
    assert info.value.code == "unreadable_electrodes"


def test_every_file_that_is_read_is_listed(tmp_path: Path) -> None:
    places = position_files(PATH)
    assert "sub-01/eeg/sub-01_electrodes.tsv" in places
    assert "sub-01/eeg/sub-01_space-CapTrak_coordsystem.json" in places
    assert "sub-01/sub-01_task-rest_space-EEGLAB_electrodes.tsv" in places


LABELS = ("Cz", "X1", "O1", "Status", "A1")
POINTS: dict[str, Position] = {
    "X1": (0.01, 0.02, 0.12),
    "CZ": (9, 9, 9),
    "Cz": (0.0, 0.01, 0.11),
    "A1": (0.0, 0.1, 0.03),
}


def test_the_template_is_filled_up() -> None:
    found = place(resolve_channels(LABELS, "1005"), LABELS, POINTS, "template")
    table = electrode_table("1005")
    assert found.montage.channel_names == ("Cz", "O1", "A1", "X1")
    assert found.montage.positions_m == (*(table[n].position_m for n in ("Cz", "O1", "A1")), POINTS["X1"])
    assert found.montage.is_scalp == (True, True, False, True)
    assert found.montage.is_digitized
    assert [LABELS[pick] for pick in found.picks] == ["Cz", "O1", "A1", "X1"]
    assert found.not_understood == ()
    assert found.left_out == ("Status",)


def test_measured_positions_replace_the_template() -> None:
    found = place(resolve_channels(LABELS, "1005"), LABELS, POINTS, "electrodes_tsv")
    o1 = electrode_table("1005")["O1"].position_m
    assert found.montage.positions_m == (POINTS["Cz"], o1, POINTS["A1"], POINTS["X1"])
    assert found.montage.is_digitized


def test_nothing_measured_leaves_the_template_and_its_name() -> None:
    resolved = resolve_channels(("Cz", "O1"), "1005")
    assert place(resolved, ("Cz", "O1"), {}, "electrodes_tsv") is resolved
    assert place(resolved, ("Cz", "O1"), POINTS, "template") is resolved

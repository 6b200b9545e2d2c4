"""Measured positions: brought into MNE's head frame where they can be, refused where they cannot."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mne
import numpy as np
import pytest
from numpy.typing import NDArray

from bids_tree import write_tree
from eegfm.corpora.bids_positions import Position, Units, other_units, place, position_files, read_positions
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
    assert found.positions_m == {}
    assert found.flags[0] == "positions_unusable:coordinate_system"


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
    tiny = read_positions(tree(tmp_path, named, captrak("mm")), TEMPLATE)
    assert tiny == ({}, ("positions_unusable:implausible", "positions_fit_in:m"))
    named["X0"] = np.array([0.0, 0.0, 0.5])
    assert read_positions(tree(tmp_path, named, captrak()), TEMPLATE).flags == ("positions_unusable:implausible",)


def test_no_electrodes(tmp_path: Path) -> None:
    assert read_positions(tmp_path / PATH, TEMPLATE) == ({}, ("no_electrodes_tsv",))


@pytest.mark.parametrize(
    ("text", "flag"),
    [
        ("name\tx\ty\nCz\t1\t2\n", "side_file_unreadable:electrodes.tsv"),
        ("name\tx\ty\tz\nCz\ta\t0\t0\n", "side_file_not_understood:electrodes.tsv:xyz"),
        ("name\tx\ty\tz\nCz\tinf\t0\t0\n", "side_file_not_understood:electrodes.tsv:xyz"),
        ("name\tx\ty\tz\nCz\t0\t0\n", "side_file_rows_left_out:electrodes.tsv:1"),
    ],
)
def test_tables_that_say_nothing_give_no_positions(tmp_path: Path, text: str, flag: str) -> None:
    path = write_tree(tmp_path, {"sub-01/eeg/sub-01_electrodes.tsv": text}) / PATH
    assert read_positions(path, TEMPLATE) == ({}, (flag, "positions_unusable:coordinate_system"))


@pytest.mark.parametrize("cell", ["n/a", "nan", "", "far", "inf"])
def test_one_electrode_without_coordinates_costs_that_electrode(tmp_path: Path, cell: str) -> None:
    path = tree(tmp_path, head(), captrak())
    table = path.parent / "sub-01_electrodes.tsv"
    lines = [f"{line.split(chr(9))[0]}\t{cell}\t0\t0" if line.startswith("C3") else line
             for line in table.read_text().splitlines()]  # fmt: skip
    table.write_text("\n".join(lines) + "\n")
    found = read_positions(path, TEMPLATE)
    assert set(found.positions_m) == {*NAMES} - {"C3"}
    assert found.flags == (("side_file_not_understood:electrodes.tsv:xyz",) if cell in ("far", "inf") else ())


def test_a_system_that_is_no_json_gives_no_positions(tmp_path: Path) -> None:
    path = tree(tmp_path, head(), captrak())
    (path.parent / "sub-01_coordsystem.json").write_text("{")
    flags = ("side_file_unreadable:coordsystem.json", "positions_unusable:coordinate_system")
    assert read_positions(path, TEMPLATE) == ({}, flags)


UNITS: dict[Units, float] = {"m": 1.0, "cm": 100.0, "mm": 1000.0}


@pytest.mark.parametrize("stated", ["m", "cm", "mm", "n/a", "inch"])
@pytest.mark.parametrize("true", ["m", "cm", "mm"])
@pytest.mark.parametrize("with_landmarks", [False, True])
def test_wrong_units_are_named_and_never_replaced_unasked(
    tmp_path: Path, stated: str, true: Units, with_landmarks: bool
) -> None:
    points = {name: xyz * UNITS[true] for name, xyz in head().items()}
    marks = [p * UNITS[true] for p in (NASION, LEFT, RIGHT)]
    path = tree(tmp_path, points, landmarks("CTF", *marks, units=stated) if with_landmarks else captrak(stated))
    found = read_positions(path, TEMPLATE)
    if stated == true:
        assert (set(found.positions_m), found.flags) == (set(NAMES), ())
    else:
        assert found.positions_m == {}
        assert found.flags[-1] == f"positions_fit_in:{true}"
        assert f"corpus.position_units: {true}" in other_units(found.flags)
    told = read_positions(path, TEMPLATE, true)
    assert (set(told.positions_m), told.flags) == (set(NAMES), ())
    np.testing.assert_allclose(told.positions_m["Cz"][2] > 0.05, True)


def test_landmarks_that_have_units_of_their_own_keep_them(tmp_path: Path) -> None:
    points = {name: xyz * 100 for name, xyz in head().items()}
    system = landmarks("CTF", NASION, LEFT, RIGHT, units="mm") | {"AnatomicalLandmarkCoordinateUnits": "m"}
    path = tree(tmp_path, points, system)
    assert read_positions(path, TEMPLATE).flags[-1] == "positions_fit_in:cm"
    assert set(read_positions(path, TEMPLATE, "cm").positions_m) == set(NAMES)


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

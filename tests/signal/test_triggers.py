"""Trigger codes as events; MNE's ``find_events`` is the other opinion."""

import mne
import numpy as np
import pytest

from eegfm.signal.triggers import CodeRuns, events_in, names_triggers, preference


def runs(values: np.ndarray, first: int = 0) -> CodeRuns:
    starts = np.flatnonzero(np.diff(values, prepend=-1))
    return CodeRuns(starts + first, values[starts].astype(np.int64), first + len(values))


def found(values: np.ndarray) -> list[tuple[int, int, int]]:
    (events,) = events_in([runs(values)])
    return list(zip(events.starts.tolist(), events.lengths.tolist(), events.codes.tolist(), strict=True))


def mne_events(values: np.ndarray, consecutive: bool | str) -> list[tuple[int, int]]:
    raw = mne.io.RawArray(values[None].astype(float), mne.create_info(["Status"], 256.0, "stim"), verbose="error")
    events = mne.find_events(raw, "Status", consecutive=consecutive, shortest_event=1, verbose="error")
    return [(int(at), int(code)) for at, _, code in events]


@pytest.mark.parametrize("seed", range(20))
def test_pulses_are_found_as_mne_finds_them(seed: int) -> None:
    """Codes of random length, some of one sample, with rests between them that last longer."""
    rng = np.random.default_rng(seed)
    pieces = [np.zeros(5)]
    for _ in range(50):
        pieces += [np.full(rng.integers(1, 20), rng.integers(1, 1 << 16)), np.zeros(rng.integers(20, 60))]
    values = np.concatenate(pieces)
    assert [(at, code) for at, _, code in found(values)] == mne_events(values, "increasing")


@pytest.mark.parametrize("seed", range(20))
def test_codes_that_are_held_are_found_as_mne_finds_them(seed: int) -> None:
    rng = np.random.default_rng(seed)
    codes = rng.integers(1, 9, 60)
    values = np.concatenate([np.zeros(5), *(np.full(rng.integers(2, 30), code) for code in codes)])
    assert [(at, code) for at, _, code in found(values)] == mne_events(values, consecutive=True)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        # A pulse, of which the length is known.
        ([0] * 9 + [5] * 3 + [0] * 9, [(9, 3, 5)]),
        # The upper byte is set all the time, as where nothing is connected to it; but for the first samples.
        ([0] + [65280] * 200 + [65281] * 4 + [65280] * 200, [(201, 4, 65281)]),
        # The same, where codes last longer than rests.
        ([65280] * 20 + [65281] * 40 + [65280] * 20 + [65283] * 40, [(20, 40, 65281), (80, 40, 65283)]),
        # Lines that are low where they are set.
        ([255] * 200 + [254] * 2 + [255] * 200 + [127] * 2 + [255] * 9, [(200, 2, 254), (402, 2, 127)]),
        # One line is held while another one goes up and down.
        ([0] * 9 + [1] * 2 + [3] * 2 + [1] * 2 + [0] * 9, [(9, 2, 1), (11, 2, 3)]),
        # A code that is there at the first sample.
        ([4] * 3 + [0] * 9 + [2] * 2 + [0] * 9, [(12, 2, 2)]),
        # The lines of code 3 switch one sample after the other, up and down; 1 is no event.
        ([0] * 9 + [1] + [3] * 4 + [2] + [0] * 9, [(10, 5, 3)]),
        # No rest between two codes; the second is lower.
        ([0] * 9 + [2] * 3 + [1] * 3 + [0] * 9, [(9, 3, 2), (12, 3, 1)]),
        ([0] * 9, []),
        ([65280] * 9, []),
    ],
)
def test_rules(values: list[int], expected: list[tuple[int, int, int]]) -> None:
    assert found(np.array(values)) == expected


def test_steps_between_codes_are_counted() -> None:
    (events,) = events_in([runs(np.array([0] * 9 + [1] + [3] * 4 + [2] + [0] * 9))])
    assert events.n_steps == 2


def test_stretches_share_their_resting_level() -> None:
    """The second stretch begins in a code whose start nobody saw."""
    first, second = np.array([0] * 50 + [7] * 4 + [0] * 50), np.array([7] * 4 + [0] * 30 + [8] * 3)
    one, two = events_in([runs(first), runs(second, 500)])
    assert (one.starts.tolist(), one.codes.tolist()) == ([50], [7])
    assert (two.starts.tolist(), two.codes.tolist(), two.lengths.tolist()) == ([534], [8], [3])


@pytest.mark.parametrize("label", ["Status", "STATUS", "STI 014", "STI101", "Trigger", "TRIG", "EDF Status", "Marker"])
def test_labels_of_trigger_channels(label: str) -> None:
    assert names_triggers(label)


@pytest.mark.parametrize("label", ["Stig", "Fp1", "BDF Annotations", "EEG T3", "Trigeminal", "DC01", "STATUSES OF X"])
def test_other_labels(label: str) -> None:
    assert not names_triggers(label)


def test_the_channel_with_all_codes_comes_first() -> None:
    assert sorted(["Trigger", "STI 014", "Status"], key=preference) == ["Status", "STI 014", "Trigger"]

"""Places of channels, compared with every possible assignment and with EGI's own table."""

import itertools
import logging

import numpy as np
import pytest
import torch

from eegfm.adapters.config import ZeroPadConfig
from eegfm.adapters.zero_pad import ZeroPad, place_channels
from eegfm.batch import SignalSpec, WindowBatch
from eegfm.errors import ConfigError
from eegfm.recording import Montage
from eegfm.signal.montages.canonical import canonical_montage
from eegfm.signal.montages.electrodes import resolve_channels
from eegfm.signal.montages.splines import directions, head_sphere


def part(montage: Montage, names: list[str], moved_m: float = 0.0) -> Montage:
    """Some electrodes of a montage; moved ones are measured ones under names of their own."""
    rng = np.random.default_rng(0)
    places = [montage.positions_m[montage.channel_names.index(name)] for name in names]
    if not moved_m:
        scalp = tuple(montage.is_scalp[montage.channel_names.index(name)] for name in names)
        return Montage(tuple(names), tuple(places), scalp, "average")
    places = [tuple(np.array(place) + rng.uniform(-moved_m, moved_m, 3)) for place in places]
    return Montage(tuple(f"X{k}" for k in range(len(names))), tuple(places), (True,) * len(names), "average")


def batch(montage: Montage, name: str = "m") -> WindowBatch:
    signal = torch.arange(1.0, montage.n_channels + 1).view(1, -1, 1).expand(2, -1, 5).clone()
    return {
        "signal": signal,
        "channel_positions": torch.from_numpy(montage.positions()).expand(2, -1, -1),
        "channel_mask": torch.ones(2, montage.n_channels, dtype=torch.bool),
        "reference": "average",
        "recording": torch.zeros(2, dtype=torch.int64),
        "corpus": "c",
        "montage": name,
    }


def build(recorded: Montage, **choices: object) -> ZeroPad:
    return ZeroPad(ZeroPadConfig(**choices), SignalSpec(100.0, {"m": recorded}, {"m": 5}))


def names_of(montage: Montage, canonical: Montage, max_distance_m: float = 0.03) -> dict[str, str]:
    placed = place_channels(montage, canonical, max_distance_m)
    pairs = zip(placed.channels, placed.electrodes, strict=True)
    return {montage.channel_names[c]: canonical.channel_names[e] for c, e in pairs}


@pytest.mark.parametrize("name", ["1020_19", "1020_21", "1010_64", "gsn_129"])
def test_a_montage_in_itself_is_itself(name: str) -> None:
    montage = canonical_montage(name)
    assert names_of(montage, montage) == {n: n for n in montage.channel_names}


def test_electrodes_go_to_their_own_names() -> None:
    montage = canonical_montage("1020_19")
    assert names_of(montage, canonical_montage("1010_64")) == {n: n for n in montage.channel_names}
    old = resolve_channels(["EEG T3-REF", "EEG T6-REF", "EEG CZ-REF"], "1005").montage
    assert names_of(old, montage) == {"Cz": "Cz", "T7": "T7", "P8": "P8"}


def test_a_name_counts_more_than_a_shorter_way() -> None:
    """Measured at a head where C3 sits nearer to the template's C1."""
    canonical = canonical_montage("1010_64")
    c1, c3 = (np.array(canonical.positions_m[canonical.channel_names.index(name)]) for name in ("C1", "C3"))
    measured = Montage(("C3",), (tuple(c3 + 0.6 * (c1 - c3)),), (True,), "average")
    near = np.linalg.norm(np.array(measured.positions_m) - [c1, c3], axis=1)
    assert near[0] < near[1] < 0.03
    # One electrode determines no sphere: the others make sure that the head is where the template's is.
    names = [name for name in canonical.channel_names if name not in ("C1", "C3")]
    rest = part(canonical, names)
    whole = Montage(
        (*rest.channel_names, "C3"), (*rest.positions_m, *measured.positions_m), (True,) * 63, "average", True
    )
    assert names_of(whole, canonical)["C3"] == "C3"


def test_no_assignment_is_shorter() -> None:
    """Every way to give four channels one of six electrodes each."""
    canonical = part(canonical_montage("1010_64"), ["C1", "C3", "C5", "FC3", "CP3", "Cz"])
    montage = part(canonical, ["C1", "C3", "FC3", "CP3"], moved_m=0.02)
    sphere = head_sphere(canonical).radius_m
    distances = sphere * np.arccos((directions(montage) @ directions(canonical).T).clip(-1, 1))
    shortest = min(
        itertools.permutations(range(6), 4), key=lambda electrodes: sum(distances[range(4), list(electrodes)])
    )
    placed = place_channels(montage, canonical, 0.2)
    assert placed.electrodes.tolist() == list(shortest)
    assert placed.unplaced == ()


def test_as_many_as_can_be_are_placed() -> None:
    """The nearest electrode of one channel is the only one of another: the first makes way."""
    canonical = part(canonical_montage("1010_64"), ["Cz", "FCz"])
    at = {name: np.array(canonical.positions_m[k]) for k, name in enumerate(canonical.channel_names)}
    between, beyond = at["Cz"] + 0.3 * (at["FCz"] - at["Cz"]), at["Cz"] - 0.5 * (at["FCz"] - at["Cz"])
    montage = Montage(("a", "b"), (tuple(between), tuple(beyond)), (True, True), "average")
    assert names_of(montage, canonical, 0.04) == {"a": "FCz", "b": "Cz"}


def test_the_net_of_hbn_meets_the_ten_twenty_system_where_egi_says() -> None:
    """Table of equivalents of Luu and Ferree (2005), where the nearest electrode is meant."""
    found = names_of(canonical_montage("1020_19"), canonical_montage("gsn_129"))
    egi = {"Fp1": "E22", "Fp2": "E9", "F7": "E33", "F3": "E24", "F4": "E124", "F8": "E122", "C3": "E36", "Cz": "Cz"}
    egi |= {"C4": "E104", "Pz": "E62", "P8": "E96", "O1": "E70", "O2": "E83"}
    assert {name: found[name] for name in egi} == egi


def test_equal_names_far_apart_are_not_the_same_electrode() -> None:
    radial = resolve_channels([f"{g}{k + 1}" for g in "ABCDEFGH" for k in range(32)], "biosemi256").montage
    canonical = canonical_montage("1020_21")
    found = names_of(radial, canonical)
    assert {"C3", "C4", "F3", "F4", "F7", "F8", "A1", "A2"} <= set(radial.channel_names)
    assert all(radial_name != name for radial_name, name in found.items())
    small = resolve_channels([f"E{k + 1}" for k in range(64)], "gsn64").montage
    net = canonical_montage("gsn_129")
    far = sum(name != other for name, other in names_of(small, net).items())
    assert far > 55


def test_signals_stand_at_their_electrodes_and_padding_is_masked_zeros() -> None:
    montage = part(canonical_montage("1020_19"), ["O1", "Cz", "Fp1"])
    adapter = build(montage, montage="1020_19")
    out = adapter(batch(montage))
    names = adapter.canonical.channel_names
    expected = torch.zeros(2, 19, 5)
    for k, name in enumerate(montage.channel_names):
        expected[:, names.index(name)] = k + 1.0
    assert torch.equal(out["signal"], expected)
    assert torch.equal(out["channel_mask"], expected[..., 0] > 0)
    np.testing.assert_array_equal(out["channel_positions"][0].numpy(), adapter.canonical.positions())


def test_a_channel_that_is_padding_already_stays_padding() -> None:
    montage = part(canonical_montage("1020_19"), ["O1", "Cz", "Fp1"])
    windows = batch(montage)
    windows["channel_mask"][:, 1] = False
    adapter = build(montage, montage="1020_19")
    out = adapter(windows)
    cz = adapter.canonical.channel_names.index("Cz")
    assert int(out["channel_mask"].sum()) == 4
    assert not out["channel_mask"][:, cz].any()
    assert not out["signal"][:, cz].any()


def test_what_finds_no_place_is_an_error_with_its_names() -> None:
    with pytest.raises(ConfigError, match=r"2 of 21 channels .* within 30 mm \(A1, A2\).*adapter\.unplaced: drop"):
        build(canonical_montage("1020_21"), montage="1020_19")


def test_or_is_dropped_counted_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    montage = canonical_montage("gsn_129")
    with caplog.at_level(logging.WARNING):
        adapter = build(montage, montage="1020_21", unplaced="drop")
    assert len(adapter.unplaced["m"]) == 129 - 21
    assert "108 of 129 channels of montage m" in caplog.text
    assert all(name in caplog.text for name in adapter.unplaced["m"][:5])
    out = adapter(batch(montage))
    assert out["channel_mask"].all()


def test_a_montage_without_any_place_is_an_error_even_so() -> None:
    ears = part(canonical_montage("1020_21"), ["A1", "A2"])
    with pytest.raises(ConfigError, match="2 of 2 channels"):
        build(ears, montage="1020_19", unplaced="drop", max_distance_m=0.01)

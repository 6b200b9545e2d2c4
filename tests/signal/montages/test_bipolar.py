"""The derivation of the TUH corpora against the published table and against MNE."""

import mne
import numpy as np
import pytest

from eegfm.errors import EegfmError
from eegfm.signal.montages.bipolar import is_bipolar, tcp_matrix, tcp_montage, tcp_name, tcp_pair
from eegfm.signal.montages.electrodes import resolve_channels
from eegfm.signal.montages.layouts import MODERN_NAMES
from tuh_tree import ELECTRODES, NINETEEN, TCP_NAMES


def test_order_is_the_published_one():
    assert len(TCP_NAMES) == 22
    assert [tcp_name(i) for i in range(22)] == TCP_NAMES
    assert [list(tcp_pair(i)) for i in range(22)] == [name.split("-") for name in TCP_NAMES]


@pytest.mark.parametrize("index", [-1, 22, -22, 100])
def test_an_index_that_does_not_exist_is_refused(index):
    with pytest.raises(EegfmError, match=f"derivation {index} does not exist; 0 to 21 do"):
        tcp_pair(index)


def mne_bipolar(signal: np.ndarray, names: list[str], derivations: list[str]) -> np.ndarray:
    raw = mne.io.RawArray(signal, mne.create_info(names, 100.0, "eeg"), verbose="error")
    anodes, cathodes = zip(*[d.split("-") for d in derivations], strict=True)
    out = mne.set_bipolar_reference(raw, list(anodes), list(cathodes), derivations, verbose="error")
    return out.get_data(derivations)


@pytest.mark.parametrize("electrodes", [ELECTRODES, NINETEEN, [n for n in ELECTRODES if n not in ("FZ", "PZ")]])
@pytest.mark.parametrize("seed", range(3))
def test_equals_mne_whatever_the_order_of_the_channels(electrodes, seed):
    rng = np.random.default_rng(seed)
    names = [electrodes[i] for i in rng.permutation(len(electrodes))]
    signal = rng.standard_normal((len(names), 50))
    derived = tcp_matrix([f"EEG {name}-REF" for name in names])
    wanted = [d for d in TCP_NAMES if set(d.split("-")) <= set(names)]
    assert derived.names == tuple(wanted)
    assert derived.matrix.dtype == np.float32
    np.testing.assert_allclose(derived.matrix @ signal, mne_bipolar(signal, names, wanted), atol=1e-12)


def test_montages_without_ears_have_twenty_and_keep_their_indices():
    derived = tcp_matrix([f"EEG {name}-LE" for name in NINETEEN])
    assert derived.matrix.shape == (20, 19)
    assert derived.indices == tuple(i for i in range(22) if i not in (8, 13))
    assert [TCP_NAMES[i] for i in derived.indices] == list(derived.names)


@pytest.mark.parametrize("missing", ELECTRODES)
def test_a_missing_electrode_costs_its_own_derivations_only(missing):
    derived = tcp_matrix([name for name in ELECTRODES if name != missing])
    assert list(derived.names) == [name for name in TCP_NAMES if missing not in name.split("-")]
    assert [TCP_NAMES[i] for i in derived.indices] == list(derived.names)
    assert (derived.matrix.sum(axis=1) == 0).all()
    assert (np.abs(derived.matrix).sum(axis=1) == 2).all()


@pytest.mark.parametrize("suffix", ["REF", "LE"])
def test_names_of_the_store_are_understood_and_the_reference_cancels(suffix):
    labels = [f"EEG {name}-{suffix}" for name in ELECTRODES]
    resolved = resolve_channels(labels, "1005")
    rng = np.random.default_rng(0)
    signal, shared = rng.standard_normal((len(labels), 30)), rng.standard_normal(30)
    raw, stored = tcp_matrix(labels), tcp_matrix(resolved.montage.channel_names)
    assert raw.names == stored.names == tuple(TCP_NAMES)
    np.testing.assert_allclose(stored.matrix @ signal[list(resolved.picks)], raw.matrix @ signal, atol=1e-12)
    np.testing.assert_allclose(raw.matrix @ (signal + shared), raw.matrix @ signal, atol=1e-6)


def test_other_channels_take_no_part():
    derived = tcp_matrix(["EEG EKG1-REF", "EEG F7-REF", "EEG T1-REF", "EEG FP1-REF", "EEG FP1-F7", "EEG 31-REF", ""])
    assert derived.names == ("FP1-F7",)
    assert derived.matrix.tolist() == [[0, -1, 0, 1, 0, 0, 0]]


def test_no_electrode_gives_no_derivation():
    derived = tcp_matrix(["E1", "E2"])
    assert (derived.matrix.shape, derived.names, derived.indices) == ((0, 2), (), ())


def test_one_electrode_twice_is_refused():
    with pytest.raises(EegfmError, match="more than one channel is T7; leave out the extra one"):
        tcp_matrix(["EEG T3-REF", "T7", "F7"])


def test_derivations_lie_halfway_and_remember_their_second_electrode():
    montage = resolve_channels([f"EEG {name}-LE" for name in ELECTRODES], "1005").montage
    derived = tcp_montage(montage)
    places = {
        name.upper(): np.array(place) for name, place in zip(montage.channel_names, montage.positions_m, strict=True)
    }
    places |= {old: places[new.upper()] for old, new in MODERN_NAMES.items()}
    assert derived.montage.channel_names == tuple(TCP_NAMES)
    for k, name in enumerate(TCP_NAMES):
        first, second = (places[electrode] for electrode in name.split("-"))
        np.testing.assert_allclose(derived.montage.positions_m[k], (first + second) / 2, atol=1e-9)
        np.testing.assert_allclose(derived.second_positions_m[k], second, atol=1e-7)
        assert derived.montage.is_scalp[k] == ("A" not in name)
    assert derived.montage.reference == "linked_ears"
    assert is_bipolar(derived.montage)
    assert not is_bipolar(montage)


def test_radial_names_make_no_derivation():
    """C3, C4, F3, F4, A1 and A2 of BioSemi's cap of 256 are other places."""
    montage = resolve_channels(mne.channels.make_standard_montage("biosemi256").ch_names, "biosemi256").montage
    assert {"F3", "C3", "F4", "C4", "A1"} <= set(montage.channel_names)
    assert tcp_montage(montage).montage.n_channels == 0

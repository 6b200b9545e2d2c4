"""Bad channels from the file to the encoder: what is found, what is left out, and that nothing good suffers from it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from bids_tree import write_tree
from checkpoints import header
from edf_files import write_edf
from eegfm.batch import SignalSpec
from eegfm.checkpoint import Checkpoint
from eegfm.corpora.config import BidsCorpus, CorpusConfig, HbnCorpus
from eegfm.encoders.config import PatchTransformerConfig
from eegfm.encoders.load import PREFIX, new_encoder
from eegfm.errors import ConfigError
from eegfm.evaluation.config import ProbeParams
from eegfm.evaluation.controls import power_features
from eegfm.inference.table_loader import TableLoader
from eegfm.jobs.ingest.config import IngestParams, WorkerParams
from eegfm.jobs.ingest.describe import spectrum_table
from eegfm.jobs.ingest.ingest import Ingested, ingest
from eegfm.jobs.probe.probe import probe
from eegfm.nn.rereference import Rereference
from eegfm.recording import BadChannels
from eegfm.signal.config import SignalParams
from eegfm.signal.montages.electrodes import resolve_channels
from eegfm.store.layout import StoreFacts
from eegfm.store.reader import SignalStore
from eegfm.store.writer import StoreWriter
from eegfm.windows.config import RecordingLabelTask, WindowParams
from eegfm.windows.cut import cut_windows
from empty_ledgers import empty_ledger
from person_tables import split_table

TEN20 = (
    "Fp1", "Fp2", "F7", "F3", "Fz", "F4", "F8", "T7", "C3", "Cz", "C4", "T8", "P7", "P3", "Pz", "P4", "P8", "O1", "O2",
)  # fmt: skip
RATE_HZ = 100.0
CPU = torch.device("cpu")


def eeg(seed: int, n_channels: int = 19, duration_s: float = 30.0, alpha_uv: float = 5.0) -> np.ndarray:
    """(C, T) microvolts: noise that falls with frequency in every channel, and a rhythm that all share."""
    rng, n = np.random.default_rng(seed), round(duration_s * RATE_HZ)
    spectrum = rng.standard_normal((n_channels, n // 2 + 1)) + 1j * rng.standard_normal((n_channels, n // 2 + 1))
    signal = np.fft.irfft(spectrum / np.maximum(np.fft.rfftfreq(n, 1 / RATE_HZ), 1.0), n=n)
    rhythm = alpha_uv * np.sin(2 * np.pi * 10 * np.arange(n) / RATE_HZ + rng.uniform(0, 6))
    return 15 * signal / signal.std(axis=1, keepdims=True) + rhythm


def write_subject(
    root: Path, name: str, signal_uv: np.ndarray, *, marked: tuple[str, ...] = (), names: tuple[str, ...] = TEN20,
    task: str = "x", sidecar: dict[str, Any] | None = None,
) -> None:  # fmt: skip
    """One recording in BIDS, with a table that marks channels bad."""
    stem = f"sub-{name}/eeg/sub-{name}_task-{task}"
    rows = [(channel, "EEG", "uV", "bad" if channel in marked else "good") for channel in names]
    files: dict[str, Any] = {f"{stem}_channels.tsv": [("name", "type", "units", "status"), *rows]}
    if sidecar is not None:
        files[f"{stem}_eeg.json"] = sidecar
    write_tree(root, files)
    write_edf(root / f"{stem}_eeg.edf", list(signal_uv), names, RATE_HZ, full_scale_uv=3276.7)


def ingested(root: Path, folder: Path, config: CorpusConfig | None = None) -> Ingested:
    config = config or BidsCorpus()
    params = IngestParams(corpus=config, workers=WorkerParams(n_workers=1))
    return ingest(config.build("c").index(root), root, params, SignalParams(), folder, simulated=True)


def bad_of(done: Ingested) -> dict[str, list[str]]:
    rows = done.recordings
    return {s: list(bad) for s, bad in zip(rows["subject"], rows["bad_channels"], strict=True)}


def seen_by_the_encoder(done: Ingested, handling: BadChannels = "mask") -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """By subject, what a window of 20 s is behind ``Rereference``, all windows in one batch; and its mask."""
    rows = done.recordings
    windows = pd.DataFrame({"recording_id": rows["recording_id"], "montage": rows["montage"], "corpus": "c"})
    windows = windows.assign(start=400, n_samples=2000)
    rereference = Rereference(done.store.montages, "average", handling)
    out = {}
    for places, stored in TableLoader(done.store, windows, batch_size=64):
        batch = rereference(stored)
        for place, signal, mask in zip(places.tolist(), batch["signal"], batch["channel_mask"], strict=True):
            out[str(rows["subject"].iloc[place])] = (signal.numpy(), mask.numpy())
    return out


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Ingested:
    """Recordings of one montage: clean; one channel 200 times as high as the others; three with other bad channels."""
    root, clean = tmp_path_factory.mktemp("raw"), eeg(1)
    loud = clean.copy()
    loud[6] += 3000 * np.sin(2 * np.pi * 20 * np.arange(clean.shape[1]) / RATE_HZ)
    write_subject(root, "clean", clean)
    write_subject(root, "loud", loud, marked=("F8",))
    write_subject(root, "unmarked", loud)
    write_subject(root, "quiet", clean, marked=("F8",))
    write_subject(root, "two", clean, marked=("O1", "Cz"))
    return ingested(root, tmp_path_factory.mktemp("out") / "store")


def test_every_recording_says_which_channels_are_bad(case: Ingested) -> None:
    assert bad_of(case) == {
        "clean": [], "loud": ["F8"], "unmarked": ["F8"], "quiet": ["F8"], "two": ["Cz", "O1"],
    }  # fmt: skip
    flags = dict(zip(case.recordings["subject"], case.recordings["flags"], strict=True))
    assert {"marked_bad:F8", "implausible_amplitude:F8"} <= set(flags["loud"])
    assert len(case.store.montages) == 1
    [name] = case.store.montages
    names = np.array(case.store.montages[name].channel_names)
    _, rows = case.store.locate(name, case.recordings["recording_id"], np.zeros(5, dtype=np.int64), 10)
    found = [sorted(names[is_bad]) for is_bad in case.store.is_bad(name)[rows]]
    assert found == [sorted(bad) for bad in case.recordings["bad_channels"]]


@pytest.mark.parametrize("handling", ["mask", "interpolate"])
@pytest.mark.parametrize("subject", ["loud", "unmarked"])
def test_good_channels_are_as_in_the_clean_recording(case: Ingested, handling: BadChannels, subject: str) -> None:
    seen = seen_by_the_encoder(case, handling)
    clean, (found, mask) = seen["clean"][0], seen[subject]
    [montage] = case.store.montages.values()
    good = np.array([name != "F8" for name in montage.channel_names])
    assert mask.tolist() == (good | (handling == "interpolate")).tolist()
    correlations = [np.corrcoef(a, b)[0, 1] for a, b in zip(clean[good], found[good], strict=True)]
    assert min(correlations) > 0.99
    assert found[good].std() == pytest.approx(clean[good].std(), rel=0.02)
    np.testing.assert_allclose(found[good], seen["quiet"][0][good], atol=0.5)  # steps of a loud recording are coarser


def test_band_power_of_good_channels_is_that_of_the_clean_recording(case: Ingested) -> None:
    seen, extract = seen_by_the_encoder(case), power_features(lambda batch: batch, case.store.rate_hz)
    powers = {
        name: extract({"signal": torch.from_numpy(signal)[None], "channel_mask": torch.from_numpy(mask)[None]})
        for name, (signal, mask) in seen.items()
    }
    mask = powers["loud"][1][0]
    difference = (powers["loud"][0] - powers["clean"][0])[0][mask].abs()
    assert difference.max() < 0.15  # log10 uV²: the average is over one channel less
    assert (powers["loud"][0] - powers["quiet"][0])[0][mask].abs().max() < 0.01


def test_the_spectrum_of_a_corpus_is_of_good_channels(case: Ingested) -> None:
    rows = case.recordings.set_index("subject")
    loud, quiet = (spectrum_table(case.store, rows.loc[[s]].reset_index()) for s in ("loud", "quiet"))
    np.testing.assert_allclose(loud["p90"], quiet["p90"], rtol=0.05, atol=1e-3)


def test_our_own_flags_make_channels_bad(tmp_path: Path) -> None:
    signal = eeg(2)
    signal[3] = 0.0  # flat
    signal[5] *= 200.0  # implausible
    signal[8] = np.clip(8 * signal[8], -60.0, 60.0)  # clipped
    signal[10, 500:900] = signal[10, 500]  # still for a while: what is left of it is good
    write_subject(tmp_path / "raw", "1", signal)
    done = ingested(tmp_path / "raw", tmp_path / "store")
    assert bad_of(done) == {"1": ["F3", "F4", "C3"]}
    flags = set(done.recordings["flags"].iloc[0])
    assert {"flat:F3", "implausible_amplitude:F4", "clipped:C3", "still:C4"} <= flags


@pytest.mark.parametrize(
    ("reference", "sidecar", "bad"),
    [
        (None, {"EEGReference": "Cz"}, []),
        ("Cz", None, []),
        (None, {"EEGReference": "EEG CZ"}, []),
        (None, {"EEGReference": "Fz"}, ["Cz"]),
        (None, {"EEGReference": "average"}, ["Cz"]),
        (None, None, ["Cz"]),
    ],
)
def test_the_flat_reference_is_good_where_it_is_known(
    tmp_path: Path, reference: Any, sidecar: dict[str, Any] | None, bad: list[str]
) -> None:
    signal = eeg(3)
    signal[9] = 0.0
    write_subject(tmp_path / "raw", "1", signal, sidecar=sidecar)
    done = ingested(tmp_path / "raw", tmp_path / "store", BidsCorpus(reference=reference))
    assert bad_of(done) == {"1": bad}
    assert ("flat:Cz" in done.recordings["flags"].iloc[0]) == bool(bad), "what is expected is no flag"


def test_a_flat_fcz_counts_as_zero_where_it_is_the_reference(tmp_path: Path) -> None:
    names, signal = ("FCz", *TEN20), eeg(4, 20)
    signal[0] = 0.0
    write_subject(tmp_path / "raw", "1", signal, names=names, sidecar={"EEGReference": "FCz"})
    done = ingested(tmp_path / "raw", tmp_path / "store")
    assert bad_of(done) == {"1": []}
    [montage] = done.store.montages.values()
    found, mask = seen_by_the_encoder(done)["1"]
    uv = done.store.recording(done.recordings["recording_id"].iloc[0])[400:2400].T
    assert mask.all()
    np.testing.assert_allclose(found[montage.channel_names.index("FCz")], -uv.sum(axis=0) / 20, atol=1e-3)


def test_cz_of_hbn_is_good_and_its_marked_channels_are_not(tmp_path: Path) -> None:
    names = (*(f"E{k}" for k in range(1, 129)), "Cz")
    signal = eeg(5, 129, duration_s=12.0)
    signal[-1] = 0.0
    write_subject(tmp_path / "raw", "NDARAA1", signal, marked=("E17", "E100"), names=names, task="RestingState")
    done = ingested(tmp_path / "raw", tmp_path / "store", HbnCorpus())
    assert bad_of(done) == {"NDARAA1": ["E17", "E100"]}
    found = [flag for flag in done.recordings["flags"].iloc[0] if ":" in flag]
    assert found == ["marked_bad:E100", "marked_bad:E17"]


def test_hbn_with_its_flat_reference_alone_is_in_without_a_flag(tmp_path: Path) -> None:
    names = (*(f"E{k}" for k in range(1, 129)), "Cz")
    signal = eeg(5, 129, duration_s=12.0)
    signal[-1] = 0.0
    write_subject(tmp_path / "raw", "NDARAA1", signal, names=names, task="RestingState")
    done = ingested(tmp_path / "raw", tmp_path / "store", HbnCorpus())
    flags = [flag for flag in done.recordings["flags"].iloc[0] if flag.startswith("flat")]
    assert flags == []
    assert "flat" not in " ".join(done.file_outcomes["why"])
    assert list(done.recordings["signal_hashes"].iloc[0])[-1] == "", "the store keeps it as it was"


def at_both_rails(signal: np.ndarray, n_channels: int, n_samples: int) -> np.ndarray:
    """The first samples of the first channels at the lowest or highest value of the amplifier."""
    rails = np.random.default_rng(0).choice([-300.0, 300.0], (n_channels, n_samples))
    out = signal.copy()
    out[:n_channels, :n_samples] = rails
    return out


def test_an_amplifier_that_clips_for_a_while_leaves_all_electrodes_good(tmp_path: Path) -> None:
    signal = eeg(8, duration_s=60.0)
    write_subject(tmp_path / "raw", "all", at_both_rails(signal, 19, 400))
    write_subject(tmp_path / "raw", "half", at_both_rails(signal, 10, 400))
    write_subject(tmp_path / "raw", "few", at_both_rails(signal, 9, 400))
    write_subject(tmp_path / "raw", "rest", at_both_rails(signal, 2, 400), marked=TEN20[3:])
    done = ingested(tmp_path / "raw", tmp_path / "store")
    assert done.rejected.empty
    assert bad_of(done) == {"all": [], "half": [], "few": list(TEN20[:9]), "rest": list(TEN20[3:])}
    flags = {row["subject"]: set(row["flags"]) for row in done.recordings.to_dict("records")}
    assert {f"clipped:{name}" for name in TEN20} < flags["all"]
    told = {s: [flag for flag in found if flag.startswith("clipped_together")] for s, found in flags.items()}
    assert told == {
        "all": ["clipped_together:19"], "half": ["clipped_together:10"], "few": [], "rest": ["clipped_together:2"],
    }  # fmt: skip


def test_a_recording_without_good_channels_is_rejected(tmp_path: Path) -> None:
    write_subject(tmp_path / "raw", "1", eeg(6), marked=TEN20[1:])
    write_subject(tmp_path / "raw", "2", eeg(7), marked=TEN20[2:])
    done = ingested(tmp_path / "raw", tmp_path / "store")
    assert bad_of(done) == {"2": list(TEN20[2:])}
    [row] = done.rejected.to_dict("records")
    assert row["code"] == "no_good_channels"
    assert row["reason"].startswith("18 of 19 scalp electrodes are bad (Fp2, F7")
    assert "channels.tsv" in row["remedy"]


PERSONS = {"p0": ("F8",), "p1": (), "p2": (), "p3": ("O1", "Fz"), "p4": (), "p5": ()}


def probed(
    folder: Path, loud_uv: float, pooling: str, handling: BadChannels, persons: Mapping[str, tuple[str, ...]] = PERSONS,
    *, reference: str = "average",
) -> pd.DataFrame:  # fmt: skip
    """Probe recordings with a weak and a strong rhythm, of which two persons' have bad channels; the predictions."""
    montage, rows = resolve_channels(TEN20, "1005").montage, []
    with StoreWriter(folder, StoreFacts(RATE_HZ, is_simulated=True)) as writer:
        for k, (person, bad) in enumerate(persons.items()):
            for run, alpha_uv in (("open", 1.0), ("closed", 8.0)):
                signal = eeg(10 * k + len(run), alpha_uv=alpha_uv, duration_s=16.0)
                signal[:9] *= 0.5
                for name in bad:
                    noise = np.random.default_rng(k).standard_normal(signal.shape[1])
                    signal[montage.channel_names.index(name)] = loud_uv * noise
                scales_uv = (np.abs(signal).max(axis=1) / 32_000).astype(np.float32)
                writer.commit(
                    recording_id=f"c:{person}:{run}", key="", montage=montage, scales_uv=scales_uv, facts={}, events=[],
                    samples=np.round(signal.T / scales_uv).astype(np.int16), bad_channels=bad,
                )  # fmt: skip
                rows.append((f"c:{person}:{run}", "c", f"c:{person}", run, montage.name, RATE_HZ, [0], [1600]))
    columns = ["recording_id", "corpus", "person", "run", "montage", "rate_hz", "segment_starts", "segment_stops"]
    cut = RecordingLabelTask(column="run", classes={"open": ["open"], "closed": ["closed"]}, length_s=2, stride_s=2)
    no_events = pd.DataFrame({"recording_id": [], "onset_s": [], "value": []})
    params = WindowParams(cuts={"eyes": cut})
    windows = cut_windows(pd.DataFrame(rows, columns=columns), no_events, params)[0]
    config = PatchTransformerConfig(d_model=16, head_size=8, n_layers=1)
    spec = SignalSpec(RATE_HZ, {montage.name: montage}, {montage.name: 200})
    state = new_encoder(config, spec, seed=7).state_dict(prefix=PREFIX)
    described = header(
        encoder=config.model_dump(), signal_spec=spec.to_dict(), encoder_spec=spec.to_dict(), seed=7, filters={},
        bad_channels=handling, reference=reference,
        corpora=["x"], simulated_corpora=["x"],
    )  # fmt: skip
    splits = split_table({f"c:{person}": "test" for person in persons}, ("open", "closed"))
    protocol = ProbeParams(
        tasks=["eyes"],
        pooling=pooling,
        n_untrained=1,
        lambdas=(0.1,),
        n_bootstrap=100,
        accelerator="cpu",
        transductive=True,
    )
    checkpoint = Checkpoint({key: value.numpy() for key, value in state.items()}, described)
    return probe(checkpoint, {"c": SignalStore(folder)}, {"c": windows}, splits, protocol, empty_ledger()).predictions


@pytest.mark.parametrize("pooling", ["channels", "mean"])
@pytest.mark.parametrize("handling", ["mask", "interpolate"])
def test_a_probe_does_not_see_what_bad_channels_hold(tmp_path: Path, pooling: str, handling: BadChannels) -> None:
    tables = [probed(tmp_path / str(loud_uv), loud_uv, pooling, handling) for loud_uv in (20.0, 450.0)]
    pd.testing.assert_frame_equal(*tables)
    assert np.isfinite(tables[0]["score"]).all()
    of_band_power = tables[1][(tables[1]["features"] == "band_power") & ~tables[1]["transductive"]]
    assert (of_band_power["predicted"] == of_band_power["label"]).mean() > 0.95


@pytest.mark.parametrize("handling", ["mask", "interpolate"])
def test_a_probe_leaves_out_by_name_what_has_no_good_channel(
    tmp_path: Path, handling: BadChannels, caplog: pytest.LogCaptureFixture
) -> None:
    found = probed(tmp_path / "with", 20.0, "mean", handling, PERSONS | {"p1": TEN20})
    [line] = [record.getMessage() for record in caplog.records if "left out" in record.getMessage()]
    assert line.startswith("c: 16 of 96 windows are left out")
    assert "2 of 12 recordings (c:p1:closed, c:p1:open)" in line
    assert set(found["person"]) == {f"c:{person}" for person in PERSONS if person != "p1"}
    others = probed(tmp_path / "without", 20.0, "mean", handling)
    assert len(found) == len(others[others["person"] != "c:p1"])


def test_a_probe_of_derivations_leaves_out_what_has_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Two good electrodes that no derivation joins, as ingestion lets them in."""
    pairless = tuple(name for name in TEN20 if name not in ("Fp1", "Cz"))
    found = probed(tmp_path, 20.0, "mean", "mask", PERSONS | {"p1": pairless}, reference="tcp_bipolar")
    assert "2 of 12 recordings (c:p1:closed, c:p1:open)" in caplog.text
    assert "reference: tcp_bipolar" in caplog.text
    assert "c:p1" not in set(found["person"])


def test_a_probe_of_which_nothing_is_left_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"c: none of 12 recordings \(c:p0:closed, .*c:p5:open\) has a channel left"):
        probed(tmp_path, 20.0, "mean", "mask", dict.fromkeys(PERSONS, TEN20))

"""Rates whose ratio to the stored rate is no small fraction, in every format: nothing drifts and nothing is lost."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from edf_files import set_field, write_edf
from eegfm.corpora.config import BidsCorpus, EdfFolderCorpus
from eegfm.jobs.ingest.config import IngestParams
from eegfm.jobs.ingest.convert import Converted, Task, convert
from eegfm.signal.config import SignalParams
from eegfm.signal.open import open_reader
from eegfm.signal.processing.filters import BlockResampler
from eegfm.store.layout import SAMPLE_DTYPE
from eegfm.windows.config import FixedCut, WindowParams
from eegfm.windows.cut import cut_windows
from eegfm.windows.runs import expand
from set_files import fields, write_fdt, write_set

STORED_HZ, TONE_HZ, AMPLITUDE_UV = 100.0, 17.3, 80.0
MAX_ERROR_SAMPLES = 0.01
Note = tuple[float, float, str]
Write = Callable[[Path, str, NDArray[np.float64], list[Note]], Path]


def edf(folder: Path, record_s: str, signal_uv: NDArray[np.float64], notes: list[Note], suffix: str = "edf") -> Path:
    """Records of 250 samples that last as long as the text says."""
    path, n_notes = folder / f"x.{suffix}", bool(notes)
    bits = 24 if suffix == "bdf" else 16
    texts = [(onset_s, duration_s, text.encode()) for onset_s, duration_s, text in notes]
    options = {"record_s": float(record_s), "bits": bits, "reserved": f"{suffix.upper()}+C" if n_notes else ""}
    write_edf(path, [signal_uv], ["O1"], 250 / float(record_s), notes=texts, full_scale_uv=200.0, **options)
    set_field(path, "record duration", record_s)
    return path


def bdf(folder: Path, record_s: str, signal_uv: NDArray[np.float64], notes: list[Note]) -> Path:
    return edf(folder, record_s, signal_uv, notes, "bdf")


def eeglab(folder: Path, rate_hz: str, signal_uv: NDArray[np.float64], notes: list[Note]) -> Path:
    """``srate`` in single precision where the text says so, ``xmin`` of half a second."""
    rate = float(rate_hz.removesuffix("f"))
    events = [(text, onset_s * rate + 1, duration_s * rate) for onset_s, duration_s, text in notes]
    content = fields(["O1"], signal_uv.size, rate, events)
    content |= {"xmin": 0.5, "xmax": 0.5 + content["xmax"]}
    if rate_hz.endswith("f"):
        content["srate"] = np.float32(rate)
    write_fdt(folder / "x.fdt", signal_uv[None].astype(np.float32))
    write_set(folder / "x.set", content, "x.fdt")
    return folder / "x.set"


def brainvision(folder: Path, interval_us: str, signal_uv: NDArray[np.float64], notes: list[Note]) -> Path:
    """Markers lie at whole samples, so that events are rounded to these."""
    header = [
        "Brain Vision Data Exchange Header File Version 1.0", "[Common Infos]", "DataFile=x.eeg",
        "MarkerFile=x.vmrk", "DataFormat=BINARY", "DataOrientation=MULTIPLEXED", "NumberOfChannels=1",
        f"SamplingInterval={interval_us}", "[Binary Infos]", "BinaryFormat=INT_16",
        "[Channel Infos]", "Ch1=O1,,0.01,µV",
    ]  # fmt: skip
    (folder / "x.vhdr").write_text("\n".join(header), encoding="utf-8")
    rate_hz = 1e6 / float(interval_us)
    lines = [f"Mk1=Comment,{t},{round(a * rate_hz) + 1},{round(d * rate_hz)},0" for a, d, t in notes]
    (folder / "x.vmrk").write_text("\n".join(["Brain Vision Data Exchange Marker File, Version 1.0", *lines]))
    np.rint(signal_uv * 100).astype("<i2").tofile(folder / "x.eeg")
    return folder / "x.vhdr"


def converted(path: Path) -> tuple[Converted, NDArray[np.float64]]:
    """A recording of one channel, and its (T,) microvolts."""
    stat = path.stat()
    row = {"recording_id": "x:x", "corpus": "x", "subject": "x", "path": path.name, "published": ""}
    row |= {"n_bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns}
    is_edf = path.suffix in {".edf", ".bdf"}
    params = IngestParams(corpus=EdfFolderCorpus(pattern="{subject}") if is_edf else BidsCorpus())
    done = convert(Task(path.parent, row, "key", params, SignalParams(min_channels=1), path.parent))
    assert isinstance(done, Converted), done
    return done, np.fromfile(done.samples_path, dtype=SAMPLE_DTYPE) * done.scales_uv.astype(np.float64)


RATES: list[tuple[Write, str, Fraction]] = [
    (edf, "0.976562", 250 / Fraction("0.976562")),  # 256 Hz by an amplifier that does not know better
    (bdf, "0.25014", 250 / Fraction("0.25014")),  # 999.4403
    (eeglab, "999.412", Fraction("999.412")),
    (eeglab, "512.0012f", Fraction("512.0012")),
    (brainvision, "1000.588", 10**6 / Fraction("1000.588")),
    (brainvision, "1999.995", 10**6 / Fraction("1999.995")),  # a clock 2.5 ppm off
]


@pytest.mark.parametrize(("write", "stated", "rate_hz"), RATES, ids=lambda x: getattr(x, "__name__", str(x)))
def test_a_tone_at_the_end_of_an_hour(tmp_path: Path, write: Write, stated: str, rate_hz: Fraction) -> None:
    n_in = int(3600 * rate_hz) // 250 * 250
    time_s = np.arange(n_in) / float(rate_hz)
    done, signal_uv = converted(write(tmp_path, stated, AMPLITUDE_UV * np.sin(2 * np.pi * TONE_HZ * time_s), []))
    assert len(signal_uv) == done.facts["n_samples"] == int((n_in - 1) * 100 / rate_hz) + 1
    assert done.facts["original_rate_hz"] == pytest.approx(float(rate_hz), rel=1e-15)
    for stop in (len(signal_uv) - 500, len(signal_uv) // 2, 3000):
        at_s = np.arange(stop - 1000, stop) / STORED_HZ
        waves = np.stack([np.sin(2 * np.pi * TONE_HZ * at_s), np.cos(2 * np.pi * TONE_HZ * at_s)], axis=1)
        sine, cosine = np.linalg.lstsq(waves, signal_uv[stop - 1000 : stop], rcond=None)[0]
        late_samples = np.arctan2(cosine, sine) / (2 * np.pi * TONE_HZ) * STORED_HZ
        assert abs(late_samples) < MAX_ERROR_SAMPLES
        assert np.hypot(sine, cosine) == pytest.approx(AMPLITUDE_UV, rel=1e-3)


@pytest.mark.parametrize(("write", "stated", "rate_hz"), RATES, ids=lambda x: getattr(x, "__name__", str(x)))
def test_events_and_windows_lie_where_they_were(tmp_path: Path, write: Write, stated: str, rate_hz: Fraction) -> None:
    """Bumps with an event at each; a stretch that is called bad splits the recording in between."""
    bumps_s, n_in = [7.0, 31.5, 55.25, 88.0], int(100 * rate_hz) // 250 * 250
    time_s = np.arange(n_in) / float(rate_hz)
    trace = 30 * np.sin(2 * np.pi * 3 * time_s)
    trace += sum(120 * np.exp(-0.5 * ((time_s - bump) / 0.02) ** 2) for bump in bumps_s)
    notes = [*((bump, 0.5, "bump") for bump in bumps_s), (40.0, 3.3, "BAD")]
    done, signal_uv = converted(write(tmp_path, stated, trace, notes))
    found_s = [event["onset_s"] for event in done.events if event["value"].endswith("bump")]
    assert len(found_s) == len(bumps_s)
    for onset_s, bump_s in zip(found_s, bumps_s, strict=True):
        near = slice(round(onset_s * 100) - 20, round(onset_s * 100) + 21)
        assert abs(np.argmax(signal_uv[near]) - 20) <= 1
        [k] = [k for k, (a, b) in enumerate(_segments(done)) if a <= onset_s * 100 < b]
        in_segment_s = onset_s - done.facts["segment_starts"][k] / 100
        assert done.facts["segment_onsets_s"][k] + in_segment_s == pytest.approx(bump_s, abs=1 / float(rate_hz))
    facts = {**done.facts, "recording_id": "x:x", "corpus": "x", "person": "x"}
    events = pd.DataFrame(done.events).assign(recording_id="x:x")
    cut = WindowParams(cuts={"pretrain": FixedCut(length_s=4, stride_s=4)})
    windows = expand(cut_windows(pd.DataFrame([facts]), events, cut)[0])
    assert len(windows) == 10 + 14
    for row in windows.itertuples():
        start_s = facts["segment_onsets_s"][row.segment] + (row.start - facts["segment_starts"][row.segment]) / 100
        bump = [bump_s for bump_s in bumps_s if start_s + 0.05 < bump_s < start_s + 3.95]
        peak = signal_uv[row.start : row.start + row.n_samples].argmax() / 100
        assert not bump or start_s + peak == pytest.approx(bump[0], abs=0.015)


def _segments(done: Converted) -> list[tuple[int, int]]:
    return list(zip(done.facts["segment_starts"], done.facts["segment_stops"], strict=True))


@pytest.mark.parametrize("record_s", ["0.976562", "1.1", ".733333", ".5", "1.", "1e-1", "0.333333", "9.99e-1"])
def test_the_rate_of_an_edf_file_is_a_fraction(tmp_path: Path, record_s: str) -> None:
    """The sample count of any length is that of the decimal in the header, to the last sample."""
    header = open_reader(edf(tmp_path, record_s, 50 * np.sin(np.arange(2500)), [])).header
    assert header.exact_rate_hz == 250 / Fraction(record_s)
    chain = BlockResampler(header.exact_rate_hz, SignalParams(high_hz=30), 1)
    rng = np.random.default_rng(0)
    for n_in in (1, 2, 250, 251, 257, 5001, *rng.integers(1, 1 << 40, 200).tolist()):
        assert chain.n_out(n_in) == (n_in - 1) * 100 * Fraction(record_s) // 250 + 1


@pytest.mark.parametrize("rate_hz", [999.412, 256.000131, 4999.7319, 128.0213, 16384 * (1 + 1e-7), 1e5 / 7.000001])
def test_the_cost_of_an_odd_rate_is_bounded(rate_hz: float) -> None:
    """No more is read at once than at a whole rate, whatever the denominator of the ratio."""
    spans, n_in, chain = [], int(rate_hz * 86_400), BlockResampler(rate_hz, SignalParams(), 1)

    def read(start: int, stop: int) -> NDArray[np.float32]:
        spans.append(stop - start)
        return np.zeros((1, stop - start), dtype=np.float32)

    blocks = chain.blocks(read, n_in)
    n_out = sum(len(next(blocks)) for _ in range(3))
    assert max(spans) < 4 * max(60 * rate_hz, 60_000)
    assert sum(spans) < n_out * rate_hz / 100 + max(spans)

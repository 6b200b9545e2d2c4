"""The whole way once: raw files to report, in the smallest configuration, and on real recordings."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from damage import overwrite
from eegfm.checkpoint import CheckpointHeader, read_header
from eegfm.errors import StoreError
from eegfm.normalizations.said import normalization_of
from eegfm.pipeline_registry import DEFAULT_ROLES, register_pipelines, use_roles
from eegfm.store.reader import SignalStore
from kedro_project import Run, files_under, project_session, run_project

HERE = {"workers": {"n_workers": 1}}
"""This process converts; worker processes do it for the second corpus of the fixture ``run``."""
KINDS = ("pretrained", "untrained", "band_power", "relative_band_power", "log_covariance")


@pytest.fixture(scope="module")
def header(run: Run) -> CheckpointHeader:
    return read_header(run.data / "06_models/pretrain/encoder.safetensors")


def test_every_catalog_entry_is_written_under_the_data_folder(run: Run) -> None:
    outputs = {name for node in register_pipelines()["__default__"].nodes for name in node.outputs}
    assert len(outputs) == 49
    for name in outputs:
        dataset = run.catalog[name]
        described = dataset._describe()
        path = Path(str(described.get("filepath") or described["path"]))
        assert dataset.exists(), name
        assert path.is_relative_to(run.data), f"{name} lies at {path}"
        assert path.exists(), name


def test_nothing_is_left_half_written(run: Run) -> None:
    assert not [p for p in run.data.rglob("*") if p.suffix == ".tmp" or p.name == "spool"]
    assert (run.data / "06_models/pretrain/runs").is_dir()


def test_every_file_is_accounted_for(run: Run) -> None:
    for corpus, n_files in {"tuh": 6, "hbn": 27}.items():
        raw_files, recordings = run.load(f"{corpus}.raw_files"), run.load(f"{corpus}.recordings")
        rejected = run.load(f"{corpus}.rejected")
        assert len(raw_files) >= n_files
        assert len(raw_files) == len(recordings) + len(rejected)
        assert not len(rejected)
        assert recordings["simulated"].all()


def test_hbn_was_read_from_eeglab_files(run: Run) -> None:
    recordings = run.load("hbn.recordings")
    assert set(recordings["path"].str.rsplit(".", n=1).str[1]) == {"set"}
    assert set(recordings["original_rate_hz"]) == {500.0}
    assert set(recordings["rate_hz"]) == {100.0}
    assert set(recordings["n_channels"]) == {129}


def test_windows_lie_inside_their_segments(run: Run) -> None:
    for corpus in ("tuh", "hbn"):
        windows = run.load(f"{corpus}.windows").merge(
            run.load(f"{corpus}.recordings")[["recording_id", "segment_starts", "segment_stops"]],
            on="recording_id",
        )
        for row in windows.itertuples():
            assert row.segment_starts[row.segment] <= row.start
            assert row.start + row.n_samples <= row.segment_stops[row.segment]


def test_splits_are_by_person_and_none_is_empty(run: Run) -> None:
    splits, mixture = run.load("splits"), run.load("mixture")
    assert not splits["person"].duplicated().any()
    counts = splits.groupby(["corpus", "split"]).size()
    for place in [("hbn", "train"), ("hbn", "validation"), ("hbn", "test"), ("tuh", "train")]:
        assert counts[place] >= 1
    tested = set(splits.loc[splits["split"] == "test", "person"])
    assert not tested & set(mixture["person"])
    assert mixture.groupby("corpus")["weight"].first().to_dict() == pytest.approx({"hbn": 0.7, "tuh": 0.3})


def test_header_holds_all_that_is_needed_to_use_the_weights(run: Run, header: CheckpointHeader) -> None:
    assert header.unit == "uV"
    assert header.signal_spec["rate_hz"] == 100.0
    assert header.reference == "average"
    assert header.filters["low_hz"] == 0.5
    assert header.filters["high_hz"] == 45.0
    assert normalization_of(header.normalization).name == "fixed_scale"
    assert header.corpora == header.simulated_corpora == ["hbn", "tuh"]
    assert header.n_steps == 6
    assert len(header.splits_sha256) == len(header.mixture_sha256) == 64
    assert set(header.versions) >= {"eegfm", "torch", "numpy"}
    for corpus in ("tuh", "hbn"):
        for name, montage in run.load(f"{corpus}.signals").montages.items():
            stored = header.signal_spec["montages"][name]
            assert stored == montage.to_dict()
            radii_m = np.linalg.norm(np.array(stored["positions_m"]), axis=1)
            assert (radii_m > 0.05).all()
            assert (radii_m < 0.2).all()


def test_header_names_who_was_trained_on(run: Run, header: CheckpointHeader) -> None:
    splits = run.load("splits")
    seen = splits.loc[splits["split"].isin(["train", "validation"]), "person"]
    names = {name for person in header.persons for name in person}
    assert names == set(seen)
    assert len(header.persons) == header.n_persons
    probed = set(run.load("probe.predictions")["person"])
    assert len(probed) >= 3
    assert not probed & names


def check_metrics(path: Path, task: str, n_persons: int) -> dict[str, Any]:
    metrics: dict[str, Any] = json.loads(path.read_text())[task]
    for kind in KINDS:
        score = metrics[kind]["balanced_accuracy"]
        low, high = score["interval_95"]
        assert len(score["per_person"]) == n_persons
        assert 0 <= low <= score["pooled"] <= high <= 1
        assert set(metrics[kind]["transductive"]["balanced_accuracy"]) == set(score)
    # Both hashes are of one table: who was held out of the pretraining is who is probed.
    assert metrics["protocol"]["splits_sha256"] == metrics["protocol"]["pretraining"]["splits_sha256"]
    return metrics


def test_metrics_hold_the_probe_and_its_controls(run: Run) -> None:
    n_persons = int((run.load("splits")["split"] == "test").sum())
    metrics = check_metrics(run.data / "08_reporting/probe/metrics.json", "hbn.eyes", n_persons)
    assert metrics["protocol"]["classes"] == ["closed", "open"]
    assert metrics["majority"]["balanced_accuracy"]["pooled"] == 0.5
    # The planted alpha rhythm is far above what any threshold of this size could find by chance.
    assert metrics["band_power"]["balanced_accuracy"]["pooled"] > 0.6


def test_the_default_probes_classes_and_numbers(run: Run) -> None:
    metrics = run.load("probe.metrics")
    assert list(metrics) == ["hbn.eyes", "hbn.age", "hbn.response_time"]
    people = run.load("hbn.recordings").drop_duplicates("person").set_index("person")["age_years"]
    table = run.load("probe.predictions")
    assert table["task"].unique().tolist() == ["eyes", "age", "response_time"]
    age = table[table["task"] == "age"]
    assert (age["target"] == people[age["person"]].to_numpy(dtype=float)).all()
    for task, is_of_person in (("age", True), ("response_time", False)):
        section = metrics[f"hbn.{task}"]
        assert (section["protocol"]["answer"], section["protocol"]["is_of_person"]) == ("number", is_of_person)
        for kind in KINDS:
            assert {"r2", "pearson", "nrmse", "mae"} <= set(section[kind])
            assert ("persons" in section[kind]) == is_of_person
    times = table.loc[table["task"] == "response_time", "target"]
    assert times.between(0.2, 2.4).all()


def test_pretraining_metrics_say_what_was_drawn(run: Run) -> None:
    metrics = run.load("pretrain.metrics")
    assert metrics["n_steps"] == 6
    assert metrics["n_windows"] == 60
    assert metrics["corpus_ratio_hbn"] == pytest.approx(0.7)
    assert metrics.pop("simulated_corpora") == metrics.pop("corpora") == ["hbn", "tuh"]
    assert metrics.pop("fingerprint") == run.load("probe.metrics")["hbn.eyes"]["protocol"]["pretraining"]["fingerprint"]
    assert metrics.pop("splits_sha256") == run.load("probe.metrics")["hbn.eyes"]["protocol"]["splits_sha256"]
    assert len(metrics.pop("mixture_sha256")) == 64
    assert all(np.isfinite(v) for v in metrics.values())


def test_report_says_simulated_and_needs_no_network(run: Run) -> None:
    page = (run.data / "08_reporting/report.html").read_text()
    assert "SIMULATED recordings: hbn, tuh" in page
    assert '<script src="http' not in page
    for text in (
        "band_power",
        "band_power (z-scored per person, transductive)",
        "Persons by split",
        "masked patches shaded",
        "Pretrain: history",
        "Probe: hbn.eyes",
        "Probe: hbn.age",
        "pretrained (mean prediction per person)",
        "nRMSE",
    ):
        assert text in page


def test_plots_are_plotly_figures(run: Run) -> None:
    for name in ("pretrain.history", "pretrain.reconstructions", "probe.comparison"):
        assert len(run.load(name).data) > 0
    titles = [a.text for a in run.load("pretrain.reconstructions").layout.annotations]
    assert any("hbn (SIMULATED)" in t for t in titles)


def test_second_run_converts_nothing(run: Run) -> None:
    before = {c: run.load(f"{c}.signals").digest() for c in ("tuh", "hbn")}
    stamps = {p: p.stat().st_mtime_ns for p in files_under(run.data / "01_raw")}
    again = run_project("test", run.data, "mix")
    assert {line for line in again.log if "to convert" in line} == {
        "tuh: 6 files, 0 to convert",
        "hbn: 27 files, 0 to convert",
    }
    assert not [line for line in again.log if "writing SIMULATED" in line]
    assert {p: p.stat().st_mtime_ns for p in files_under(run.data / "01_raw")} == stamps
    assert {c: again.load(f"{c}.signals").digest() for c in ("tuh", "hbn")} == before
    pd.testing.assert_frame_equal(again.load("mixture"), run.load("mixture"))


def test_probe_alone_starts_from_the_stored_encoder(run: Run) -> None:
    first = run.load("probe.metrics")
    (run.data / "08_reporting/probe/metrics.json").unlink()
    stamp = (run.data / "06_models/pretrain/encoder.safetensors").stat().st_mtime_ns
    again = run_project("test", run.data, "probe")
    assert again.load("probe.metrics") == first
    assert (run.data / "06_models/pretrain/encoder.safetensors").stat().st_mtime_ns == stamp


def test_damage_is_neither_trained_on_nor_probed_and_ingest_mends_it(run: Run, tmp_path: Path) -> None:
    """200 kB of a shard, as a disk or another program overwrites them."""
    data = tmp_path / "data"
    shutil.copytree(run.data, data, ignore=shutil.ignore_patterns("08_reporting", "runs"))
    folder = data / "02_intermediate/hbn/signals"
    digest = SignalStore(folder).digest()
    mixture = run.load("mixture").query("corpus == 'hbn'")
    ids = {"pretrain": mixture["recording_id"].iloc[0], "probe": run.load("probe.predictions")["recording_id"].iloc[0]}
    for phase, recording_id in ids.items():
        overwrite(folder, recording_id, 300, 200_000 // (2 * 129))
        with pytest.raises(StoreError, match=rf"{recording_id}.*kedro run --pipelines=ingest"):
            project_session("test", data).run(tags=[phase])
    log = run_project("test", data, "ingest", {"hbn": {"ingest": HERE}}).log
    assert any("recordings are damaged and drop out" in line for line in log)
    assert SignalStore(folder).digest() == digest


TINY = {
    "tuh": {"acquire": {"source": {"n_subjects": 6, "duration_s": 20}}, "ingest": HERE},
    "hbn": {"acquire": {"source": {"n_subjects": 6, "resting_s": 70, "ccd_s": 20, "movie_s": 10}}, "ingest": HERE},
    "eegmat": {"ingest": HERE},
    "eegmmidb": {"ingest": HERE},
    "pretrain": {
        "encoder": {"name": "patch_transformer", "n_layers": 1, "d_model": 16, "head_size": 16},
        "n_steps": 3, "batch_size": 10, "n_validation_windows": 10, "progress_bar": False,
    },
    "probe": {"n_untrained": 1, "n_bootstrap": 100, "inner_folds": 3},
}  # fmt: skip


@pytest.fixture(scope="module")
def roots(shared_data: Path) -> Iterator[dict[str, Path]]:
    """Folders of the real recordings, which the environment variables of the experiments name."""
    found = {name: shared_data / name for name in ("eegmat", "eegmmidb")}
    with pytest.MonkeyPatch.context() as patch:
        for name, root in found.items():
            if not root.is_dir():
                pytest.skip(f"real recordings are not here: {root} does not exist")
            patch.setenv(f"{name.upper()}_ROOT", str(root))
        yield found


@pytest.fixture(scope="module")
def real_run(roots: dict[str, Path], no_images: None, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Pretrain on eegmat, probe on eegmmidb; the recordings themselves stay as they are."""
    untouched = {p: p.stat().st_mtime_ns for root in roots.values() for p in files_under(root)}
    try:
        run = run_project("experiments/eegmmidb", tmp_path_factory.mktemp("real"), "__default__", TINY)
    finally:
        use_roles(DEFAULT_ROLES)
    assert {p: p.stat().st_mtime_ns for root in roots.values() for p in files_under(root)} == untouched
    return run


def test_real_recordings_from_one_corpus_to_another(roots: dict[str, Path], real_run: Run) -> None:
    """Band power is known there: shrinkage LDA 0.825, interval 0.77-0.90."""
    run = real_run
    n_probed = len({path.parent for path in roots["eegmmidb"].glob("S*/S*R01.edf")})
    metrics = check_metrics(run.data / "08_reporting/probe/metrics.json", "eegmmidb.eyes", n_probed)
    assert 0.75 <= metrics["band_power"]["balanced_accuracy"]["pooled"] <= 0.92
    header = read_header(run.data / "06_models/pretrain/encoder.safetensors")
    assert header.corpora == ["eegmat", "hbn", "tuh"]
    assert header.simulated_corpora == ["hbn", "tuh"]
    n_trained = len({path.name.partition("_")[0] for path in roots["eegmat"].glob("*.edf")})
    corpora = [name.partition(":")[0] for person in header.persons for name in person]
    assert corpora.count("eegmat") == n_trained
    assert "eegmmidb" not in corpora
    recordings = run.load("eegmat.recordings")
    assert set(recordings["reference"]) == {"linked_ears"}
    assert set(recordings["n_channels"]) == {19}
    assert set(run.load("eegmmidb.recordings")["n_channels"]) == {64}
    assert not recordings["simulated"].any()


def test_all_recordings_of_eegmat_are_taken_in(roots: dict[str, Path], real_run: Run) -> None:
    """Two recordings of each person; every one ends in about two seconds of constants, which no window may touch."""
    run = real_run
    recordings = run.load("eegmat.recordings")
    n_files = len(list(roots["eegmat"].glob("*.edf")))
    assert (len(recordings), recordings["person"].nunique()) == (n_files, n_files / 2)
    assert set(recordings["n_channels"]) == {19}
    assert {tuple(labels) for labels in recordings["labels_left_out"]} == {("EEG A2-A1", "ECG ECG")}
    assert not recordings["labels_not_understood"].map(len).any()
    assert {tuple(flags) for flags in recordings["flags"]} == {("dead_spans",)}
    n_usable = recordings["segment_stops"].map(lambda stops: stops[0])
    assert (recordings["n_samples"] - n_usable).between(450, 540).all()
    assert run.load("eegmat.ingest_summary")["files"].tolist() == [0, n_files, 0, 0, n_files]
    assert run.load("eegmat.montages")["hours"].sum() == pytest.approx(n_files * 2 / 60, rel=0.15)


def test_the_experiment_on_eegmat_alone_takes_in_the_same(roots: dict[str, Path], tmp_path: Path) -> None:
    """What the test above found of eegmat's files holds for the other experiment too."""
    params = [
        project_session(f"experiments/{name}", tmp_path).load_context().params["eegmat"]["ingest"]
        for name in ("eegmmidb", "eegmat")
    ]
    use_roles(DEFAULT_ROLES)
    assert params[0] == params[1]

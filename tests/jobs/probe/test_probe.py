import dataclasses
import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError
from sklearn.metrics import balanced_accuracy_score

from checkpoints import header, imported_header
from damage import overwrite
from eegfm.ancestry import inherited
from eegfm.batch import SignalSpec
from eegfm.checkpoint import Checkpoint
from eegfm.encoders.config import EegnetConfig, PatchTransformerConfig
from eegfm.encoders.load import PREFIX, new_encoder
from eegfm.errors import CheckpointError, ConfigError, SplitError, StoreError
from eegfm.evaluation.config import ProbeParams
from eegfm.jobs.probe import features as features_job
from eegfm.jobs.probe import probe as job
from eegfm.recording import Montage
from eegfm.splits.splits import splits_sha256
from eegfm.store.layout import StoreFacts
from eegfm.store.reader import SignalStore
from eegfm.store.writer import StoreWriter
from eegfm.windows.config import RecordingLabelTask, WindowParams
from eegfm.windows.cut import cut_windows
from empty_ledgers import empty_ledger
from person_tables import channels, short_hash, split_table

NAMES = ("F3", "F4", "O1", "O2")
MONTAGE = Montage(
    NAMES,
    ((-0.05, 0.05, 0.1), (0.05, 0.05, 0.1), (-0.03, -0.1, 0.05), (0.03, -0.1, 0.05)),
    (True,) * 4,
    "average",
)
CONTROLS = ("untrained", "majority", "band_power", "relative_band_power", "log_covariance")
PERSONS = [f"sim:p{k}" for k in range(6)]
PARAMS = ProbeParams(tasks=["eyes"], n_untrained=2, lambdas=(0.01, 1.0, 100.0), n_bootstrap=200, accelerator="cpu")


def probe_tasks(checkpoint, store, windows, splits, params):
    return job.probe(checkpoint, {"sim": store}, {"sim": windows}, splits, params, empty_ledger())


def probe(checkpoint, store, windows, splits, params):
    """Probe the only task; its metrics alone."""
    found = probe_tasks(checkpoint, store, windows, splits, params)
    return dataclasses.replace(found, metrics=found.metrics["sim.eyes"])


def _signal_uv(rng, n_samples, *, closed):
    """Noise, with alpha over the back of the head that is stronger with eyes closed."""
    time_s = np.arange(n_samples) / 100
    alpha = np.sin(2 * np.pi * 10 * time_s + rng.uniform(0, 6)) * (12 if closed else 4)
    return rng.normal(0, 10, (n_samples, 4)) + alpha[:, None] * np.array([-1, -1, 1, 1])


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("signals"), np.random.default_rng(0)
    with StoreWriter(folder, StoreFacts(rate_hz=100.0, is_simulated=True)) as writer:
        for person in PERSONS:
            for run in ("R01", "R02"):
                signal_uv = rng.uniform(0.7, 1.5) * _signal_uv(rng, 2000, closed=run == "R02")
                writer.commit(
                    recording_id=f"{person}:{run}",
                    key="",
                    montage=MONTAGE,
                    samples=np.round(signal_uv * 100).astype(np.int16),
                    scales_uv=np.full(4, 0.01, dtype=np.float32),
                    facts={"signal_hashes": channels(f"{person}:{run} a", f"{person}:{run} b", "")},
                    events=[],
                )
    return SignalStore(folder)


@pytest.fixture(scope="module")
def windows():
    rows = [(f"{p}:{run}", "sim", p, run, MONTAGE.name, 100.0, [0], [2000]) for p in PERSONS for run in ("R01", "R02")]
    columns = [
        "recording_id",
        "corpus",
        "person",
        "run",
        "montage",
        "rate_hz",
        "segment_starts",
        "segment_stops",
    ]
    cut = RecordingLabelTask(column="run", classes={"open": ["R01"], "closed": ["R02"]}, length_s=2, stride_s=2)
    no_events = pd.DataFrame({"recording_id": [], "onset_s": [], "value": []})
    return cut_windows(pd.DataFrame(rows, columns=columns), no_events, WindowParams(cuts={"eyes": cut}))[0]


def _splits(**moved):
    return split_table({p: moved.get(p.partition(":")[2], "test") for p in PERSONS}, ("R01", "R02"))


@pytest.fixture(scope="module")
def checkpoint():
    config = PatchTransformerConfig(d_model=32, head_size=16, n_layers=2)
    spec = SignalSpec(100.0, {MONTAGE.name: MONTAGE}, {MONTAGE.name: 400})
    state = new_encoder(config, spec, seed=7).state_dict(prefix=PREFIX)
    described = header(
        encoder=config.model_dump(),
        signal_spec=spec.to_dict(),
        encoder_spec=spec.to_dict(),
        filters={},
        corpora=["hbn", "real"],
        simulated_corpora=["hbn"],
        seed=7,
    )
    return Checkpoint({name: value.numpy() for name, value in state.items()}, described)


def _with_header(checkpoint, **changes):
    return Checkpoint(checkpoint.tensors, checkpoint.header.model_copy(update=changes))


@pytest.fixture(scope="module")
def result(checkpoint, store, windows):
    return probe(checkpoint, store, windows, _splits(), PARAMS)


def test_damaged_samples_are_not_probed(result, checkpoint, store, windows, tmp_path):
    folder = Path(shutil.copytree(store.folder, tmp_path / "signals"))
    overwrite(folder, "sim:p3:R01", 700, 900)
    with pytest.raises(StoreError, match=r"in recording sim:p3:R01;.*kedro run --pipelines=ingest"):
        probe(checkpoint, SignalStore(folder), windows, _splits(), PARAMS)
    damaged = probe(checkpoint, SignalStore(folder), windows, _splits(), PARAMS.model_copy(update={"verify": "off"}))
    assert not damaged.predictions["score"].equals(result.predictions["score"])
    assert damaged.metrics["protocol"] == result.metrics["protocol"]


def test_metrics_hold_each_kind_with_interval_and_persons(result):
    for kind in ("pretrained", *CONTROLS):
        n_inits = 2 if kind == "untrained" else 1
        rows = [result.metrics[kind]]
        rows += [result.metrics[kind]["transductive"]] if kind != "majority" else []
        for row in rows:
            accuracy = row["balanced_accuracy"]
            assert accuracy["interval_95"][0] <= accuracy["pooled"] <= accuracy["interval_95"][1]
            assert list(accuracy["per_person"]) == PERSONS
            assert len(accuracy["inits"]) == n_inits
    assert result.metrics["band_power"]["balanced_accuracy"]["pooled"] > 0.9
    assert json.loads(json.dumps(result.metrics, allow_nan=False)) == result.metrics


def test_metrics_follow_from_the_predictions(result):
    for (kind, transductive), table in result.predictions.groupby(["features", "transductive"]):
        row = result.metrics[kind]["transductive"] if transductive else result.metrics[kind]
        pooled = [balanced_accuracy_score(t["label"], t["predicted"]) for _, t in table.groupby("init")]
        assert row["balanced_accuracy"]["inits"] == pytest.approx(pooled)
        assert len(table) == 120 * len(pooled)


def test_the_transductive_row_ignores_what_is_constant_in_a_person(checkpoint, store, windows, result):
    """A gain per person shifts log band power: it moves inductive scores and leaves transductive ones."""
    gain = dict(zip(PERSONS, (1, 2, 1, 4, 1, 1), strict=True))
    params = PARAMS.model_copy(update={"n_untrained": 1, "lambdas": (1.0,)})
    tables = [probe(checkpoint, s, windows, _splits(), params).predictions for s in (store, _Amplified(store, gain))]
    for transductive, is_equal in ((False, False), (True, True)):
        one, two = (
            t.loc[(t["features"] == "band_power") & (t["transductive"] == transductive), "score"] for t in tables
        )
        assert np.allclose(one, two, atol=1e-4) == is_equal


class _Amplified:
    """A store whose persons have a gain each."""

    def __init__(self, store, gain):
        self._store, self._gain = store, gain

    def __getattr__(self, name):
        return getattr(self._store, name)

    def scales(self, montage):
        gains = [self._gain[entry.recording_id[:6]] for entry in self._store.entries]
        return self._store.scales(montage) * np.array(gains, dtype=np.float32)[:, None]


def test_paired_differences(result):
    accuracy = {kind: result.metrics[kind]["balanced_accuracy"] for kind in ("pretrained", *CONTROLS)}
    for control in CONTROLS:
        found = result.metrics["paired_difference"][control]
        differences = [accuracy["pretrained"]["per_person"][p] - accuracy[control]["per_person"][p] for p in PERSONS]
        assert found["mean"] == pytest.approx(np.mean(differences))
        assert found["n_persons_improved"] == sum(d > 0 for d in differences)
    assert set(result.metrics["paired_difference"]) == {*CONTROLS, "transductive"}


def test_protocol_says_what_was_done(result):
    protocol = result.metrics["protocol"]
    assert (protocol["corpus"], protocol["task"], protocol["cut"]) == ("sim", "eyes", "eyes")
    assert protocol["answer"] == "class"
    assert (protocol["method"], protocol["pooling"], protocol["inner_folds"]) == ("ridge", "channels", 5)
    assert "tasks" not in protocol
    assert protocol["classes"] == ["closed", "open"]
    assert (protocol["n_windows"], protocol["n_persons"]) == (120, 6)
    assert protocol["splits_sha256"] == splits_sha256(_splits())
    assert protocol["simulated"] is True
    assert protocol["pretraining"]["corpora"] == ["hbn", "real"]
    assert protocol["pretraining"]["simulated"] == [True, False]
    assert protocol["pretrained_persons"] == protocol["pretrained_signals"] == []
    assert protocol["identities"] == PERSONS
    assert protocol["n_folds"] == 6
    assert set(protocol["versions"]) >= {"eegfm", "torch", "numpy"}


def test_same_input_gives_the_same_numbers(checkpoint, store, windows, result):
    shuffled = windows.sample(frac=1, random_state=0)
    again = probe(checkpoint, store, shuffled, _splits().iloc[::-1], PARAMS)
    assert again.metrics == result.metrics
    pd.testing.assert_frame_equal(again.predictions, result.predictions)


def test_the_checkpoint_weights_are_the_ones_probed(checkpoint, store, windows):
    # The checkpoint was never trained, so an untrained twin of its seed has the same features.
    params = PARAMS.model_copy(update={"untrained_seed": 7, "n_untrained": 1, "transductive": False})
    same = probe(checkpoint, store, windows, _splits(), params)
    assert same.metrics["paired_difference"]["untrained"]["range"] == [0.0, 0.0]
    scores = same.predictions.pivot(index=["recording_id", "start"], columns="features", values="score")
    pd.testing.assert_series_equal(scores["pretrained"], scores["untrained"], check_names=False)
    zeros = {name: np.zeros_like(value) for name, value in checkpoint.tensors.items()}
    none = probe(Checkpoint(zeros, checkpoint.header), store, windows, _splits(), params)
    assert none.metrics["pretrained"]["balanced_accuracy"]["pooled"] == 0.5
    assert none.metrics["untrained"] == same.metrics["untrained"]


def test_only_test_persons_are_probed(checkpoint, store, windows):
    params = PARAMS.model_copy(update={"n_untrained": 1, "transductive": False})
    found = probe(checkpoint, store, windows, _splits(p1="train", p4="validation"), params)
    assert set(found.predictions["person"]) == {"sim:p0", "sim:p2", "sim:p3", "sim:p5"}
    assert not found.metrics["pretrained"].keys() & {"transductive"}


def test_persons_of_the_pretraining_are_refused_by_name(checkpoint, store, windows):
    leaked = _with_header(checkpoint, persons=[["hbn:a"], ["sim:p4"], ["sim:p2"]])
    with pytest.raises(SplitError, match=r"2 of the 6 persons to probe: sim:p2, sim:p4; .*allow_pretrained_persons"):
        probe(leaked, store, windows, _splits(), PARAMS)
    # Persons who are not probed do not matter.
    probe(leaked, store, windows, _splits(p2="train", p4="validation"), PARAMS)


def test_allowed_persons_of_the_pretraining_stand_in_the_metrics(checkpoint, store, windows):
    leaked = _with_header(checkpoint, persons=[["sim:p2"]])
    allowed = PARAMS.model_copy(update={"allow_pretrained_persons": True, "transductive": False})
    protocol = probe(leaked, store, windows, _splits(), allowed).metrics["protocol"]
    assert protocol["allow_pretrained_persons"] is True
    assert protocol["pretrained_persons"] == ["sim:p2"]


def _imported(checkpoint, **changes):
    kept = ("encoder", "signal_spec", "encoder_spec", "normalization", "filters", "seed")
    return Checkpoint(
        checkpoint.tensors, imported_header(**{n: getattr(checkpoint.header, n) for n in kept}, **changes)
    )


def test_whom_an_imported_encoder_has_seen_is_unknown(checkpoint, store, windows):
    params = PARAMS.model_copy(update={"n_untrained": 1, "transductive": False})
    protocol = probe(_imported(checkpoint, corpora=["tueg"]), store, windows, _splits(), params).metrics["protocol"]
    assert protocol["pretrained_persons"] == protocol["pretrained_signals"] == "unknown"
    assert protocol["pretrained_corpora_probed"] == []
    assert protocol["pretraining"]["corpora"] == ["tueg"]
    assert protocol["pretraining"]["imported"]["source"] == "https://example.org/model"
    assert protocol["pretraining"]["n_steps"] is None


def test_an_imported_encoder_is_refused_on_its_own_corpora(checkpoint, store, windows):
    params = PARAMS.model_copy(update={"n_untrained": 1, "transductive": False})
    allowed = params.model_copy(update={"allow_pretrained_persons": True})
    splits = _splits()
    of_tuh = splits.assign(keys=[[p, f"TUEG:{p[-2:]}"] for p in PERSONS])
    for corpora, table in ((["Sim", "hbn"], splits), (["tuab"], of_tuh), (["tuh"], of_tuh)):
        foreign = _imported(checkpoint, corpora=corpora)
        with pytest.raises(SplitError, match=rf"was trained on unknown persons of {corpora[0]}, .* sim "):
            probe(foreign, store, windows, table, params)
        protocol = probe(foreign, store, windows, table, allowed).metrics["protocol"]
        assert protocol["pretrained_persons"] == "unknown"
        assert protocol["pretrained_corpora_probed"] == corpora[:1]
    probe(_imported(checkpoint, corpora=["tuab"]), store, windows, splits, params)


def test_an_imported_encoder_of_unknown_corpora_is_refused(checkpoint, store, windows):
    with pytest.raises(
        SplitError, match=r"training corpora .* are unknown.* name them in import\.corpora .*allow_pretrained"
    ):
        probe(_imported(checkpoint, corpora=[]), store, windows, _splits(), PARAMS)


def _child(checkpoint, *parents, **own):
    """The same weights, as a training that saw nothing new would leave them from these parents."""
    nothing = {"corpora": ["hbn"], "simulated_corpora": [], "persons": [], "signals": [], "kept_out": {}}
    saw = inherited(parents, **nothing | own)
    return _with_header(checkpoint, phase="contrast", imported=None, **saw)


def test_persons_of_a_grandparent_are_refused_and_named(checkpoint, store, windows):
    other = header(persons=[["hbn:b"]], n_persons=1, signals=["ff"])
    for seen, by in (
        ({"persons": [["x:1", "sim:p4"]]}, ""),
        ({"signals": [short_hash("sim:p4:R02 b")]}, ", by the signals"),
    ):
        grandparent = _child(checkpoint, **seen).header
        child = _child(checkpoint, _child(checkpoint, grandparent, other).header, other)
        with pytest.raises(SplitError, match=rf"1 of the 6 persons to probe: sim:p4{by}"):
            probe(child, store, windows, _splits(), PARAMS)
    params = PARAMS.model_copy(update={"n_untrained": 1, "transductive": False})
    protocol = probe(child, store, windows, _splits(p4="train"), params).metrics["protocol"]
    assert protocol["pretrained_persons"] == []
    [first, second] = protocol["pretraining"]["parents"]
    assert (first["phase"], second["phase"], len(first["parents"])) == ("contrast", "pretrain", 2)


def test_corpora_of_an_imported_ancestor_are_refused_two_generations_on(checkpoint, store, windows):
    params = PARAMS.model_copy(update={"n_untrained": 1, "transductive": False})
    allowed = params.model_copy(update={"allow_pretrained_persons": True})

    def grandchild(corpora):
        foreign = _imported(checkpoint, corpora=corpora).header
        return _child(
            checkpoint, _child(checkpoint, foreign, checkpoint.header).header, persons=[["sim:p9"], ["sim:p2"]]
        )

    # Its own persons are known: it is refused on them by name alone.
    with pytest.raises(SplitError, match="1 of the 6 persons to probe: sim:p2; "):
        probe(grandchild(["tueg"]), store, windows, _splits(), params)
    elsewhere = probe(grandchild(["tueg"]), store, windows, _splits(p2="train"), params).metrics["protocol"]
    assert elsewhere["pretrained_persons"] == elsewhere["pretrained_signals"] == "unknown"
    assert elsewhere["pretrained_persons_known"] == elsewhere["pretrained_signals_known"] == []
    assert elsewhere["pretrained_corpora_probed"] == []
    with pytest.raises(
        SplitError,
        match=r"the imported encoder \(https://example.org/model\) that this one started from was trained on unknown "
        r"persons of Sim, and corpus sim shares persons",
    ):
        probe(grandchild(["Sim", "tueg"]), store, windows, _splits(p2="train"), params)
    with pytest.raises(SplitError, match=r"training corpora .* started from are unknown.*import and train again"):
        probe(grandchild([]), store, windows, _splits(p2="train"), params)
    protocol = probe(grandchild(["Sim", "tueg"]), store, windows, _splits(), allowed).metrics["protocol"]
    assert protocol["pretrained_persons"] == "unknown"
    assert protocol["pretrained_persons_known"] == ["sim:p2"]
    assert protocol["pretrained_corpora_probed"] == ["Sim"]


def test_an_encoder_of_one_montage_is_refused_channels_in_another_order(store, windows):
    swapped = Montage((NAMES[1], NAMES[0], *NAMES[2:]), MONTAGE.positions_m, MONTAGE.is_scalp, "average")
    config = EegnetConfig()
    params = PARAMS.model_copy(update={"n_untrained": 1, "transductive": False})
    for montage in (MONTAGE, swapped):
        spec = SignalSpec(100.0, {montage.name: montage}, {montage.name: 200})
        encoder = new_encoder(config, spec, seed=7)
        tensors = {name: value.numpy() for name, value in encoder.state_dict(prefix=PREFIX).items()}
        described = header(
            encoder=config.model_dump(), signal_spec=spec.to_dict(), encoder_spec=spec.to_dict(), filters={}
        )
        if montage is MONTAGE:
            probe(Checkpoint(tensors, described), store, windows, _splits(), params)
            with pytest.raises(
                CheckpointError, match=r"tied to windows of 200 samples; cut 'eyes' into windows of 2 s"
            ):
                probe(Checkpoint(tensors, described), store, windows.assign(n_samples=100), _splits(), params)
        else:
            with pytest.raises(CheckpointError, match=r"tied to 4 channels in this order: F4, F3, O1, O2; .*F3, F4,"):
                probe(Checkpoint(tensors, described), store, windows, _splits(), params)


def test_a_person_is_known_by_any_of_its_names(checkpoint, store, windows):
    splits = _splits()
    splits["keys"] = [[p, f"TUEG:{p[-2:]}"] for p in PERSONS]
    with pytest.raises(SplitError, match=r"1 of the 6 persons to probe: sim:p3; "):
        probe(_with_header(checkpoint, persons=[["TUEG:p3"]]), store, windows, splits, PARAMS)


def test_signals_of_the_pretraining_are_refused_under_any_name(checkpoint, store, windows):
    leaked = _with_header(checkpoint, signals=[short_hash("sim:p4:R02 b"), short_hash("elsewhere")])
    with pytest.raises(SplitError, match=r"1 of the 6 .*: sim:p4, by the signals of sim:p4:R02; probe others"):
        probe(leaked, store, windows, _splits(), PARAMS)
    allowed = PARAMS.model_copy(update={"allow_pretrained_persons": True, "transductive": False})
    protocol = probe(leaked, store, windows, _splits(), allowed).metrics["protocol"]
    assert (protocol["pretrained_persons"], protocol["pretrained_signals"]) == (["sim:p4"], ["sim:p4:R02"])
    # A recording that is not probed counts too: it is of the same person.
    only_open = windows[(windows["person"] != "sim:p4") | (windows["label"] == "open")]
    with pytest.raises(SplitError, match=r"by the signals of sim:p4:R02"):
        probe(leaked, store, only_open, _splits(), PARAMS)


def test_persons_of_two_names_are_held_out_and_counted_as_one(checkpoint, store, windows):
    splits = _splits()
    splits.loc[1, ["identity", "fold"]] = ["sim:p0", 0]
    splits["keys"] = [["sim:p0", "sim:p1"]] * 2 + [[p] for p in PERSONS[2:]]
    params = PARAMS.model_copy(update={"n_untrained": 1})
    found = probe(checkpoint, store, windows, splits, params)
    protocol = found.metrics["protocol"]
    identities = ["sim:p0", *PERSONS[2:]]
    assert (protocol["n_persons"], protocol["n_folds"], protocol["n_windows"]) == (5, 5, 120)
    assert protocol["identities"] == identities
    for row in (found.metrics["pretrained"], found.metrics["pretrained"]["transductive"]):
        assert list(row["balanced_accuracy"]["per_person"]) == identities
        assert len(row["lambdas"][0]) == 5
    assert list(found.metrics["paired_difference"]["untrained"]["per_person"]) == identities
    assert set(found.predictions["person"]) == set(PERSONS)
    # What the one name has teaches nothing to the other.
    swapped = windows.copy()
    of_p1 = swapped["person"] == "sim:p1"
    swapped.loc[of_p1, "label"] = swapped.loc[of_p1, "label"].map({"open": "closed", "closed": "open"})
    again = probe(checkpoint, store, swapped, splits, params)
    mine = found.predictions["person"] == "sim:p0"
    pd.testing.assert_series_equal(found.predictions.loc[mine, "score"], again.predictions.loc[mine, "score"])


def test_folds_of_the_splits_are_those_of_the_probe(checkpoint, store, windows):
    splits = _splits()
    splits["fold"] = [2, 0, 1, 1, 0, 2]
    params = PARAMS.model_copy(update={"n_untrained": 1, "transductive": False})
    found = probe(checkpoint, store, windows, splits, params)
    assert found.metrics["protocol"]["n_folds"] == 3
    assert len(found.metrics["pretrained"]["lambdas"][0]) == 3
    folds = found.predictions.drop_duplicates("person").set_index("person")["fold"]
    assert folds[PERSONS].tolist() == [2, 0, 1, 1, 0, 2]
    without = windows[~windows["person"].isin(["sim:p2", "sim:p3"])]
    with pytest.raises(SplitError, match=r"labelled windows per fold: \[40, 0, 40\]; every fold needs some"):
        probe(checkpoint, store, without, splits, params)
    # Leaving one person out, a person without windows only leaves less to predict.
    alone = probe(checkpoint, store, without, _splits(), params)
    assert alone.metrics["protocol"]["n_folds"] == 4
    with pytest.raises(SplitError, match=r"labelled windows per fold: \[120\]; .* there must be two"):
        probe(checkpoint, store, windows, splits.assign(fold=0), params)


def test_a_planted_window_of_another_person_is_refused(checkpoint, store, windows):
    leaky = windows.copy()
    leaky.loc[leaky["recording_id"] == "sim:p4:R01", "recording_id"] = "sim:p5:R01"
    with pytest.raises(SplitError, match=r"1 recordings are of another person than said: sim:p5:R01 is of sim:p5"):
        probe(checkpoint, store, leaky, _splits(p5="train"), PARAMS)


def test_too_little_to_probe_is_refused_with_counts(checkpoint, store, windows):
    two_left = dict.fromkeys(("p0", "p1", "p2", "p3"), "train")
    with pytest.raises(SplitError, match=r"40 labelled windows of 2 test persons .*120 windows of 6 persons"):
        probe(checkpoint, store, windows, _splits(**two_left), PARAMS)
    with pytest.raises(SplitError, match="0 labelled windows of 0 test persons"):
        probe(checkpoint, store, windows.assign(label=None), _splits(), PARAMS)
    with pytest.raises(ConfigError, match=r"parameter probe\.tasks: sim\.window\.cuts has no 'movies'; known: eyes"):
        probe(checkpoint, store, windows, _splits(), ProbeParams(tasks=["movies"]))
    with pytest.raises(SplitError, match=r"classes \['open'\]"):
        probe(checkpoint, store, windows[windows["label"] == "open"], _splits(), PARAMS)
    with pytest.raises(SplitError, match="1 persons have windows but no split"):
        probe(checkpoint, store, windows, _splits().iloc[1:], PARAMS)


def test_what_cannot_be_divided_is_refused_before_features_are_computed(checkpoint, store, windows, monkeypatch):
    monkeypatch.setattr("eegfm.jobs.probe.probe.all_features", None)  # a call of it is an error
    one_each = windows[windows["recording_id"].str.endswith("R01") == (windows["person"] == "sim:p0")]
    with pytest.raises(SplitError, match=r"fold 0 of 6: .*\[50, 0\] windows per class"):
        probe(checkpoint, store, one_each, _splits(), PARAMS)


def test_the_classes_are_those_of_the_task_and_each_needs_a_window_of_a_test_person(checkpoint, store, windows):
    """p0 alone has the third class, and is validated on."""
    drowsy = windows.assign(label=windows["label"].mask(windows["recording_id"] == "sim:p0:R02", "drowsy"))
    message = (
        r"task sim.eyes: no test person has a window of class 'drowsy' \(windows of test persons, of those "
        r"in all splits: closed 50 of 50, drowsy 0 of 10, open 50 of 60\); raise split.test_ratio"
    )
    with pytest.raises(SplitError, match=message):
        probe(checkpoint, store, drowsy, _splits(p0="validation"), PARAMS)


def test_one_penalty_leaves_nothing_to_choose():
    with pytest.raises(ValidationError, match="inner_folds is not used where lambdas has one value"):
        ProbeParams(tasks=["eyes"], lambdas=(1.0,), inner_folds=3)


def test_signals_that_do_not_fit_the_encoder_are_refused(checkpoint, store, windows, tmp_path):
    with StoreWriter(tmp_path, StoreFacts(rate_hz=200.0)):
        pass
    with pytest.raises(CheckpointError, match="trained at 100 Hz and the signals are stored at 200 Hz"):
        probe(checkpoint, SignalStore(tmp_path), windows, _splits(), PARAMS)
    with pytest.raises(CheckpointError, match="windows of 250 samples"):
        probe(checkpoint, store, windows.assign(n_samples=250), _splits(), PARAMS)
    with pytest.raises(CheckpointError, match="'nose'"):
        probe(_with_header(checkpoint, reference="nose"), store, windows, _splits(), PARAMS)


def test_log_says_the_scores_of_all_kinds(checkpoint, store, windows, caplog):
    caplog.set_level(logging.INFO)
    probe(checkpoint, store, windows, _splits(), PARAMS.model_copy(update={"transductive": False}))
    for kind in ("pretrained", *CONTROLS):
        assert (
            f"Probe of sim.eyes, {kind}: balanced accuracy 0." in caplog.text
            or f"Probe of sim.eyes, {kind}: balanced accuracy 1." in caplog.text
        )


def test_log_says_what_is_computed_at_each_part(checkpoint, store, windows, caplog):
    caplog.set_level(logging.INFO)
    probe(checkpoint, store, windows, _splits(), PARAMS)
    started, _, rest = caplog.text.partition("Probe of sim.eyes: features of ")
    assert ": fitting" not in started
    kinds = ("pretrained", *CONTROLS)
    rows = ("features (", "features z-scored per person (")
    said = [(kind, row) for row in rows for kind in kinds if (kind, row) != ("majority", rows[1])]
    places = [rest.find(f"Probe of sim.eyes: fitting {kind}, {row}") for kind, row in said]
    assert places == sorted(places)
    assert min(places) > 0
    assert "intervals from 200 bootstrap samples" in rest


def test_global_random_state_is_left_alone(checkpoint, store, windows):
    before = torch.random.get_rng_state()
    np.random.seed(0)  # noqa: NPY002 - the global generator is what is guarded here
    expected = np.random.random()  # noqa: NPY002 - see above
    np.random.seed(0)  # noqa: NPY002 - see above
    probe(checkpoint, store, windows, _splits(), PARAMS.model_copy(update={"transductive": False}))
    assert np.random.random() == expected  # noqa: NPY002 - see above
    assert torch.equal(before, torch.random.get_rng_state())


def test_controls_without_an_encoder_find_what_is_planted(result):
    pooled = {kind: result.metrics[kind]["balanced_accuracy"]["pooled"] for kind in CONTROLS}
    assert pooled["majority"] == 0.5
    assert min(pooled["band_power"], pooled["relative_band_power"], pooled["log_covariance"]) > 0.9
    assert not {"transductive", "lambdas"} & result.metrics["majority"].keys()


def test_an_audit_of_identity_stands_beside_every_kind(result):
    for kind in ("pretrained", *CONTROLS):
        audit = result.metrics[kind]["identity"]
        assert 0 <= audit["between_persons"] <= 1
        assert audit["between_persons_by_chance"] == pytest.approx(5 / 119)
        assert audit["chance"] == pytest.approx(1 / 6)
        if kind != "majority":
            score, row = (block["balanced_accuracy"]["pooled"] for block in _rows_of(result.metrics[kind]))
            assert audit["transductive_gap"] == pytest.approx(row - score)
    band_power, relative = (result.metrics[kind]["identity"] for kind in ("band_power", "relative_band_power"))
    assert band_power["between_persons"] > relative["between_persons"] + 0.1, "persons have a gain each"


def _rows_of(block):
    return block, block["transductive"]


def test_a_label_that_follows_the_order_of_recording_is_said(result, checkpoint, store, windows):
    order = {"first": "open", "then": "closed", "share": 1.0, "share_either_way": 1.0, "n_persons": 6}
    protocol = result.metrics["protocol"]
    assert (protocol["label_follows_order"], protocol["label_order"]) == (True, order)
    assert protocol["order_dependent_rows"] == []
    swapped = windows.copy()
    of_p1 = swapped["person"] == "sim:p1"
    swapped.loc[of_p1, "label"] = swapped.loc[of_p1, "label"].map({"open": "closed", "closed": "open"})
    params = PARAMS.model_copy(update={"n_untrained": 1, "transductive": False})
    protocol = probe(checkpoint, store, swapped, _splits(), params).metrics["protocol"]
    assert protocol["label_follows_order"] is True
    assert protocol["label_order"] == {**order, "share": pytest.approx(5 / 6)}


def test_no_row_depends_on_the_order_of_the_windows(result, checkpoint, store, windows, monkeypatch):
    """Every person's windows backwards in time: the same predictions for the same windows, in both rows."""
    forwards = job.answered_trials

    def backwards(*args):
        trials = forwards(*args)
        order = np.lexsort((-np.arange(len(trials.windows)), trials.persons))
        assert (trials.persons[order] == trials.persons).all()
        answers = dataclasses.replace(trials.answers, numbers=trials.answers.numbers[order])
        turned = trials.windows.iloc[order].reset_index(drop=True)
        return dataclasses.replace(trials, windows=turned, answers=answers, folds=trials.folds[order])

    monkeypatch.setattr(job, "answered_trials", backwards)
    again = probe(checkpoint, store, windows, _splits(), PARAMS).predictions
    keys = ["features", "init", "transductive", "recording_id", "start"]
    one, two = (table.set_index(keys)["score"].sort_index() for table in (result.predictions, again))
    assert not (again["start"].to_numpy() == result.predictions["start"].to_numpy()).all()
    pd.testing.assert_series_equal(one, two, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("computes", ["encoder_features_of", "control_features"])
def test_features_do_not_see_answers(checkpoint, store, windows, monkeypatch, computes):
    """A feature that carries the label stops the run: windows come to the extractors without answers."""
    whole = getattr(features_job, computes)

    def leaking(one, two, *others, **options):
        windows = two if isinstance(two, pd.DataFrame) else others[0]
        windows["label"].eq("open")
        return whole(one, two, *others, **options)

    monkeypatch.setattr(features_job, computes, leaking)
    with pytest.raises(KeyError, match="label"):
        probe(checkpoint, store, windows, _splits(), PARAMS)


@pytest.mark.parametrize("layers", ["mean", "chosen"])
def test_layers_of_the_encoder(result, checkpoint, store, windows, layers):
    params = PARAMS.model_copy(update={"n_untrained": 1, "transductive": False, "layers": layers})
    found = probe(checkpoint, store, windows, _splits(), params).metrics
    assert found["protocol"]["layers"] == layers
    assert found["band_power"]["balanced_accuracy"] == result.metrics["band_power"]["balanced_accuracy"]
    assert found["pretrained"]["balanced_accuracy"] != result.metrics["pretrained"]["balanced_accuracy"]
    if layers == "chosen":
        assert set(found["pretrained"]["layers"][0]) <= {1, 2}
        assert "layers" not in found["band_power"]


def test_layers_of_an_encoder_without_layers_are_refused_before_features(store, windows, monkeypatch):
    monkeypatch.setattr(features_job, "encoder_features_of", None)  # a call of it is an error
    spec = SignalSpec(100.0, {MONTAGE.name: MONTAGE}, {MONTAGE.name: 200})
    state = new_encoder(EegnetConfig(), spec, seed=7).state_dict(prefix=PREFIX)
    described = header(
        encoder=EegnetConfig().model_dump(), signal_spec=spec.to_dict(), encoder_spec=spec.to_dict(), filters={}
    )
    eegnet = Checkpoint({name: value.numpy() for name, value in state.items()}, described)
    with pytest.raises(ConfigError, match=r"encoder eegnet has stages of different shapes.*set probe\.layers=last"):
        probe(eegnet, store, windows, _splits(), PARAMS.model_copy(update={"layers": "mean"}))


def test_a_machine_that_cannot_do_it_is_refused_first(checkpoint, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    asked = PARAMS.model_copy(update={"accelerator": "cuda"})
    with pytest.raises(ConfigError, match=r"parameter probe\.accelerator is 'cuda'"):
        probe(checkpoint, None, None, None, asked)  # nothing of the data is looked at


def test_nearest_neighbours_are_a_method(checkpoint, store, windows):
    params = ProbeParams(
        tasks=["eyes"], method="knn", n_untrained=1, n_bootstrap=100, accelerator="cpu", transductive=False
    )
    found = probe(checkpoint, store, windows, _splits(), params).metrics
    assert found["band_power"]["balanced_accuracy"]["pooled"] > 0.8
    assert set(found["band_power"]["neighbours"][0]) <= set(params.neighbours)
    protocol = found["protocol"]
    assert (protocol["method"], protocol["distance"]) == ("knn", "cosine")
    assert "lambdas" not in protocol


def test_label_efficiency_is_a_part_of_the_metrics(result, checkpoint, store, windows):
    params = PARAMS.model_copy(update={"n_untrained": 1, "transductive": False, "label_ratios": (0.01, 0.4, 1.0)})
    rows = probe(checkpoint, store, windows, _splits(), params).metrics["label_efficiency"]
    assert [row["n_persons"] for row in rows] == [[0, 0], [2, 2], [5, 5]]
    assert "too_few" in rows[0]
    for kind in ("pretrained", "band_power"):
        assert rows[2]["scores"][kind]["balanced_accuracy"] == result.metrics[kind]["balanced_accuracy"]
    assert "label_efficiency" not in result.metrics


@pytest.mark.parametrize("pooling", ["channels", "mean"])
def test_features_of_layers_keep_their_channels(checkpoint, store, windows, pooling):
    """The last of all layers has the features of the encoder, and all of them have the mean; channel by channel."""
    found = {}
    for layers in ("last", "mean", "chosen"):
        params = PARAMS.model_copy(update={"n_untrained": 1, "layers": layers, "pooling": pooling})
        [trials] = job.checked_trials(checkpoint.header, {"sim": store}, {"sim": windows}, _splits(), params)
        found[layers] = features_job.all_features(checkpoint, store, trials, params)
    for kind in ("pretrained", "untrained"):
        [last], [mean], [chosen] = (found[layers][kind] for layers in ("last", "mean", "chosen"))
        assert chosen.shape == (120, 2, last.shape[1])
        np.testing.assert_array_equal(chosen[:, -1], last)
        np.testing.assert_allclose(chosen.mean(axis=1), mean, atol=1e-6)
    np.testing.assert_array_equal(found["last"]["band_power"][0], found["chosen"]["band_power"][0])

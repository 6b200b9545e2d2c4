"""Trainings on pairs: what a step holds, on one process and on two, from any step on; and what is validated on."""

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from eegfm.batch import StoredBatch
from eegfm.errors import ConfigError, SplitError
from eegfm.jobs.train.data import TrainingData, training_data
from eegfm.mixture.table import mixture_sha256
from eegfm.recording import Montage
from eegfm.training.config import PretrainParams
from training.conftest import MemoryStore

ONE = Montage(("C3", "C4"), ((-0.06, 0, 0.07), (0.06, 0, 0.07)), (True, True), "average")
OTHER = Montage(("C3",), ((-0.06, 0, 0.07),), (True,), "average")
N_RECORDINGS, LENGTH = 16, 20_000
PAIRS: dict[str, Any] = {
    "hbn": [{"name": "movie_moment"}, {"name": "within_recording", "moments": 4}],
    "tuh": {"name": "time_neighbours", "max_gap_s": 2.0},
}


def stores() -> Any:
    return {corpus: MemoryStore([ONE, OTHER], N_RECORDINGS, LENGTH) for corpus in ("hbn", "tuh")}


def mixture(n_validation: int = 4, **weights: float) -> pd.DataFrame:
    """A recording per person; HBN has two montages, and a movie beside the windows that are drawn one by one."""
    rows = []
    for corpus, weight in (weights or {"hbn": 0.5, "tuh": 0.5}).items():
        for k in range(N_RECORDINGS):
            row = {
                "recording_id": f"r{k}", "corpus": corpus, "person": f"{corpus}:p{k}", "weight": weight, "segment": 0,
                "montage": (ONE if corpus == "tuh" or k % 2 else OTHER).name, "target": np.nan, "targets": None,
                "split": "train" if k < N_RECORDINGS - n_validation else "validation",
            }  # fmt: skip
            rows.append(row | {"cut": "pretrain", "start": 10 * k, "n_windows": 30, "n_samples": 100, "moment": -1})
            if corpus == "hbn":
                movie = {"cut": "movies", "start": 3200 + 7 * k, "n_windows": 24, "n_samples": 50, "moment": 0}
                rows.append(row | movie | {"label": "A"})
    table = pd.DataFrame(rows).assign(stride=lambda t: t["n_samples"], identity=lambda t: t["person"])
    return table.assign(drawn_by="windows", max_windows_per_person=0, is_rounded=False, mix_cut="pretrain")


def data(table: pd.DataFrame, world_size: int = 1, rank: int = 0, **changes: Any) -> TrainingData:
    loader = {"verify": "off"}
    params = PretrainParams.model_validate(
        {
            "objective": {"name": "contrastive"},
            "batch_size": 32,
            "n_steps": 12,
            "pairs": PAIRS,
            "loader": loader,
            "accelerator": "cpu",
            **changes,
        }
    )
    return training_data(table, stores(), params, rank=rank, world_size=world_size)


def plain(batch: StoredBatch) -> list[Any]:
    """A batch as lists."""
    pairs = batch["pairs"]
    block = None if pairs.block is None else pairs.block.tolist()
    return [
        batch["corpus"], batch["montage"], batch["samples"].tolist(), batch["person"].tolist(),
        pairs.group.tolist(), pairs.place.tolist(), pairs.reach, block,
    ]  # fmt: skip


def test_a_step_has_pairs_of_each_corpus_in_the_declared_ratio() -> None:
    found = data(mixture(hbn=0.75, tuh=0.25), batch_size=64)
    assert found.spec.n_samples == {ONE.name: 100, OTHER.name: 100}
    held: Counter[Any] = Counter()
    for step in found.training:
        assert step.n_windows == 64
        assert [(b["corpus"], len(b["samples"])) for b in step.batches] == [("hbn", 48), ("tuh", 16)]
        for batch in step.batches:
            half = len(batch["samples"]) // 2
            recording, person = batch["recording"], batch["person"]
            is_movie = batch["samples"].shape[1] == 50
            if is_movie:
                assert batch["pairs"].place[:half].equal(batch["pairs"].place[half:])
                assert (person[:half] != person[half:]).all()
            else:
                assert recording[:half].equal(recording[half:])
            held[batch["corpus"], is_movie, batch["pairs"].block is not None] += 1
    assert set(held) == {("hbn", True, False), ("hbn", False, True), ("tuh", False, False)}
    assert held["tuh", False, False] == len(found.training)
    # Pairings take equal turns, however many pairs each has.
    assert abs(held["hbn", True, False] - held["hbn", False, True]) <= 2


def test_a_spec_covers_the_lengths_of_all_cuts() -> None:
    table = mixture()
    table.loc[table["cut"] == "movies", "n_samples"] = 150
    table.loc[table["cut"] == "movies", "stride"] = 150
    assert data(table).spec.n_samples == {ONE.name: 150, OTHER.name: 150}
    assert data(table, pairs={"name": "views"}).spec.n_samples == {ONE.name: 100, OTHER.name: 100}
    assert data(table, pairs=None).spec.n_samples == {ONE.name: 100, OTHER.name: 100}


def test_two_processes_have_what_one_has() -> None:
    one, two = data(mixture()), [data(mixture(), 2, rank) for rank in range(2)]
    for whole, *parts in zip(one.training, *(each.training for each in two), strict=True):
        for k, batch in enumerate(whole.batches):
            for rank, part in enumerate(parts):
                own = part.batches[k]
                assert own["samples"].equal(batch["samples"][rank::2])
                assert own["pairs"].group.equal(batch["pairs"].group[rank::2])
        assert {part.n_windows for part in parts} == {whole.n_windows}
    assert [plain(b) for b in two[1].training.batches(5)] == [plain(b) for b in one.training.batches(5)]
    validated = [plain(batch) for step in one.validation for batch in step.batches]
    shared = [[plain(batch) for step in each.validation for batch in step.batches] for each in two]
    assert sorted(map(str, validated)) == sorted(map(str, [*shared[0], *shared[1]]))
    assert len({len(each.validation) for each in two}) == 1


def test_a_training_that_goes_on_has_the_steps_that_are_left() -> None:
    steps = [[plain(batch) for batch in step.batches] for step in data(mixture()).training]
    rest = [[plain(batch) for batch in step.batches] for step in data(mixture()).training.from_step(7)]
    assert rest == steps[7:]
    other = [[plain(batch) for batch in step.batches] for step in data(mixture(), seed=1).training]
    assert other != steps


def test_validation_has_pairs_of_its_own_persons_always_the_same() -> None:
    table = mixture()
    found = data(table, n_validation_windows=40)
    batches = [batch for step in found.validation for batch in step.batches]
    assert Counter(batch["corpus"] for batch in batches) == {"hbn": 2, "tuh": 2}
    assert all(len(batch["samples"]) == 16 for batch in batches)
    assert {r for batch in batches for r in batch["recording"].tolist()} <= {12, 13, 14, 15}
    drawn = [(batch["corpus"], w.numpy().tobytes()) for batch in batches for w in batch["samples"][:, :, 0]]
    assert len(set(drawn)) == len(drawn), "no window comes twice"
    again = [batch for step in data(table, n_validation_windows=40).validation for batch in step.batches]
    assert [plain(batch) for batch in batches] == [plain(batch) for batch in again]
    few = [batch for step in data(table, n_validation_windows=16).validation for batch in step.batches]
    shown = sorted((batch["corpus"], batch["pairs"].pairing, len(batch["samples"])) for batch in few)
    assert shown == [("hbn", "movie_moment", 8), ("hbn", "within_recording", 8), ("tuh", "time_neighbours", 16)]


def test_fewer_pairs_than_a_batch_make_smaller_batches(caplog: pytest.LogCaptureFixture) -> None:
    """One validation person of HBN: no movie moment, and one recording of four moments."""
    table = mixture(n_validation=1)
    found = data(table, batch_size=64, pairs=PAIRS | {"tuh": {"name": "views"}})
    sizes: dict[str, set[int]] = {}
    for step in found.validation:
        for batch in step.batches:
            sizes.setdefault(batch["corpus"], set()).add(len(batch["samples"]))
    assert sizes == {"hbn": {8}, "tuh": {32}}
    with caplog.at_level("INFO", "eegfm"):
        found = data(mixture(n_validation=1), pairs={"hbn": {"name": "movie_moment"}, "tuh": PAIRS["tuh"]})
        assert found.validates
        assert {batch["corpus"] for step in found.validation for batch in step.batches} == {"tuh"}
    assert "hbn: no pair to validate on" in caplog.text
    nobody = data(mixture(n_validation=0))
    assert len(nobody.validation) == nobody.validates == 0


def test_nothing_is_read_before_a_step_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """`max_spread` needs all samples: a run that is refused or finished never asks for them."""
    monkeypatch.setattr(MemoryStore, "gather", None)
    found = data(mixture())
    with pytest.raises(TypeError):
        found.training.look()
    with pytest.raises(TypeError):
        len(found.validation)


def test_further_cuts_change_nothing_for_windows_one_by_one() -> None:
    table = mixture()
    alone = table[table["cut"] == "pretrain"].drop(columns=["cut", "mix_cut"])
    one, other = (data(each, pairs=None, objective={"name": "masked"}) for each in (table, alone))
    assert one.mixture_sha256 == other.mixture_sha256 == mixture_sha256(alone)
    for a, b in zip(one.training, other.training, strict=True):
        for mine, its in zip(a.batches, b.batches, strict=True):
            assert "pairs" not in mine
            assert mine["samples"].equal(its["samples"])
            assert mine["person"].equal(its["person"])


def test_the_fingerprint_follows_the_cuts_that_are_drawn_from() -> None:
    table = mixture()
    moved = table.assign(start=table["start"] + (table["cut"] == "movies"))
    views = {"pairs": {"name": "views"}}
    assert data(table).mixture_sha256 != data(moved).mixture_sha256
    assert data(table, **views).mixture_sha256 == data(moved, **views).mixture_sha256
    swapped = table.assign(cut=table["cut"].replace({"pretrain": "movies", "movies": "pretrain"}))
    assert mixture_sha256(table) != mixture_sha256(swapped)


def test_labels_are_those_of_persons_that_are_drawn_from() -> None:
    """The persons of a cut that no pair is made of count in no mean and name no class."""
    table = mixture().assign(label_age=lambda t: t["person"].str.extract(r"p(\d+)")[0].astype(float))
    table["label_sex"] = np.where(table["cut"] == "movies", "other", np.where(table["label_age"] % 2, "F", "M"))
    table.loc[table["cut"] == "movies", "label_age"] = 1e4
    heads = {"objective": {"name": "contrastive", "auxiliary": {"heads": ["age", "sex"]}}}
    found = data(table, pairs={"name": "views"}, **heads).labels
    assert (found["age"].mean, found["age"].sd) == pytest.approx((np.arange(12).mean(), np.arange(12).std()))
    assert found["sex"].classes == ("F", "M")
    assert data(table, **heads).labels["sex"].classes == ("F", "M", "other")


def test_leaks_between_cuts_are_refused() -> None:
    """A person's movie is validated on, while the same samples are trained on as other windows."""
    table = mixture()
    rows = table[(table["cut"] == "pretrain") & (table["corpus"] == "hbn") & (table["split"] == "validation")]
    leak = rows.assign(cut="movies", split="train", person="hbn:x", identity="hbn:x", label="A", moment=0)
    with pytest.raises(SplitError, match="windows to train on and to validate on share samples"):
        data(pd.concat([table, leak], ignore_index=True))


def test_a_person_has_one_number_in_all_cuts() -> None:
    table = mixture()
    early = (table["cut"] == "movies") & table["person"].isin(["hbn:p0", "hbn:p1"])
    persons = {}
    for step in data(table[~early]).training:
        for batch in step.batches:
            if batch["corpus"] == "hbn":
                pairs = zip(batch["recording"].tolist(), batch["person"].tolist(), strict=True)
                persons.update({(recording, batch["samples"].shape[1]): person for recording, person in pairs})
    both = {recording for recording, _ in persons} & {r for r, n in persons if n == 50}
    assert len(both) > 4
    assert all(persons[r, 50] == persons[r, 100] for r in both if (r, 100) in persons)


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"pairs": {"name": "condition"}}, ConfigError, r"cut 'eyes', but the mixture holds movies, pretrain; add"),
        ({"pairs": {"name": "movie_moment"}}, SplitError, r"no movie_moment pair in corpus tuh .*pairs\.tuh"),
        ({"pairs": {"hbn": {"name": "views"}}}, ConfigError, r"pairs\.tuh is missing"),
        ({"batch_size": 30}, ConfigError, r"hbn 8, tuh 2 windows.* nearest batch sizes that can: 16 or 32"),
        ({"batch_size": 512}, ConfigError, r"a step takes 128 pairs, .*the most are 72 of hbn .*lower it"),
        (
            {"objective": {"name": "contrastive", "positives": "label"}},
            ConfigError,
            r"pretrain\.objective\.positives is label, .* 'movies' of corpus hbn have 1 classes \(A\), two are needed",
        ),
        (
            {"objective": {"name": "isc"}},
            ValidationError,
            r"pairs\.name is within_recording, and objective isc compares pairs of movie_moment alone; leave pairs out",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_line(changes: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text) as info:
        data(mixture(), **changes)
    assert error is ValidationError or "\n" not in str(info.value)


def test_a_correlation_over_two_moments_is_refused_where_shares_follow_from_sizes() -> None:
    """Two moments correlate by 1 or by -1. These shares are known here and not before."""
    isc = {"objective": {"name": "isc"}, "pairs": None}
    table = mixture(hbn=1.0).assign(is_rounded=True)
    with pytest.raises(ConfigError, match=r"^batch_size 4 gives corpus hbn 4 .* batch_size that works is 6$"):
        data(table, **isc, batch_size=4)


def test_processes_that_cannot_share_pairs() -> None:
    with pytest.raises(ConfigError, match="nearest batch sizes that can: 24 or 36"):
        data(mixture(), 3, pairs={"hbn": {"name": "movie_moment"}, "tuh": PAIRS["tuh"]})
    with pytest.raises(ConfigError, match="cannot be shared out"):
        data(mixture(), 2, batch_size=6, pairs={"name": "views"})


def test_parts_and_runs_of_pairs_are_refused() -> None:
    with pytest.raises(ValidationError, match="pairs are given, but objective masked draws windows one by one"):
        data(mixture(), objective={"name": "masked"})
    with pytest.raises(
        ValidationError, match="accumulate is 2, and the loss of objective contrastive is one of the whole"
    ):
        data(mixture(), accumulate=2)
    with pytest.raises(ValidationError, match="pairs are shuffled one by one"):
        data(mixture(), shuffle={"run_windows": 2})


def test_shares_by_size_are_rounded_to_whole_pairs() -> None:
    table = mixture(hbn=0.6, tuh=0.4).assign(is_rounded=True)
    assert data(table, batch_size=40).weights == {"hbn": 0.6, "tuh": 0.4}
    assert data(table).weights == {"hbn": 0.5, "tuh": 0.5}


def test_the_epoch_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "eegfm"):
        found = data(mixture(), pairs={"name": "views"})
    # 180 windows in each montage of HBN and 360 of TUH fill 2 x 22 and 45 batches of 8 pairs.
    assert found.n_steps_per_epoch == (2 * 22 + 45) // 2
    assert (
        "Windows per step: hbn 16, tuh 16. Epoch: 44 steps, passes through its pairs: hbn 1, tuh 0.978" in caplog.text
    )


def test_persons_in_turn_do_not_hold_for_pairs(caplog: pytest.LogCaptureFixture) -> None:
    data(mixture().assign(drawn_by="persons"))
    assert "pairs do not heed them" in caplog.text

"""Properties of all corpora: 400 random corpora, several at a time, with respelt ids, copies and official test sets.

``EEGFM_SPLITS=full`` draws 1,000.

Who is one person is found a second time here, by a union-find in plain Python over what the generator knows.
"""

import os
import random
from collections import Counter, defaultdict
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

from eegfm.errors import SplitError
from eegfm.recording import person_id
from eegfm.splits.config import Roles, SplitParams
from eegfm.splits.leakage import SplitTable
from eegfm.splits.splits import split_persons, splits_sha256
from person_tables import letters

N_CORPORA = 1000 if os.environ.get("EEGFM_SPLITS") == "full" else 400
ROLES = Roles(pretrain=["tuh", "tuab", "hbn", "one", "two"], probe=["one"])
HELD_OUT = {"test", "excluded"}
SPELLINGS = (str, str.upper, str.lower, lambda s: f"sub-{s}", lambda s: f" {s} ", lambda s: f"SUB-{s}\u200b")


class Recording(NamedTuple):
    name: str
    corpus: str
    key: str  # what the person is called in truth: within what, and as what
    subject: str  # as it is spelt in this file
    family: str
    official_split: str
    hashes: list[str]
    is_test: bool


class Collection(NamedTuple):
    recordings: list[Recording]
    params: SplitParams


class Case(NamedTuple):
    collection: Collection
    splits: pd.DataFrame

    @property
    def keys(self) -> dict[str, str]:
        return {r.name: r.key for r in self.collection.recordings}


def _person(rng: random.Random, corpus: str) -> tuple[str, str, str, str, bool]:
    """Key, subject, family, official split, and whether that is a test set."""
    if corpus == "one" or corpus == "two":
        subject = f"s{rng.randrange(30)}"
        return f"{corpus}:{subject}", subject, "", "", False
    if corpus == "hbn":
        subject = f"ndaraa{rng.randrange(25):03d}x1z"
        release = ("R1", "R2", "R5")[int(subject[6:9]) % 3]
        return f"NDA:{subject}", subject, "", release, release == "R5"
    if corpus == "tuev" and rng.random() < 0.4:
        subject = f"{rng.randrange(10):03d}"
        return f"TUEV-eval:{subject}", subject, "tuev", "eval", True
    subject = letters(rng.randrange(25))
    official = "" if corpus == "tuh" else rng.choice(["train", "train", "train", "eval"])
    return f"TUEG:{subject}", subject, "tueg" if corpus == "tuh" else corpus, official, official == "eval"


def _hash(rng: random.Random) -> str:
    return f"{rng.getrandbits(128):032x}"


def generate(seed: int) -> Collection:
    """Up to six corpora of a few persons each."""
    rng = random.Random(seed)
    corpora = [c for c in ("tuh", "tuab", "tuev", "hbn", "two") if rng.random() < 0.7] + ["one"]
    recordings: list[Recording] = []
    for corpus in corpora:
        for _ in range(rng.randrange(5, 12)):
            key, subject, family, official, is_test = _person(rng, corpus)
            for _ in range(rng.choice([1, 1, 2])):
                hashes = [_hash(rng), _hash(rng), ""]
                if recordings and rng.random() < 0.08:
                    copied = rng.choice(recordings).hashes
                    # A whole copy, or one channel of it among others.
                    hashes = list(copied) if rng.random() < 0.5 else [hashes[0], "", rng.choice(copied)]
                spelt = rng.choice(SPELLINGS)(subject)
                name = f"{corpus}:{len(recordings):03d}"
                recordings.append(Recording(name, corpus, key, spelt, family, official, hashes, is_test))
    params = SplitParams(
        validation_ratio=0.3,
        test_ratio=0.4,
        salt=str(seed),
        linked_corpora=(("one", "two"),) if rng.random() < 0.3 else (),
        same_persons=tuple((f"one:s{rng.randrange(30)}", f"two:S{rng.randrange(30)}") for _ in range(rng.randrange(3))),
        folds=rng.choice(["leave_one_person_out", 2]),
        held_out={"tuab": (letters(3),)} if rng.random() < 0.3 else {},
    )
    return Collection(recordings, params)


def tables(recordings: list[Recording], order: random.Random | None = None) -> dict[str, pd.DataFrame]:
    """As ingest would write them; with ``order`` corpora, rows and columns are shuffled."""
    by_corpus: dict[str, list[Recording]] = defaultdict(list)
    for recording in recordings if order is None else order.sample(recordings, len(recordings)):
        by_corpus[recording.corpus].append(recording)
    out = {}
    for corpus, rows in by_corpus.items():
        columns: dict[str, Any] = {
            "recording_id": [r.name for r in rows],
            # Tables of other versions hold ids as they were spelt: half of the corpora are so.
            "person": [person_id(corpus, r.subject) if corpus < "o" else f"{corpus}:{r.subject}" for r in rows],
            "official_split": [r.official_split for r in rows],
            "signal_hashes": [r.hashes for r in rows],
        }
        if rows[0].family:
            columns["family"] = [r.family for r in rows]
        names = list(columns) if order is None else order.sample(list(columns), len(columns))
        out[corpus] = pd.DataFrame({name: columns[name] for name in names})
    return out


def components(collection: Collection) -> dict[str, frozenset[str]]:
    """The recordings of the person of each recording: a union-find over keys and hashes."""
    parent: dict[str, str] = {}

    def find(x: str) -> str:
        parent.setdefault(x, x)
        while parent[x] != x:
            x = parent[x]
        return x

    def union(x: str, y: str) -> None:
        parent[find(x)] = find(y)

    for r in collection.recordings:
        for h in filter(None, r.hashes):
            union(r.key, f"hash {h}")
        if collection.params.linked_corpora and r.corpus in ("one", "two"):
            union(r.key, f"linked {r.key.partition(':')[2]}")
    for group in collection.params.same_persons:
        keys = [name.lower() for name in group]
        for key in keys:
            union(keys[0], key)
            if collection.params.linked_corpora:
                union(key, f"linked {key.partition(':')[2]}")
    of_root: dict[str, set[str]] = defaultdict(set)
    for r in collection.recordings:
        of_root[find(r.key)].add(r.name)
    return {name: frozenset(names) for names in of_root.values() for name in names}


def mixture_of(splits: pd.DataFrame) -> pd.DataFrame:
    """A window of each recording that is trained on."""
    columns = zip(splits["recordings"], splits["person"], splits["identity"], splits["split"], strict=True)
    rows = [(name, *said, split) for names, *said, split in columns if split not in HELD_OUT for name in names]
    return pd.DataFrame(rows, columns=["recording_id", "person", "identity", "split"])


@pytest.fixture(scope="module")
def collections() -> list[Case]:
    """Those whose splits are all filled, which is most of them."""
    found, seed, n_corpora = [], 0, 0
    while n_corpora < N_CORPORA:
        collection, seed = generate(seed), seed + 1
        raw = tables(collection.recordings)
        try:
            splits = split_persons(raw, ROLES, collection.params)
        except SplitError as error:
            assert "no person" in str(error)  # noqa: PT017 - a small collection may lack one
            continue
        n_corpora += len(raw)
        found.append(Case(collection, splits))
    assert len(found) > 0.6 * seed
    return found


def test_persons_are_those_of_an_independent_union_find(collections: list[Case]) -> None:
    n_joined = 0
    for case in collections:
        of_identity = defaultdict(set)
        for identity, names in zip(case.splits["identity"], case.splits["recordings"], strict=True):
            of_identity[identity] |= set(names)
        expected = set(components(case.collection).values())
        assert {frozenset(names) for names in of_identity.values()} == expected, case.collection.params.salt
        n_joined += sum(len({case.keys[name] for name in names}) > 1 for names in expected)
    assert n_joined > N_CORPORA / 4


def test_no_person_is_in_two_splits(collections: list[Case]) -> None:
    for case in collections:
        component_of = components(case.collection)
        placed = defaultdict(set)
        for row in case.splits.itertuples():
            for name in row.recordings:
                placed[component_of[name]].add((row.split, row.fold))
        assert all(len(places) == 1 for places in placed.values()), case.collection.params.salt


def test_no_person_of_a_test_set_is_trained_on(collections: list[Case]) -> None:
    n_tests = 0
    for case in collections:
        held_out = {f"TUEG:{s}" for of in case.collection.params.held_out.values() for s in of}
        tests = {r.name for r in case.collection.recordings if r.is_test or r.key in held_out}
        component_of = components(case.collection)
        tested = {name for test in tests for name in component_of[test]}
        trained = {
            n
            for s, names in zip(case.splits["split"], case.splits["recordings"], strict=True)
            for n in names
            if s not in HELD_OUT
        }
        tested = {
            n
            for s, names in zip(case.splits["split"], case.splits["recordings"], strict=True)
            for n in names
            if s == "test"
        }
        assert not tested & trained, case.collection.params.salt
        assert not {n for name in tested for n in component_of[name]} & trained, case.collection.params.salt
        n_tests += len(tested)
    assert n_tests > N_CORPORA


def test_order_and_growth_move_nobody(collections: list[Case]) -> None:
    """Corpora, rows and columns in another order, and in every second collection unlinked persons beside."""
    columns = ["identity", "split", "fold", "reason", "keys", "recordings", "signals"]
    for number, case in enumerate(collections):
        rng = random.Random(number)
        collection = case.collection
        more = [] if number % 2 else [r for corpus in ("one", "hbn", "new") for r in _newcomers(rng, corpus)]
        again = split_persons(tables([*collection.recordings, *more], rng), ROLES, collection.params)
        if not more:
            pd.testing.assert_frame_equal(again, case.splits)
            assert splits_sha256(again) == splits_sha256(case.splits)
            continue
        old = again.set_index("person").loc[case.splits["person"]]
        for column in columns[1:2] if isinstance(collection.params.folds, str) else columns:
            assert old[column].tolist() == case.splits[column].tolist(), collection.params.salt


def _newcomers(rng: random.Random, corpus: str) -> list[Recording]:
    """Persons whom nobody knows, in a corpus that may be new."""
    subjects = [f"ndarzz{k:06d}" if corpus == "hbn" else f"zz{k}" for k in range(3)]
    return [
        Recording(
            f"{corpus}:new{k}", corpus, subject, subject, "", "R1" if corpus == "hbn" else "", [_hash(rng)], False
        )
        for k, subject in enumerate(subjects)
    ]


def test_a_planted_leak_is_always_caught(collections: list[Case]) -> None:
    """One row of the mixture is changed by hand, so that a window of a held-out person gets in or a person moves."""
    caught: Counter[str] = Counter()
    for number, case in enumerate(collections):
        rng, table, mixture = random.Random(number), SplitTable(case.splits), mixture_of(case.splits)
        table.check_training(mixture)
        kept_out = case.splits[case.splits["split"].isin(HELD_OUT)].sample(1, random_state=number).iloc[0]
        leaks = {
            "split": {"split": "validation"},
            "recording": {"recording_id": kept_out["recordings"][0]},
            "row": {
                "recording_id": kept_out["recordings"][0],
                "person": kept_out["person"],
                "identity": kept_out["identity"],
            },
            "name": {"person": kept_out["person"]},
        }
        kind = rng.choice(sorted(leaks))
        trained = np.flatnonzero(mixture["split"] == "train")
        leaky = mixture.copy()
        for column, value in leaks[kind].items():
            leaky.iloc[rng.choice(trained.tolist()), leaky.columns.get_loc(column)] = value
            if kind == "row":
                leaky = pd.concat([mixture, pd.DataFrame([{**mixture.iloc[0], **leaks[kind]}])], ignore_index=True)
        with pytest.raises(SplitError, match=r"persons|recordings"):
            table.check_training(leaky)
        caught[kind] += 1
    assert min(caught.values()) > len(collections) / 8
    assert len(caught) == 4


def test_windows_of_trained_persons_are_never_tested(collections: list[Case]) -> None:
    for case in collections[::5]:
        table = SplitTable(case.splits)
        rows = case.splits.explode("recordings").rename(columns={"recordings": "recording_id"})
        table.check_test(rows.loc[rows["split"] == "test", ["recording_id", "person"]])
        leak = rows.loc[rows["split"] == "train", ["recording_id", "person"]].head(1)
        with pytest.raises(SplitError, match="would be tested on, but are in split train"):
            table.check_test(leak)


def test_a_checkpoint_is_known_by_every_other_collection(collections: list[Case]) -> None:
    """Another run that holds the same persons, or copies of their signals under new names, finds them all."""
    n_known = 0
    for case in collections[::5]:
        trained = mixture_of(case.splits)["recording_id"]
        seen = SplitTable(case.splits).seen(trained)
        key_of = case.keys
        keys = {key_of[name] for name in trained}
        renamed = [r._replace(subject=f"renamed{r.name[-3:]}", family="") for r in case.collection.recordings]
        for recordings in (case.collection.recordings, renamed):
            other = split_persons(tables(recordings), Roles(pretrain=["one"]), SplitParams(validation_ratio=0))
            hashes = {r.name: r.hashes for r in recordings}
            met = SplitTable(other).met(hashes, seen, hashes)
            rows = zip(other["identity"], other["recordings"], strict=True)
            known = {name for identity, names in rows if identity in met.persons for name in names}
            assert known >= {name for name in hashes if key_of[name] in keys}
            n_known += len(known)
    assert n_known > N_CORPORA

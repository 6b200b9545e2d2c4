"""The official protocol: parts as published, and who is in several of them."""

import logging
from collections.abc import Mapping

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eegfm.errors import SplitError
from eegfm.splits.config import Roles, SplitParams
from eegfm.splits.splits import split_persons
from person_tables import letters, people

PARAMS = SplitParams(protocol="official", validation_ratio=0.3, folds=2)
HBN_IDS = [f"NDARAA{k:06d}" for k in range(60)]


def tuh(corpus: str, parts: Mapping[int, str], family: str = "") -> pd.DataFrame:
    """A recording of each numbered person in an official part."""
    subjects = [letters(k) for k in parts]
    return people(corpus, subjects, family=family or corpus, official_split=list(parts.values()))


def parts_of(tables: dict[str, pd.DataFrame], roles: Roles, **changes: object) -> dict[str, str]:
    splits = split_persons(tables, roles, PARAMS.model_copy(update=changes))
    return dict(zip(splits["person"], splits["split"], strict=True))


@pytest.mark.parametrize("pretrain", [[], ["tuab"]])
def test_eval_is_tested_and_a_hash_draws_validation_from_train(pretrain: list[str]) -> None:
    official = {k: "eval" if k < 40 else "train" for k in range(240)}
    splits = split_persons({"tuab": tuh("tuab", official)}, Roles(pretrain=pretrain, probe=["tuab"]), PARAMS)
    found = dict(zip(splits["person"], splits["split"], strict=True))
    assert {k for k in official if found[f"tuab:{letters(k)}"] == "test"} == set(range(40))
    n_validation = sum(split == "validation" for split in found.values())
    assert 40 <= n_validation <= 80
    assert n_validation + sum(split == "train" for split in found.values()) == 200
    reasons = {split: set(rows["reason"]) for split, rows in splits.groupby("split")}
    drawn = {"official training part tuab train; stable hash, validation_ratio 0.3"}
    assert reasons == {"test": {"official test set tuab eval"}, "train": drawn, "validation": drawn}


def test_dev_of_tusz_is_its_validation() -> None:
    official = {k: ("eval", "dev", "train")[k % 3] for k in range(60)}
    tables = {"tusz": tuh("tusz", official)}
    for roles in (Roles(pretrain=[], probe=["tusz"]), Roles(pretrain=["tusz"], probe=["tusz"])):
        found = parts_of(tables, roles)
        named = {"eval": "test", "dev": "validation", "train": "train"}
        assert found == {f"tusz:{letters(k)}": named[part] for k, part in official.items()}
        assert parts_of(tables, roles, test_sets={"tusz": ("eval",)}) == found


def test_release_5_of_hbn_and_a_part_of_an_own_corpus() -> None:
    releases = [f"R{1 + k % 11}" for k in range(60)]
    hbn = people("hbn", HBN_IDS, official_split=releases)
    found = parts_of({"hbn": hbn}, Roles(pretrain=[], probe=["hbn"]))
    tested = {name for name, release in zip(hbn["person"], releases, strict=True) if release == "R5"}
    assert {name for name, split in found.items() if split == "test"} == tested
    own = people("own", [str(k) for k in range(60)], official_split=["held" if k % 4 else "rest" for k in range(60)])
    found = parts_of({"own": own}, Roles(pretrain=[], probe=["own"]), test_sets={"own": ("held",)})
    assert sum(split == "test" for split in found.values()) == 45


PEOPLE = st.dictionaries(
    st.integers(0, 30), st.lists(st.sampled_from(["train", "dev", "eval"]), min_size=1, max_size=3), min_size=3
)


@given(tusz=PEOPLE, tuab=PEOPLE, tueg=st.sets(st.integers(0, 40)))
@settings(max_examples=40, deadline=None)
def test_equals_a_loop_over_persons(tusz: dict[int, list[str]], tuab: dict[int, list[str]], tueg: set[int]) -> None:
    """TUSZ is probed, TUAB is at hand and in no role, TUEG is pretrained on; they share persons."""
    tusz = {**tusz, 100: ["train"], 101: ["dev"], 102: ["eval"], 103: ["eval"]}
    rows = {"tusz": [(k, part) for k, own in tusz.items() for part in own]}
    rows["tuab"] = [(k, "eval" if part == "eval" else "train") for k, own in tuab.items() for part in own]
    rows["tueg"] = [(k, "") for k in [*tueg, *range(200, 230)]]
    tables = {
        name: people(name, [letters(k) for k, _ in own], family=name, official_split=[part for _, part in own])
        for name, own in rows.items()
    }
    found = parts_of(tables, Roles(pretrain=["tueg"], probe=["tusz"]))
    for corpus, own in rows.items():
        for k, _ in own:
            split = found[f"{corpus}:{letters(k)}"]
            is_elsewhere = "eval" in tuab.get(k, [])
            if k in tusz:
                kinds = set(tusz[k])
                if "eval" in kinds:
                    assert split == "test"
                elif "dev" in kinds:
                    assert split == "validation"
                else:
                    assert split == ("excluded" if is_elsewhere else "train")
            elif is_elsewhere or k not in {n for n, _ in rows["tueg"]}:
                assert split == "excluded"
            else:
                assert split in ("train", "validation")


def test_persons_of_several_parts_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    rows = [*((k, "train") for k in range(30)), *((k, "eval") for k in range(25, 35))]
    table = people("tuab", [letters(k) for k, _ in rows], family="tuab", official_split=[part for _, part in rows])
    found = parts_of({"tuab": table}, Roles(pretrain=[], probe=["tuab"]))
    assert {k for k in range(35) if found[f"tuab:{letters(k)}"] == "test"} == set(range(25, 35))
    assert "Official split of tuab, persons: train 25, validation 0, test 10" in caplog.text
    assert "tuab: 5 persons have recordings in several official parts; all their recordings are tested" in caplog.text


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (people("tuar", ["aaaaaaab"], family="tuar"),
         r"corpus tuar has no registered test part \(its recordings have no official split\); set split.protocol="
         r"persons, or name its test part in split.test_sets=\{tuar: \[...\]\}"),
        (tuh("tuab", {1: "train", 2: "train"}),
         r"corpus tuab has no person of its test part \(eval\); its recordings have train \(2 persons\); add these"),
        (tuh("tuab", {1: "eval"}), r"has no person of its training part; its recordings have eval \(1 persons\)"),
        (tuh("tusz", {1: "train", 2: "dev"}), r"has no person of its test part \(dev, eval\); its recordings have"),
    ],
)  # fmt: skip
def test_a_corpus_without_parts_is_refused(table: pd.DataFrame, message: str) -> None:
    corpus = str(table["corpus"].iloc[0])
    with pytest.raises(SplitError, match=r"^split\.protocol official: .*" + message):
        parts_of({corpus: table}, Roles(pretrain=[], probe=[corpus]))


def test_folds_stay_among_the_tested() -> None:
    official = {k: "eval" if k < 40 else "train" for k in range(90)}
    splits = split_persons({"tuab": tuh("tuab", official)}, Roles(pretrain=[], probe=["tuab"]), PARAMS)
    assert set(splits.loc[splits["split"] == "test", "fold"]) == {0, 1}
    assert set(splits.loc[splits["split"] != "test", "fold"]) == {-1}

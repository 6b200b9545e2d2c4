import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from eegfm.errors import ConfigError, SplitError
from eegfm.io.table import TableDataset
from eegfm.mixture.config import MixtureParams
from eegfm.mixture.table import drawn_rows, mix_windows, mixture_sha256
from eegfm.windows.runs import COLUMNS

NEW = ["identity", "split", "weight", "drawn_by", "max_windows_per_person", "is_rounded", "mix_cut"]
SPLIT_OF = {"p0": "train", "p1": "train", "p2": "validation", "p3": "test", "p4": "excluded"}


def _windows(corpus, persons=tuple(SPLIT_OF), cut="pretrain", n_windows=(2, 3), n_samples=400):
    """Two runs per person, by default of two and of three windows."""
    rows = [
        (f"{corpus}:{p}:r", corpus, "2ch", f"{corpus}:{p}", cut, start, n)
        for p in persons
        for start, n in zip((0, 4000), n_windows, strict=True)
    ]
    columns = ["recording_id", "corpus", "montage", "person", "cut", "start", "n_windows"]
    table = pd.DataFrame(rows, columns=columns).assign(segment=0, n_samples=n_samples, stride=n_samples, moment=-1)
    return table.assign(label=None, target=float("nan"), targets=None)[list(COLUMNS)].astype(COLUMNS)


def _splits(*corpora, split_of=SPLIT_OF):
    rows = [(f"{c}:{p}", c, f"{c}/{p}", split, -1, "") for c in corpora for p, split in split_of.items()]
    table = pd.DataFrame(rows, columns=["person", "corpus", "identity", "split", "fold", "reason"])
    return table.assign(fold=(table["split"] == "test").astype("int64") - 1)


def _weights(mixture):
    assert (mixture.groupby("corpus")["weight"].nunique() == 1).all()
    return mixture.groupby("corpus")["weight"].first().to_dict()


def test_only_trained_persons_and_the_named_cut():
    windows = {
        "hbn": pd.concat([_windows("hbn"), _windows("hbn", cut="eyes")]),
        "tuh": _windows("tuh").sample(frac=1, random_state=0),
    }
    mixture = mix_windows(windows, _splits("hbn", "tuh"), MixtureParams())
    assert set(mixture["cut"]) == {"pretrain"}
    assert set(mixture["person"]) == {f"{c}:p{k}" for c in ("hbn", "tuh") for k in range(3)}
    assert _weights(mixture) == {"hbn": 0.7, "tuh": 0.3}
    assert mixture.set_index("person")["split"].to_dict() == {
        f"{c}:{p}": SPLIT_OF[p] for c in ("hbn", "tuh") for p in ("p0", "p1", "p2")
    }


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 1000))
def test_order_of_rows_changes_nothing(seed):
    windows = {"tuh": _windows("tuh"), "hbn": _windows("hbn")}
    shuffled = {c: table.sample(frac=1, random_state=seed) for c, table in reversed(windows.items())}
    one = mix_windows(windows, _splits("hbn", "tuh"), MixtureParams())
    two = mix_windows(shuffled, _splits("tuh", "hbn").sample(frac=1, random_state=seed), MixtureParams())
    pd.testing.assert_frame_equal(one, two)
    assert mixture_sha256(one) == mixture_sha256(two)
    for change in (
        {"start": one["start"] + 1},
        {"n_windows": one["n_windows"] + 1},
        {"stride": 7},
        {"identity": "a"},
        {"split": "train"},
        {"weight": 0.5},
        {"drawn_by": "persons"},
        {"max_windows_per_person": 3},
        {"is_rounded": True},
    ):
        assert mixture_sha256(one) != mixture_sha256(one.assign(**change)), change


def test_the_fingerprint_covers_what_is_known_of_windows(tmp_path):
    """The same windows with other labels are another mixture; how a table was stored makes no difference."""
    plain = mix_windows({"hbn": _windows("hbn")}, _splits("hbn"), MixtureParams())
    n = len(plain)
    outputs = [np.float32([k % 2, 1]) for k in range(n)]
    tables = [
        plain,
        plain.assign(label=["a", "b"] * (n // 2)),
        plain.assign(label=["b", "a"] * (n // 2)),
        plain.assign(label=["a", "c"] * (n // 2)),
        plain.assign(label=["a", None] * (n // 2)),
        plain.assign(target=np.arange(n) / 10),
        plain.assign(target=np.arange(n) / 10 + 0.5),
        plain.assign(targets=outputs),
        plain.assign(targets=[np.float32([k % 2, 1 if k else np.nan]) for k in range(n)]),
        plain.assign(targets=[*outputs[1:], None]),
        plain.assign(moment=0),
        plain.assign(segment=1),
    ]
    assert len({mixture_sha256(table) for table in tables}) == len(tables)
    for table in tables:
        dataset = TableDataset(filepath=str(tmp_path / "mixture.parquet"))
        dataset.save(table)
        assert mixture_sha256(dataset.load()) == mixture_sha256(table)


def test_the_mixture_keeps_what_is_known_of_windows():
    windows = _windows("hbn").assign(label=["a", "b"] * 5, target=np.arange(10.0))
    mixture = mix_windows({"hbn": windows.sample(frac=1, random_state=0)}, _splits("hbn"), MixtureParams())
    columns = ["recording_id", "start", "label", "target"]
    expected = windows[windows["person"].isin(mixture["person"])]
    assert mixture[columns].to_numpy().tolist() == expected[columns].to_numpy().tolist()


def test_absent_corpus_is_left_out_and_said(caplog):
    mixture = mix_windows({"hbn": _windows("hbn")}, _splits("hbn"), MixtureParams())
    assert _weights(mixture) == {"hbn": 1.0}
    assert "not part of this run: tuh" in caplog.text
    assert "hbn 1" in caplog.text


def test_corpus_without_weight_is_refused():
    windows = {"hbn": _windows("hbn"), "other": _windows("other")}
    with pytest.raises(ConfigError, match=r"no weight for corpus other; weights are given for \['hbn', 'tuh'\]"):
        mix_windows(windows, _splits("hbn", "other"), MixtureParams())


def test_corpus_that_is_only_tested_on_needs_no_weight():
    windows = {"hbn": _windows("hbn"), "probed": _windows("probed", ["p3"])}
    mixture = mix_windows(windows, _splits("hbn", "probed"), MixtureParams(weights={"hbn": 1}))
    assert set(mixture["corpus"]) == {"hbn"}


def test_runs_keep_their_columns_and_gain_what_says_how_they_are_drawn():
    mixture = mix_windows({"hbn": _windows("hbn")}, _splits("hbn"), MixtureParams())
    assert list(mixture) == [*COLUMNS, *NEW]
    assert {name: str(dtype) for name, dtype in mixture[list(COLUMNS)].dtypes.items()} == COLUMNS
    assert mixture["n_windows"].tolist() == [2, 3] * 3
    assert mixture["identity"].tolist() == [f"hbn/p{k}" for k in (0, 0, 1, 1, 2, 2)]
    assert mixture[NEW[3:]].drop_duplicates().to_numpy().tolist() == [["windows", 0, False, "pretrain"]]
    told = MixtureParams(weights="by_size", by="persons", max_windows_per_person=3)
    mixture = mix_windows({"hbn": _windows("hbn")}, _splits("hbn"), told)
    assert mixture[NEW[3:]].drop_duplicates().to_numpy().tolist() == [["persons", 3, True, "pretrain"]]


def test_shares_of_hours_are_larger_shares_of_shorter_windows():
    windows = {"hbn": _windows("hbn", n_samples=400), "tuh": _windows("tuh", n_samples=1000)}
    mixture = mix_windows(windows, _splits("hbn", "tuh"), MixtureParams(by="hours"))
    assert _weights(mixture) == {"hbn": pytest.approx(35 / 41), "tuh": pytest.approx(6 / 41)}
    assert set(mixture["drawn_by"]) == {"windows"}
    windows["tuh"] = pd.concat([windows["tuh"], _windows("tuh", ["p0"], n_samples=600)])
    with pytest.raises(ConfigError, match=r"mix\.by: hours .* corpus tuh, whose windows are of 600, 1000 samples"):
        mix_windows(windows, _splits("hbn", "tuh"), MixtureParams(by="hours"))
    mix_windows(windows, _splits("hbn", "tuh"), MixtureParams(by="windows"))


def _plain_shares(windows, by, temperature, limit):
    """Sizes of p0 and p1, who are trained on, one window at a time."""
    sizes = {}
    for corpus, table in windows.items():
        size = 0
        for person in ("p0", "p1"):
            n = sum(row.n_windows for row in table.itertuples() if row.person == f"{corpus}:{person}")
            n = n if limit is None else min(n, limit)
            size += {"windows": n, "hours": n * int(table["n_samples"].iloc[0]), "persons": int(n > 0)}[by]
        sizes[corpus] = size ** (1 / temperature)
        if by == "hours":
            sizes[corpus] /= int(table["n_samples"].iloc[0])
    return {corpus: size / sum(sizes.values()) for corpus, size in sizes.items()}


@pytest.mark.parametrize("by", ["windows", "hours", "persons"])
@pytest.mark.parametrize("temperature", [0.5, 1, 3])
@pytest.mark.parametrize("limit", [None, 12])
def test_shares_by_size_against_a_plain_loop(by, temperature, limit):
    windows = {
        "hbn": _windows("hbn", n_windows=(60, 7)),
        "tuh": pd.concat(
            [_windows("tuh", ["p0"], n_windows=(1, 3), n_samples=1000), _windows("tuh", ["p2"], n_samples=1000)]
        ),
        "eegmat": _windows("eegmat", n_windows=(4, 9), n_samples=200),
    }
    params = MixtureParams(weights="by_size", by=by, temperature=temperature, max_windows_per_person=limit)
    mixture = mix_windows(windows, _splits("hbn", "tuh", "eegmat"), params)
    assert _weights(mixture) == pytest.approx(_plain_shares(windows, by, temperature, limit))


def test_persons_are_counted_by_identity():
    """Two names of one person share one limit and count as one person."""
    splits = _splits("hbn", "tuh")
    splits.loc[splits["person"].isin(["hbn:p0", "hbn:p1"]), "identity"] = "hbn/both"
    windows = {"hbn": _windows("hbn"), "tuh": _windows("tuh")}
    mixture = mix_windows(windows, splits, MixtureParams(weights="by_size", by="persons"))
    assert _weights(mixture) == pytest.approx({"hbn": 1 / 3, "tuh": 2 / 3})
    mixture = mix_windows(windows, splits, MixtureParams(weights="by_size", max_windows_per_person=4))
    assert _weights(mixture) == pytest.approx({"hbn": 1 / 3, "tuh": 2 / 3})


def test_temperature_without_sizes_is_refused():
    with pytest.raises(ValidationError, match="temperature 2 has no effect on given weights; say weights: by_size"):
        MixtureParams(temperature=2)
    with pytest.raises(ValidationError, match="Input should be 'by_size'"):
        MixtureParams(weights="by_sze")
    with pytest.raises(ValidationError, match=r"hbn\s+Input should be greater than 0"):
        MixtureParams(weights={"hbn": 0})


def test_shares_are_said(caplog):
    with caplog.at_level("INFO", "eegfm"):
        mix_windows({"hbn": _windows("hbn"), "tuh": _windows("tuh")}, _splits("hbn", "tuh"), MixtureParams())
    assert "Mixture by windows, as shares of windows: hbn 0.7, tuh 0.3" in caplog.text
    assert "not part" not in caplog.text


def test_empty_split_says_the_counts():
    with pytest.raises(
        SplitError, match=r"split validation .*hbn train: 2 recordings, 10 windows, 0\.0111 hours, 2 persons"
    ):
        mix_windows({"hbn": _windows("hbn", ["p0", "p1"])}, _splits("hbn"), MixtureParams(), rate_hz=100)
    two = {"hbn": _windows("hbn"), "tuh": _windows("tuh", ["p2"])}
    for params in (MixtureParams(), MixtureParams(weights="by_size")):
        with pytest.raises(
            SplitError, match=r"corpus tuh .*tuh validation: 1 recordings, 5 windows, 2000 samples, 1 persons"
        ):
            mix_windows(two, _splits("hbn", "tuh"), params)
    with pytest.raises(SplitError, match="no window of cut 'movies'"):
        mix_windows({"hbn": _windows("hbn")}, _splits("hbn"), MixtureParams(cut="movies"))


def test_person_in_two_splits_is_refused():
    splits = pd.concat(
        [
            _splits("hbn"),
            _splits("hbn", split_of={"p3": "train"}),
        ]
    )
    with pytest.raises(SplitError, match="hbn:p3"):
        mix_windows({"hbn": _windows("hbn")}, splits, MixtureParams(weights={"hbn": 1}))


def test_person_without_split_is_refused():
    with pytest.raises(SplitError, match=r"hbn: 1 persons have windows but no split \(first: hbn:new\)"):
        mix_windows({"hbn": _windows("hbn", ["p0", "new"])}, _splits("hbn"), MixtureParams())


def test_further_cuts_stand_behind_the_first_and_leave_it_as_it_is():
    hbn = pd.concat([_windows("hbn"), _windows("hbn", cut="movies"), _windows("hbn", cut="eyes")])
    windows = {"hbn": hbn.sample(frac=1, random_state=0), "tuh": _windows("tuh")}
    splits = _splits("hbn", "tuh")
    alone = mix_windows(windows, splits, MixtureParams())
    mixture = mix_windows(windows, splits, MixtureParams(cuts=["movies"]))
    assert mixture["cut"].tolist() == ["pretrain"] * len(alone) + ["movies"] * 6
    pd.testing.assert_frame_equal(mixture[: len(alone)], alone)
    movies = mixture[len(alone) :]
    assert set(movies["corpus"]) == {"hbn"}
    assert set(movies["split"]) == {"train", "validation"}
    assert movies["weight"].tolist() == [0.7] * 6
    assert mixture.dtypes.equals(alone.dtypes)
    first, further = drawn_rows(mixture, [None]), drawn_rows(mixture, ["movies"])
    assert mixture_sha256(first) == mixture_sha256(alone)
    pd.testing.assert_frame_equal(further, movies)
    assert len(drawn_rows(mixture, [None, "movies"])) == len(mixture)
    with pytest.raises(ConfigError, match=r"cut 'eyes', but the mixture holds movies, pretrain; add eyes to mix\.cuts"):
        drawn_rows(mixture, [None, "eyes"])
    with pytest.raises(ConfigError, match="the mixture says cut movies, pretrain, one is allowed"):
        drawn_rows(mixture.drop(columns="mix_cut"), [None])


def test_sizes_are_those_of_the_first_cut():
    windows = {"hbn": pd.concat([_windows("hbn"), _windows("hbn", cut="movies", n_windows=(90, 90))])}
    windows["tuh"] = _windows("tuh", n_windows=(7, 8))
    params = MixtureParams(weights="by_size", cuts=["movies"])
    assert _weights(mix_windows(windows, _splits("hbn", "tuh"), params)) == {"hbn": 0.25, "tuh": 0.75}


def test_further_cuts_that_are_nowhere_or_twice():
    windows = {"hbn": _windows("hbn")}
    with pytest.raises(SplitError, match=r"no window of cut 'movies' to train on in \['hbn'\]"):
        mix_windows(windows, _splits("hbn"), MixtureParams(cuts=["movies"]))
    with pytest.raises(ValidationError, match="cut pretrain is listed twice"):
        MixtureParams(cuts=["pretrain"])
    further = pd.concat([_windows("hbn"), _windows("hbn", ["new"], cut="movies")])
    with pytest.raises(SplitError, match="hbn: 1 persons have windows but no split"):
        mix_windows({"hbn": further}, _splits("hbn"), MixtureParams(cuts=["movies"]))

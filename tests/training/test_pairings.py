"""The menu of pairs: what it accepts and what it refuses, by name, by list and by corpus."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from eegfm.errors import ConfigError
from eegfm.mixture.shares import batch_counts, rounded_weights
from eegfm.training.config import PretrainParams
from eegfm.training.pairings import (
    PairConfig,
    ViewPairs,
    WithinRecordingPairs,
    by_corpus,
    multiples,
    pairing_named,
    refuse_few_pairs,
)


def kind(**values: Any) -> PairConfig:
    pairing: PairConfig = TypeAdapter(PairConfig).validate_python(values)
    return pairing


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"name": "movie"}, "movie_moment"),
        ({"name": "condition", "across": "subjects"}, "persons"),
        ({"name": "time_neighbours"}, "max_gap_s"),
        ({"name": "time_neighbours", "max_gap_s": 0}, "greater than 0"),
        ({"name": "time_neighbours", "max_gap_s": float("inf")}, "finite"),
        ({"name": "movie_moment", "bins": 3}, "bins"),
        ({"name": "within_recording", "gap_s": [3, 2]}, "the least gap and then the largest"),
        ({"name": "within_recording", "moments": 1}, "greater than or equal to 2"),
        ({"name": "within_recording", "max_spread": 1}, "greater than 1"),
    ],
)
def test_what_is_not_on_the_menu_is_refused(values: dict[str, Any], word: str) -> None:
    with pytest.raises(ValidationError, match=word):
        kind(**values)


def test_pairs_for_all_corpora_or_by_corpus() -> None:
    def given(pairs: Any) -> Any:
        return PretrainParams(n_steps=1, objective={"name": "contrastive"}, pairs=pairs).chosen_pairs

    views, within = ViewPairs(), WithinRecordingPairs(moments=4)
    assert given({"name": "views"}) == given([{"name": "views"}]) == given(views) == (views,)
    listed = {"hbn": [{"name": "views"}, {"name": "within_recording", "moments": 4}], "tuh": {"name": "views"}}
    assert given(listed) == {"hbn": (views, within), "tuh": (views,)}
    assert PretrainParams(n_steps=1).chosen_pairs is None
    assert given(None) == (views,), "the objective's own"
    params = PretrainParams(n_steps=1, objective={"name": "contrastive"}, pairs=listed)
    assert PretrainParams.model_validate(params.model_dump(mode="json")) == params
    assert params.identity()["pairs"]["hbn"][1]["moments"] == 4
    with pytest.raises(ValidationError, match=r"of hbn, tuh; to replace those of a file, give a list: \[\{name: views"):
        given({**listed, "name": "views"})
    for wrong in ([], {}, {"hbn": []}, {"hbn": {"moments": 4}}, {"name": "views", "hbn": {"name": "views"}}):
        with pytest.raises(ValidationError):
            given(wrong)


def test_pairings_of_each_corpus() -> None:
    views, within = ViewPairs(), WithinRecordingPairs(moments=6)
    assert by_corpus((views,), ["tuh", "hbn"]) == {"hbn": (views,), "tuh": (views,)}
    both = {"hbn": (views, within), "tuh": (views,)}
    assert by_corpus(both, ["tuh", "hbn"]) == both
    assert multiples(both, 1) == {"hbn": 12, "tuh": 2}
    assert multiples(both, 4) == {"hbn": 24, "tuh": 8}
    with pytest.raises(ConfigError, match=r"pairs\.tuh is missing"):
        by_corpus({"hbn": (views,)}, ["tuh", "hbn"])
    assert by_corpus(both, ["hbn"]) == {"hbn": (views, within)}, "a corpus that is not trained on may have pairs"


def test_a_pairing_by_its_name_alone() -> None:
    assert pairing_named("views") == ViewPairs()
    assert pairing_named("within_recording") == WithinRecordingPairs()
    with pytest.raises(ConfigError, match=r"'time_neighbours' cannot be chosen by its name alone .*max_gap_s"):
        pairing_named("time_neighbours")
    with pytest.raises(ConfigError, match="'movies' cannot be chosen"):
        pairing_named("movies")


def test_cuts_by_default() -> None:
    assert {name: pairing_named(name).cut for name in ("movie_moment", "condition", "views", "within_recording")} == {
        "movie_moment": "movies", "condition": "eyes", "views": None, "within_recording": None,
    }  # fmt: skip


def test_every_pairing_is_built() -> None:
    options = {"time_neighbours": {"max_gap_s": 2.0}}
    for name in ("movie_moment", "condition", "time_neighbours", "views", "within_recording"):
        config = kind(name=name, **options.get(name, {}))
        assert config.build().config is config


def test_the_smallest_batch_with_enough_pairs_of_every_corpus_is_named() -> None:
    """The corpora keep their shares, given or rounded: b has 2 of 8 windows, and 2.55 of 51 pairs are 3."""
    given, by_size = {"a": 0.75, "b": 0.25}, {"a": 0.95, "b": 0.05}

    def rounded(size: int) -> dict[str, int]:
        return batch_counts(rounded_weights(by_size, size, multiple=2), size)

    def exact(size: int) -> dict[str, int]:
        return batch_counts(given, size, multiples={"a": 2, "b": 2})

    for counts_of, size, enough in ((exact, 8, 24), (rounded, 8, 102)):
        with pytest.raises(ConfigError, match=rf"corpus b 2 windows .* fewer than 6 \(3 .* that works is {enough}$"):
            refuse_few_pairs("isc", 3, size, counts_of)
        assert min(counts_of(enough).values()) == 6
        refuse_few_pairs("isc", 3, enough, counts_of)
        refuse_few_pairs("isc", 1, size, counts_of)

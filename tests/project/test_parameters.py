"""Every parameter is checked before a run, whoever uses it; messages name key, value and what is allowed."""

import copy
import re
from typing import Any

import pytest
import yaml

from eegfm.errors import ConfigError
from eegfm.jobs.acquire.config import AcquireParams, FolderSource
from eegfm.project.config_loader import ConfigLoader, merged
from eegfm.project.corpus_params import CorpusParams
from eegfm.project.parameters import SHARED_PARAMETERS, check_parameters, parameter_identities, with_defaults
from eegfm.project.phase_blocks import checked_phases, without_unlisted
from eegfm.settings import CONFIG_LOADER_ARGS
from eegfm.splits.config import Roles
from kedro_project import PROJECT_ROOT

BASE = PROJECT_ROOT / "conf" / "base"
EXPERIMENTS = PROJECT_ROOT / "conf" / "experiments"


def in_the_files() -> dict[str, Any]:
    """The parameters of conf/base."""
    found: dict[str, Any] = {}
    for path in sorted(BASE.glob("parameters*.yml")):
        found |= yaml.safe_load(path.read_text())
    return found


@pytest.fixture
def parameters() -> dict[str, Any]:
    """Those of conf/base with the first of its phases."""
    one = {"phases": ["pretrain"]}
    return without_unlisted(in_the_files(), one) | one


@pytest.mark.parametrize("experiment", sorted(p.name for p in EXPERIMENTS.iterdir()))
def test_every_experiment_is_valid(experiment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for root in re.findall(r"\$\{env:(\w+)\}", (EXPERIMENTS / experiment / "globals.yml").read_text()):
        monkeypatch.setenv(root, "/recordings")
    found = ConfigLoader(str(BASE.parent), f"experiments/{experiment}", **CONFIG_LOADER_ARGS)["parameters"]
    assert check_parameters(found).pretrain


def put(parameters: dict[str, Any], key: str, value: object) -> dict[str, Any]:
    changed = copy.deepcopy(parameters)
    *path, last = key.split(".")
    place = changed
    for part in path:
        place = place.setdefault(part, {})
    place[last] = value
    return changed


def message(parameters: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as info:
        check_parameters(parameters)
    assert "\n" not in str(info.value)
    return str(info.value)


def test_roles_of_the_embedded_default(parameters: dict[str, Any]) -> None:
    assert check_parameters(parameters) == Roles(pretrain=["tuh", "hbn"], probe=["hbn"])
    assert check_parameters(parameters | {"data": "/elsewhere"})


def test_shared_parameters_may_be_left_to_their_defaults(parameters: dict[str, Any]) -> None:
    kept = {key: value for key, value in parameters.items() if key not in ("signal", "split", "report")}
    assert check_parameters(kept)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        (
            "pretrian.x",
            1,
            "unknown parameter 'pretrian'; known: corpora, data, export, finetune, hbn, import, mix, model, phases, "
            "pretrain, probe, report, signal, split, tokenizer, tuh; did you mean pretrain? "
            "(a corpus needs at least the keys ingest and window)",
        ),
        (
            "signal.rate",
            1,
            "parameter signal.rate is not known; known: high_hz, low_hz, max_bad_ratio, min_channels, "
            "min_duration_s, notch_hz, rate_hz; did you mean rate_hz?",
        ),
        (
            "tuh.ingst",
            {},
            "parameter tuh.ingst is not known; known: acquire, ingest, window; did you mean ingest?",
        ),
        (
            "hbn.acquire.source.n_subject",
            3,
            "parameter hbn.acquire.source.n_subject is not known; known: ccd_s, effects, file_format, male_ratio, "
            "missing_ratio, movie_s, movies, n_ccd_runs, n_subjects, name, resting_s, seed; did you mean n_subjects?",
        ),
        (
            "hbn.window.cuts.eyes.lenght_s",
            3,
            "parameter hbn.window.cuts.eyes.lenght_s is not known; known: closed, length_s, name, open, "
            "stride_s; did you mean length_s?",
        ),
        (
            "tuh.ingest.corpus.name",
            "tuhh",
            "parameter tuh.ingest.corpus.name: 'tuhh' is not known; known: tuh, hbn, bids, edf_folder; "
            "did you mean tuh?",
        ),
        (
            "probe.n_untrained",
            0,
            "parameter probe.n_untrained: Input should be greater than or equal to 1 (found 0)",
        ),
        (
            "signal.rate_hz",
            "x" * 200,
            "parameter signal.rate_hz: Input should be a valid number, unable to parse string as a number "
            "(found '" + "x" * 79 + "…)",
        ),
        (
            "split.linked_corpora",
            [["tuh", "hbnn"]],
            "parameter split.linked_corpora names 'hbnn', no corpus; known: hbn, tuab, tuar, tueg, tuep, tuev, tuh, "
            "tusl, tusz; did you mean hbn?",
        ),
        (
            "hbn.window.cuts.eyes.open",
            {"values": ["instructed_toCloseEyes"], "span_s": 14},
            "parameter hbn.window.cuts.eyes: event value instructed_toCloseEyes is listed twice; list it once",
        ),
        ("mix.weights.tuh", -1, "parameter mix.weights.tuh: Input should be greater than 0 (found -1)"),
        (
            "tuh.window.cuts.pretrain",
            {"name": "fixed", "length_s": 4},
            "parameter tuh.window.cuts.pretrain.stride_s is missing",
        ),
        (
            "signal.high_hz",
            60,
            "parameter signal: low_hz=0.5, high_hz=60, rate_hz=100: low_hz < high_hz < rate_hz / 2 must hold; "
            "lower high_hz or raise rate_hz",
        ),
        ("corpora.probe", ["bhn"], "corpora: 'bhn' has no parameters; there are hbn, tuh"),
        ("corpora.probe", "hbn", "parameter corpora.probe: must be a list, such as [hbn] (found 'hbn')"),
        ("probe.tasks", "eyes", "parameter probe.tasks: must be a list, such as [eyes] (found 'eyes')"),
        (
            "probe.task",
            "eyes",
            "parameter probe.task is not known; known: accelerator, accept_other_code, accept_other_data, "
            "allow_pretrained_persons, batch_size, distance, evaluation, inner_folds, label_ratios, lambdas, layers, "
            "method, n_bootstrap, n_untrained, neighbours, pooling, precision, seed, tasks, training, transductive, "
            "untrained_seed, verify; did you mean tasks?",
        ),
    ],
)
def test_messages(parameters: dict[str, Any], key: str, value: object, expected: str) -> None:
    assert message(put(parameters, key, value)) == expected


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("mix.weights.bhn", 0.1, "parameter mix.weights.bhn names no corpus; known: hbn, tuh; did you mean hbn?"),
        ("mix.weights", {"hbn": 1}, "parameter mix.weights.tuh is missing; corpora.pretrain names that corpus"),
        (
            "probe.tasks",
            ["eye"],
            "parameter probe.tasks: hbn.window.cuts has no 'eye'; known: age, eyes, moments, movies, pretrain",
        ),
        (
            "probe.tasks",
            ["eyes", {"name": "x", "cut": "pretrain"}],
            "parameter probe.tasks: hbn.window.cuts.pretrain is unlabelled; a probe needs windows with a class or a "
            "number each",
        ),
        (
            "probe.tasks",
            ["eyes", {"name": "age", "method": "logistic"}],
            "parameter probe.tasks: task 'age' asks for method logistic, and hbn.window.cuts.age has numbers; they are "
            "fitted by ridge, leave method out",
        ),
        (
            "probe.tasks",
            ["eyes", {"name": "moments", "kind": "retrieval", "cut": "age"}],
            "parameter probe.tasks: task 'moments' is a retrieval, and hbn.window.cuts.age has no moments of movies; "
            "give it a cut such as {name: hbn_movies}",
        ),
        (
            "corpora.probe",
            ["hbn", "tuh"],
            "parameter probe.tasks: corpora.probe names tuh, which has no cut of a task; known cuts: moments",
        ),
        ("mix.labels", ["age", "age"], "parameter mix.labels: label age is listed twice; list it once"),
        (
            "pretrain.objective.auxiliary",
            {"heads": ["age", "agee"]},
            "parameter pretrain.objective.auxiliary.heads names the label 'agee', which mix.labels lacks; known: age, "
            "sex, p_factor, attention, internalizing, externalizing; did you mean age?",
        ),
        ("mix.cut", "eyes", "parameter mix.cut: tuh.window.cuts has no 'eyes'; known: moments, pretrain"),
        (
            "pretrain.batch_size",
            7,
            "parameter pretrain: batch_size 7 cannot be shared out by the mixture weights (hbn 4.9, tuh 2.1 windows)",
        ),
        (
            "pretrain.schedule",
            {"name": "plateau", "patience": 1, "monitor": "val/loss/tuhh"},
            "parameter pretrain: schedule.monitor 'val/loss/tuhh' names no corpus that is trained on; choose one of "
            "hbn, tuh, or leave the corpus out",
        ),
        (
            "pretrain.accumulate",
            4,
            "parameter pretrain: batch_size 20 cannot be shared out by the mixture weights (hbn 3.5, tuh 1.5 windows "
            "in each of the 4 parts that accumulate asks for); "
            "nearest batch sizes that can: 40; change batch_size, accumulate or the",
        ),
        (
            "pretrain.devices",
            4,
            "parameter pretrain: batch_size 20 cannot be shared out by the mixture weights (hbn 3.5, tuh 1.5 windows "
            "on each of 4 devices); nearest batch sizes that can: 40",
        ),
    ],
)
def test_values_that_are_wrong_together(parameters: dict[str, Any], key: str, value: object, expected: str) -> None:
    assert message(put(parameters, key, value)).startswith(expected)


def test_several_mistakes_stand_in_one_line(parameters: dict[str, Any]) -> None:
    text = message(put(put(parameters, "split.slat", "x"), "split.validation_ratio", 2))
    assert text.startswith("parameter split.validation_ratio: Input should be less than 1 (found 2); ")
    assert "parameter split.slat is not known" in text


DOCUMENTED = re.findall(
    r"```yaml\n(mine:\n.*?)```", (PROJECT_ROOT / "docs/bids.md").read_text(encoding="utf-8"), re.DOTALL
)


@pytest.mark.parametrize("block", DOCUMENTED)
def test_a_corpus_works_as_the_documentation_prints_it(parameters: dict[str, Any], block: str) -> None:
    mine = yaml.safe_load(block)
    others = {"corpora": {"pretrain": ["mine"], "probe": []}, "mix": {"weights": {"mine": 1}}}
    filled = with_defaults({**parameters, **others, **mine})
    assert check_parameters(filled).pretrain == ["mine"]
    assert {f"params:mine.{key}" for key in filled["mine"]} == set(parameter_identities(filled)) & {
        "params:mine.acquire", "params:mine.ingest", "params:mine.window"
    }  # fmt: skip
    assert CorpusParams(**filled["mine"]).acquire == AcquireParams(source=FolderSource())


def test_a_dropped_cut_is_gone_and_null_for_nothing_is_refused(parameters: dict[str, Any]) -> None:
    without = merged(parameters, {"hbn": {"window": {"cuts": {"eyes": None}}}, "corpora": {"probe": []}})
    assert check_parameters(without).probe == []
    assert message(put(parameters, "hbn.window.cuts.eys", None)) == (
        "parameter hbn.window.cuts.eys is null, but there is no inherited entry hbn.window.cuts.eys that null could "
        "drop; leave it out"
    )
    probed = merged(parameters, {"hbn": {"window": {"cuts": {"eyes": None}}}})
    assert message(probed) == (
        "parameter probe.tasks: hbn.window.cuts has no 'eyes'; known: age, moments, movies, pretrain, response_time"
    )


def test_words_that_yaml_takes_for_something_else_need_quotes(parameters: dict[str, Any]) -> None:
    text = message(put(parameters, "hbn.window.cuts.eyes.open", {"values": [True], "span_s": 14}))
    assert "put yes, no, on, off and numbers in quotes where they are text (found True)" in text


def test_corpora_must_be_named(parameters: dict[str, Any]) -> None:
    del parameters["corpora"]
    assert message(parameters) == "parameters: 'corpora' is missing; it names the corpora to pretrain and to probe on"


def test_half_a_corpus_is_not_known(parameters: dict[str, Any]) -> None:
    text = message(put(parameters, "thu.ingest.n_workers", 1))
    assert text.startswith("unknown parameter 'thu'; ")
    assert "did you mean tuh?" in text
    assert message(put(parameters, "my_folder.ingest.n_workers", 1)) == (
        "parameter my_folder.window is missing; a corpus needs at least the keys ingest and window"
    )


def test_every_shared_parameter_of_the_configuration_has_a_type(parameters: dict[str, Any]) -> None:
    assert set(parameters) - {"tuh", "hbn", "phases", "pretrain"} == set(SHARED_PARAMETERS)


@pytest.mark.parametrize(
    ("given", "phases", "cuts"),
    [
        ({}, ["pretrain", "contrast"], ["eyes", "moments", "movies"]),
        ({"phases": ["pretrain"]}, ["pretrain"], []),
        ({"corpora": {"pretrain": ["hbn"]}}, ["pretrain", "contrast"], ["eyes", "moments", "movies"]),
        ({"corpora": {"pretrain": ["tuh"]}}, ["pretrain", "contrast"], ["moments"]),
    ],
)
def test_the_embedded_default_has_two_phases_and_takes_fewer_phases_or_corpora(
    given: dict[str, Any], phases: list[str], cuts: list[str]
) -> None:
    found = ConfigLoader(str(BASE.parent), "base", runtime_params=given, **CONFIG_LOADER_ARGS)["parameters"]
    check_parameters(found)
    assert [phase.name for phase in checked_phases(found)] == phases
    assert found["mix"]["cuts"] == cuts


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ({"name": "movie"}, "parameter pretrain.pairs.name: 'movie' is not known; known: movie_moment, condition, "),
        ("views", "parameter pretrain.pairs: is 'views'; give options with a name, such as {name: views}"),
        ({"hbn": {"name": "views"}}, "parameter pretrain: pairs.tuh is missing; the mixture holds corpus tuh"),
        (
            {"hbn": [{"name": "views"}, {"name": "condition"}], "tuh": {"name": "views"}},
            "parameter pretrain: pairs condition are of cut 'eyes', which the mixture lacks: it holds pretrain; add "
            "eyes to mix.cuts, leave mix.cuts out",
        ),
        (
            {"hbn": {"name": "views"}, "tuh": {"name": "views"}, "thu": {"name": "views"}},
            "parameter pretrain: pairs.thu names no corpus; known: hbn, tuh; did you mean tuh?",
        ),
        (
            {"hbn": {"name": "views"}, "tuh": {"name": "condition"}},
            "parameter pretrain: pairs condition of corpus tuh are of cut 'eyes', which tuh.window.cuts lacks; "
            "known: moments, pretrain; name a cut of its own in pairs.tuh, or choose other pairs there",
        ),
        (
            {"name": "within_recording"},
            "parameter pretrain: batch_size 20 cannot be shared out by the mixture weights (hbn 14, tuh 6 windows; "
            "pairs need multiples of: hbn 16, tuh 16 windows",
        ),
    ],
)
def test_pairs_are_checked_before_a_run(parameters: dict[str, Any], pairs: object, expected: str) -> None:
    parameters = put(put(parameters, "pretrain.objective", {"name": "contrastive"}), "mix.cuts", [])
    found = message(put(parameters, "pretrain.pairs", pairs))
    assert found.startswith(expected), found
    with_eyes = put(put(parameters, "mix.cuts", ["eyes"]), "pretrain.pairs", {"name": "views"})
    assert check_parameters(with_eyes).pretrain
    assert "mix.cuts: no corpus of corpora.pretrain has 'movie'" in message(put(parameters, "mix.cuts", ["movie"]))


def test_an_objective_of_certain_pairs_alone_asks_for_other_corpora(parameters: dict[str, Any]) -> None:
    line = message(put(parameters, "pretrain.objective", {"name": "isc"}))
    assert line == (
        "parameter pretrain: pairs movie_moment of corpus tuh are of cut 'movies', which tuh.window.cuts lacks; known: "
        "moments, pretrain; take tuh out of corpora.pretrain: objective isc compares pairs of "
        "movie_moment alone"
    )


@pytest.mark.parametrize(
    ("batch_size", "devices", "enough"), [(2, 1, 6), (4, 1, 6), (4, 2, 8), (5, 1, 0), (6, 1, None), (8, 2, None)]
)
def test_a_batch_of_two_moments_holds_no_correlation(
    parameters: dict[str, Any], batch_size: int, devices: int, enough: int | None
) -> None:
    isc = {"name": "isc"}
    own = {"n_steps": 6, "objective": isc, "batch_size": batch_size, "devices": devices}
    found = put(put(parameters, "corpora.pretrain", ["hbn"]), "pretrain", own)
    found = put(found, "mix.cuts", ["movies"])
    if enough is None:
        assert check_parameters(found).pretrain == ["hbn"]
    elif enough:
        assert message(found) == (
            f"parameter pretrain: batch_size {batch_size} gives corpus hbn {batch_size} windows in a step, and "
            f"objective isc learns nothing from fewer than 6 (3 pairs); the smallest batch_size that works is {enough}"
        )
    else:
        assert "cannot be shared out" in message(found)


def test_windows_one_by_one_need_no_partner(parameters: dict[str, Any]) -> None:
    """One window of a corpus in a step is enough where nothing is compared, and too few for contrast."""
    found = put(put(parameters, "pretrain.batch_size", 10), "mix.weights", {"hbn": 0.9, "tuh": 0.1})
    assert check_parameters(found).pretrain == ["tuh", "hbn"]
    contrastive = put(put(found, "pretrain.objective", {"name": "contrastive"}), "pretrain.batch_size", 20)
    assert "gives corpus tuh 2 windows in a step, and objective contrastive learns nothing" in message(contrastive)


@pytest.mark.parametrize(
    ("split", "probe", "expected"),
    [
        ({}, {}, "cross_validation"),
        ({"protocol": "official"}, {}, "split"),
        ({"protocol": "official"}, {"evaluation": "cross_validation"}, "cross_validation"),
        ({}, {"evaluation": "split"}, "split"),
    ],
)
def test_a_probe_is_evaluated_as_persons_are_divided(
    parameters: dict[str, Any], split: dict[str, Any], probe: dict[str, Any], expected: str
) -> None:
    filled = with_defaults(merged(parameters, {"split": split, "probe": probe}))
    check_parameters(filled)
    assert parameter_identities(filled)["params:probe"]["evaluation"] == expected


def test_controls_of_a_finetuning_are_closed_forms(parameters: dict[str, Any]) -> None:
    assert message(merged(parameters, {"finetune": {"fit": {"method": "linear_probe"}}})).endswith(
        "fit.method is linear_probe, which is no closed form; choose ridge, logistic or knn"
    )

"""The list of phases and their blocks: what is inherited, and what is refused before anything runs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from eegfm.errors import ConfigError
from eegfm.project.config_loader import merged
from eegfm.project.parameters import check_parameters, parameter_identities
from eegfm.project.phase_blocks import checked_phases, checked_tokenizer, with_cuts, with_starts
from eegfm.training.config import PretrainParams
from kedro_project import project_session

BLOCK = {"n_steps": 6, "batch_size": 10}
ENCODER = {"name": "patch_transformer", "n_layers": 1, "d_model": 32, "head_size": 16}


@pytest.fixture(scope="module")
def parameters(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    context = project_session("test", tmp_path_factory.mktemp("data")).load_context()
    found: dict[str, Any] = context.config_loader["parameters"]
    return {key: value for key, value in found.items() if key != "data"}


def with_phases(parameters: dict[str, Any], names: list[Any], **blocks: Any) -> dict[str, Any]:
    return with_cuts(with_starts({**parameters, "phases": names, **blocks}, merged))


def refused(parameters: Mapping[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        check_parameters(parameters)
    [line] = str(caught.value).splitlines()
    return line


def test_a_later_phase_starts_from_the_one_before_and_takes_over_what_that_decides() -> None:
    first = {"encoder": ENCODER, "reference": "as_recorded", "seed": 3}
    blocks = with_starts(
        {"phases": ["pretrain", "adapt", "more"], "pretrain": first, "adapt": BLOCK, "more": {}}, merged
    )
    assert blocks["pretrain"] == first
    inherited = {"start": "previous", "encoder": ENCODER, "reference": "as_recorded"}
    assert blocks["adapt"] == {**BLOCK, **inherited}
    assert blocks["more"] == inherited
    assert [(p.name, p.start, p.previous) for p in checked_phases(blocks)] == [
        ("pretrain", "scratch", ""), ("adapt", "previous", "pretrain"), ("more", "previous", "adapt")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("pairs", "changes", "cuts"),
    [
        (None, {}, []),
        ([{"name": "movie_moment"}, {"name": "condition"}, {"name": "views"}], {}, ["eyes", "movies"]),
        ({"name": "condition", "cut": "pretrain"}, {}, []),
        ({"name": "condition"}, {"mix": {"cut": "eyes"}}, []),
        ({"tuh": {"name": "views", "cut": "a"}, "hbn": {"name": "condition"}}, {}, ["a", "eyes"]),
        ({"tuh": {"name": "views", "cut": "a"}, "hbn": {"name": "condition"}}, {"corpora": {"pretrain": ["hbn"]}},
         ["eyes"]),
        ({"name": "condition"}, {"mix": {"cuts": []}}, []),
        ({"name": "condition"}, {"mix": {"cuts": ["movies"]}}, ["movies"]),
        ({"name": "condition"}, {"mix": {"cuts": None}}, ["eyes"]),
        ({"hbn": {"name": "condition"}}, {}, []),  # refused later
        ({"name": "conditions"}, {}, []),
    ],
)  # fmt: skip
def test_cuts_of_the_mixture_are_those_of_the_pairs(pairs: Any, changes: dict[str, Any], cuts: list[str]) -> None:
    contrast = {"n_steps": 1, "objective": {"name": "contrastive"}, "pairs": pairs}
    blocks = {"pretrain": {"n_steps": 1}, "contrast": {"n_steps": 1} if pairs is None else contrast}
    corpora = {"corpora": {"pretrain": ["tuh", "hbn"]}}
    assert with_cuts({"phases": ["pretrain", "contrast"], **corpora, **blocks, **changes})["mix"]["cuts"] == cuts


def test_other_pairs_make_another_mixture(parameters: dict[str, Any]) -> None:
    contrast = {"n_steps": 6, "batch_size": 20, "objective": {"name": "contrastive"}, "pairs": {"name": "views"}}
    of_ages = {**contrast, "pairs": {"name": "views", "cut": "age"}}
    cuts = {"age": {"name": "age", "length_s": 4, "stride_s": 4}}
    parameters = merged(
        {**parameters, "mix": {"weights": {"hbn": 0.7, "tuh": 0.3}}}, {"tuh": {"window": {"cuts": cuts}}}
    )
    found = [with_phases(parameters, ["pretrain", "contrast"], contrast=block) for block in (contrast, of_ages)]
    for one in found:
        check_parameters(one)
    own, other = (parameter_identities(one)["params:mix"] for one in found)
    assert (own["cuts"], other) == ([], {**own, "cuts": ["age"]})


def test_a_phase_of_codes_needs_the_tokenizer() -> None:
    targets: list[Any] = ["log_spectrum", "codes", {"name": "codes"}, ["signal", {"name": "codes", "weight": 2.0}]]
    blocks = [{**BLOCK, "objective": {"name": "masked", "target": target}} for target in targets]
    found = [checked_phases({"phases": ["pretrain"], "pretrain": block})[0].needs_tokenizer for block in blocks]
    assert found == [False, True, True, True]


def test_where_the_tokenizer_starts() -> None:
    assert [checked_tokenizer(block).start_entry for block in ({}, {"tokenizer": {"start": "file"}})] == [
        "", "tokenizer.start"
    ]  # fmt: skip
    with pytest.raises(ConfigError, match=r"parameter tokenizer\.start is 'previous', and no phase is before it"):
        checked_tokenizer({"tokenizer": {"start": "previous"}})


@pytest.mark.parametrize("start", ["scratch", "file"])
def test_another_start_takes_nothing_over(start: str) -> None:
    blocks = {"phases": ["pretrain", "adapt"], "pretrain": {"encoder": ENCODER}, "adapt": {"start": start}}
    assert with_starts(blocks, merged)["adapt"] == {"start": start}


def test_without_a_list_there_is_one_phase(parameters: dict[str, Any]) -> None:
    without = {key: value for key, value in parameters.items() if key != "phases"}
    assert [phase.name for phase in checked_phases(without)] == ["pretrain"]
    assert check_parameters(without).pretrain


def test_blocks_of_all_phases_are_checked_and_have_an_identity(parameters: dict[str, Any]) -> None:
    two = with_phases(parameters, ["pretrain", "adapt"], adapt=BLOCK)
    assert check_parameters(two).pretrain == ["tuh", "hbn"]
    identities = parameter_identities(two)
    assert identities["params:adapt"]["encoder"] == identities["params:pretrain"]["encoder"]
    assert "start" not in identities["params:adapt"]
    wrong = with_phases(parameters, ["pretrain", "adapt"], adapt={**BLOCK, "nsteps": 1})
    assert refused(wrong).startswith("parameter adapt.nsteps is not known; known: accelerator, ")
    wrong = with_phases(parameters, ["pretrain", "adapt"], adapt={**BLOCK, "batch_size": 7})
    assert refused(wrong).startswith("parameter adapt: batch_size 7 cannot be shared out")


def test_the_encoders_own_normalization_is_the_same_given_and_left_out(parameters: dict[str, Any]) -> None:
    own = {"normalization": {"name": "fixed_scale", "scale_uv": 30}}
    first = {**parameters["pretrain"], **own}
    assert check_parameters(with_phases(parameters, ["pretrain", "adapt"], adapt={**BLOCK, **own}))
    assert check_parameters(with_phases(parameters, ["pretrain", "adapt"], pretrain=first, adapt={**BLOCK}))
    other = {**BLOCK, "normalization": {"name": "fixed_scale", "scale_uv": 31}}
    line = refused(with_phases(parameters, ["pretrain", "adapt"], adapt=other))
    assert line.startswith(
        "parameter adapt.normalization.scale_uv is 31.0, but adapt starts from pretrain, where it is"
    )


@pytest.mark.parametrize(
    ("names", "blocks", "expected"),
    [
        (["pretrain", "pretrain"], {}, "parameter phases: phase pretrain is listed twice; list it once"),
        (["pretrain", "adapt"], {}, "parameter phases lists 'adapt', which has no parameters; write a block adapt"),
        (["pretrain", "tuh"], {}, "parameter phases lists 'tuh', which is a corpus; choose another name"),
        (["tokenizer", "pretrain"], {}, "parameter phases lists 'tokenizer', which is no phase: nothing starts from"),
        (["pretrain"], {"tokenizer": {"n_step": 1}}, "parameter tokenizer.n_step is not known; known: accelerator, "),
        (
            ["pretrain"],
            {
                "pretrain": {**BLOCK, "objective": {"name": "masked", "target": "codes"}},
                "tokenizer": {**BLOCK, "batch_size": 7},
            },
            "parameter tokenizer: batch_size 7 cannot be shared out",
        ),
        (["pretrain", "probe"], {}, "parameter phases lists 'probe': 'probe' cannot name a phase, it means something"),
        (["pretrain", "a_probe"], {"a_probe": BLOCK}, "parameter phases lists 'a_probe': 'a_probe' cannot name"),
        (["pretrain", "a b"], {"a b": BLOCK}, "parameter phases lists 'a b': String should match pattern"),
        ([], {}, "parameter phases must list the names of the phases, e.g. [pretrain] (found [])"),
        ("pretrain", {}, "parameter phases must list the names of the phases, e.g. [pretrain] (found 'pretrain')"),
        ([1], {}, "parameter phases must list the names of the phases, e.g. [pretrain] (found [1])"),
        (
            ["pretrain"],
            {"pretrain": {**BLOCK, "start": "previous"}},
            "parameter pretrain.start is 'previous', and pretrain is the first of phases; allowed are scratch and file",
        ),
        (
            ["pretrain", "adapt"],
            {"adapt": {**BLOCK, "start": "adapt"}},
            "parameter adapt.start: Input should be 'scratch', 'previous' or 'file' (found 'adapt')",
        ),
        (
            ["pretrain"],
            {"further": BLOCK},
            "parameter further holds a phase of training, but parameter phases does not list it; set phases: "
            "[pretrain, further], or drop the block with further: null",
        ),
        (["pretrain"], {"pretrian": BLOCK}, "unknown parameter 'pretrian'; known: "),
        (
            ["pretrain", "adapt"],
            {"adapt": {**BLOCK, "encoder": {"n_layers": 3}}},
            "parameter adapt.encoder.n_layers is 3, but adapt starts from pretrain, where it is 1; leave adapt.encoder "
            "out, or set adapt.start=scratch",
        ),
        (
            ["pretrain", "adapt"],
            {"adapt": {**BLOCK, "encoder": {"name": "luna"}}},
            "parameter adapt.encoder.name is 'luna', but adapt starts from pretrain, where it is 'patch_transformer'",
        ),
        (
            ["pretrain", "adapt"],
            {"adapt": {**BLOCK, "objective": {"name": "contrastive"}, "pairs": {"hbn": {"name": "views"}}}},
            "parameter adapt: pairs.tuh is missing; the mixture holds corpus tuh: give it a pairing, such as "
            "{name: views}, or take it out of corpora.pretrain; phases: [pretrain] trains without adapt",
        ),
        (
            ["pretrain", "adapt"],
            {"adapt": {**BLOCK, "bad_channels": "interpolate"}},
            "parameter adapt.bad_channels is 'interpolate', but adapt starts from pretrain, where it is 'mask'",
        ),
        (
            ["pretrain", "adapt"],
            {"adapt": {**BLOCK, "start": "scratch", "load": {"allow_missing": ["adapter"]}}},
            "adapt.load is {'allow_missing': ['adapter']}, but nothing is loaded: adapt starts from scratch",
        ),
        *(
            (
                ["pretrain", "adapt"],
                {"adapt": {**BLOCK, "start": start, "adapter": {"name": "none"}, "freeze": {"parts": ["adapter"]}}},
                "adapt.freeze.parts names 'adapter', but adapter none has no weights; leave it out",
            )
            for start in ("scratch", "previous")
        ),
        (
            ["pretrain"],
            {"tokenizer": {**BLOCK, "adapter": {"name": "none"}, "freeze": {"parts": ["adapter"]}}},
            "tokenizer.freeze.parts names 'adapter', but adapter none has no weights; leave it out",
        ),
    ],
)  # fmt: skip
def test_mistakes(parameters: dict[str, Any], names: Any, blocks: dict[str, Any], expected: str) -> None:
    assert refused(with_phases(parameters, names, **blocks)).startswith(expected)


HBN = {"corpora": {"pretrain": ["hbn"], "probe": ["hbn"]}, "mix": {"weights": {"hbn": 1}}}
FEMBA = {**HBN, "pretrain": {**BLOCK, "encoder": {"name": "femba"}}}
OF_MOVIES = {**BLOCK, "objective": {"name": "contrastive"}, "pairs": {"name": "movie_moment"}}
TIED = "encoder femba is tied to one window length, and pretrain draws windows of"
ONE_LENGTH = "give all these cuts one length (length_s)"
OTHER = "; or choose encoder patch_transformer"
ADAPTER = "; it is tied to the channels of one montage, too: if those of the corpora differ, set pretrain.adapter: "
ADAPTER += "{name: interpolate, montage: 1020_19}"


@pytest.mark.parametrize(
    ("names", "blocks", "expected"),
    [
        (["pretrain", "adapt"], {**HBN, "adapt": OF_MOVIES}, ""),
        (["pretrain", "adapt"], {**FEMBA, "adapt": BLOCK}, ""),
        (["pretrain", "adapt"], {**FEMBA, "adapt": {**OF_MOVIES, "pairs": {"name": "views"}}}, ""),
        (["pretrain", "adapt"], {**FEMBA, "adapt": {**OF_MOVIES, "start": "scratch"}}, ""),
        (
            ["pretrain", "more", "adapt"],
            {**FEMBA, "more": BLOCK, "adapt": OF_MOVIES},
            f"parameter adapt: {TIED} 4 s (hbn.window.cuts.pretrain); more draws windows of 4 s "
            "(hbn.window.cuts.pretrain); adapt draws windows of 2 s (hbn.window.cuts.movies); "
            f"{ONE_LENGTH}{OTHER}; phases: [pretrain, more] trains without adapt",
        ),
        (
            ["pretrain", "adapt"],
            {"pretrain": FEMBA["pretrain"], "adapt": BLOCK},
            f"parameter pretrain: {TIED} 10 s (tuh.window.cuts.pretrain) and 4 s (hbn.window.cuts.pretrain); adapt "
            "draws windows of 10 s (tuh.window.cuts.pretrain) and 4 s (hbn.window.cuts.pretrain); "
            f"{ONE_LENGTH}{ADAPTER}{OTHER}",
        ),
        (
            ["pretrain"],
            {"pretrain": {**FEMBA["pretrain"], "adapter": {"name": "interpolate", "montage": "1020_19"}}},
            f"parameter pretrain: {TIED} 10 s (tuh.window.cuts.pretrain) and 4 s (hbn.window.cuts.pretrain); "
            f"{ONE_LENGTH}{OTHER}",
        ),
        (
            ["pretrain", "adapt"],
            {**FEMBA, "adapt": {**OF_MOVIES, "objective": {"name": "contrastive", "augment": [
                {"name": "gain"}, {"name": "channel_subset", "n_channels": 19}]}}},
            "parameter adapt: objective.augment channel_subset leaves channels out, encoder femba is tied to the "
            "channels of one montage; list objective.augment without it, or start from an encoder of any channels, "
            "such as patch_transformer; phases: [pretrain] trains without adapt",
        ),
        (
            ["pretrain", "adapt"],
            {**FEMBA, "adapt": {**OF_MOVIES, "temperature": 1}},
            f"parameter adapt.temperature is not known; known: {', '.join(sorted(PretrainParams.model_fields))}",
        ),
    ],
)  # fmt: skip
def test_phases_that_the_encoder_cannot_train_are_refused_before_the_first_one(
    parameters: dict[str, Any], names: list[str], blocks: dict[str, Any], expected: str
) -> None:
    """Otherwise the second phase is refused when the first has been trained, hours later."""
    found = with_phases(parameters, names, **blocks)
    if expected:
        assert refused(found) == expected
    else:
        assert check_parameters(found).pretrain


def test_a_corpus_is_not_called_like_the_probe_of_a_phase(parameters: dict[str, Any]) -> None:
    line = refused(with_phases(parameters, ["pretrain"], pretrain_probe=parameters["tuh"]))
    assert line == "parameter pretrain_probe: a corpus cannot be called like a step of the phase pretrain"


def test_the_environment_of_two_phases(tmp_path: Path) -> None:
    params = project_session("test_phases", tmp_path).load_context().params
    assert params["adapt"].encoder == params["pretrain"].encoder
    assert params["adapt"].adapter == params["pretrain"].adapter
    assert (params["pretrain"].start, params["adapt"].start) == ("scratch", "previous")

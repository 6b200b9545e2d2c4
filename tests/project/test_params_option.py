"""``--params``: lists, text with commas, one line for what cannot be read, and the way back into a command."""

import shlex
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from eegfm.errors import ConfigError
from eegfm.project.params_option import as_option, parse_params


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        (" , ", {}),
        ("pretrain.seed=3,pretrain.n_steps=10", {"pretrain": {"seed": 3, "n_steps": 10}}),
        (" a = b , c.d=1.5", {"a": "b", "c": {"d": 1.5}}),
        ("e.formats=[huggingface,torch_export],a=1", {"e": {"formats": ["huggingface", "torch_export"]}, "a": 1}),
        ("a=[[x,y],[z]],b=2", {"a": [["x", "y"], ["z"]], "b": 2}),
        ("a={b: 1, c: [2, 3]},d=4", {"a": {"b": 1, "c": [2, 3]}, "d": 4}),
        ('report.title="Mine, and yours",a=1', {"report": {"title": "Mine, and yours"}, "a": 1}),
        ("report.title='a, b'", {"report": {"title": "a, b"}}),
        ('a=["x,y", "]"],b=1', {"a": ["x,y", "]"], "b": 1}),
        ('a="say \\"yes, no\\"",b=1', {"a": 'say "yes, no"', "b": 1}),
        ('m.pattern="{subject}/{subject}_{run}.edf"', {"m": {"pattern": "{subject}/{subject}_{run}.edf"}}),
        ("data=/scratch/it's [1,a=2", {"data": "/scratch/it's [1", "a": 2}),
        ("hbn.window.cuts.eyes=null", {"hbn": {"window": {"cuts": {"eyes": None}}}}),
        ("a=x=y", {"a": "x=y"}),
        ("a=1,a=2", {"a": 2}),
        ("a=yes,b='yes'", {"a": True, "b": "yes"}),
    ],
)  # fmt: skip
def test_values(text: str, expected: dict[str, Any]) -> None:
    assert parse_params(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("seed", "--params: 'seed' is no key=value"),
        ("a=1,seed,b=2", "--params: 'seed' is no key=value"),
        ("formats=huggingface,onnx", "--params: 'onnx' is no key=value, such as .*; a list is \\[a,b\\]"),
        ("=3", "--params: '=3' is no key=value"),
        ("a..b=3", "--params: 'a..b=3' is no key=value"),
        ("a=[1,2", "--params: \\[ is opened in '\\[1,2' and not closed"),
        ('a="x', "--params: \" is opened in '\"x' and not closed"),
        (
            "a={x}/{y}.edf",
            "--params: the value of a, {x}/{y}.edf, cannot be read; put text with special signs in quotes",
        ),
        ("a=${x", "--params: the value of a, \\${x, cannot be read"),
    ],
)
def test_what_cannot_be_read_is_one_line(text: str, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected) as info:
        parse_params(text)
    assert "\n" not in str(info.value)


def test_simple_parameters_need_no_quotes() -> None:
    assert as_option({"data": "/scratch/run 1".replace(" ", ""), "a": {"b": 3}}) == " --params=data=/scratch/run1,a.b=3"
    assert as_option({}) == ""


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z"), exclude_characters="$") | st.just(" "))
VALUES = st.recursive(
    st.one_of(WORDS, st.integers(), st.booleans(), st.none(), st.floats(-1e6, 1e6)),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(st.sampled_from(["a", "b.c", "b.d"]), VALUES, max_size=3))
@example({"a": "@", "b.c": ["%", "a@b"]})
def test_a_command_in_a_message_gives_the_same_parameters(flat: dict[str, Any]) -> None:
    params: dict[str, Any] = {}
    for key, value in flat.items():
        place = params.setdefault("b", {}) if "." in key else params
        place[key.rpartition(".")[2]] = value
    words = shlex.split(as_option(params))
    assert parse_params(words[0].removeprefix("--params=") if words else "") == params

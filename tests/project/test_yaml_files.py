"""A file that cannot be read, or would be read otherwise than it is written, is one line with file and line."""

import re

import pytest

from eegfm.errors import ConfigError
from eegfm.project.yaml_files import check_file

# line, what the message says
MISTAKES = {
    "hbn:\n\tingest: 3\n": (2, "a tab; YAML is indented with spaces only"),
    "hbn:\n  ingest:\n  \tcorpus: {name: hbn}\n": (3, "a tab;"),
    "a: x\n\tb: 2\n": (2, "a tab;"),
    "probe: {tasks: [eyes]}\nhbn: {window: {a: {name: fixed}\nx: 1\n": (
        3,
        "begins in line 2; close the bracket or brace",
    ),
    "a:\n  b: [1, 2\n  c: 3\n": (3, "begins in line 2; close the bracket or brace"),
    'report:\n  title: "abc\n\n': (4, "begins in line 2"),
    "hbn:\n    ingest: {}\n  window: {}\n": (3, "begins in line 1"),
    "a: 1\nreport: a: b\n": (2, "mapping values are not allowed"),
    "# comment\n- a\n- b\n": (2, "this is a list"),
    "hello\n": (1, "this is a single value"),
    "probe: {tasks: [eyes]}\nmix: {}\nprobe: {}\n": (3, "the key probe stands in line 1 already"),
    "a:\n  b: {c: 1, c: 2}\n": (2, "the key c stands in line 2 already"),
    "cuts:\n  yes: 1\n": (2, 'reads the key yes as true or false; put it in quotes: "yes"'),
    "no: 1\n": (1, 'put it in quotes: "no"'),
    "- on: 1\n": (1, "this is a list"),
    "a: [{on: 1}]\n": (1, 'put it in quotes: "on"'),
    "a: {Off: 1}\n": (1, 'put it in quotes: "Off"'),
    "a:\n  010: 1\n": (2, 'reads the key 010 as a number; put it in quotes: "010"'),
    "a: {1: x}\n": (1, "put it in quotes"),
    "a: {1.5: x}\n": (1, "put it in quotes"),
    "a: {~: x}\n": (1, "reads the key ~ as null"),
    "a: {null: x}\n": (1, "reads the key null as null"),
    "a: {[b]: x}\n": (1, "a key is a word"),
    "a: !include b.yml\n": (1, "the tag !include is not known"),
    "a: !!python/name:os.system x\n": (1, "is not known"),
    "a: *nowhere\n": (1, "undefined alias"),
    "a: &b {c: *b}\n": (1, "recursive"),
    "a: 1\n---\nb: 1\n": (3, "a second document begins here"),
}


@pytest.mark.parametrize("text", MISTAKES)
def test_the_line_names_file_and_place(text: str) -> None:
    line, what = MISTAKES[text]
    with pytest.raises(ConfigError) as info:
        check_file("conf/mine/parameters.yml", text.encode())
    message = str(info.value)
    assert re.match(rf"conf/mine/parameters\.yml, line {line}\b", message), message
    assert what in message
    assert "\n" not in message


def test_text_in_another_encoding_has_a_line() -> None:
    with pytest.raises(ConfigError, match=r"p\.yml, line 2: this is no UTF-8"):
        check_file("p.yml", "a: 1\nb: grün\n".encode("latin-1"))


def test_a_broken_reference_names_its_key() -> None:
    with pytest.raises(ConfigError, match=r"p\.yml, report\.title: no viable alternative at input '\$\{foo'; "):
        check_file("p.yml", b"report: {title: '${foo'}\n")


@pytest.mark.parametrize(
    "text",
    [
        "", "# nothing\n", "a: {b: [1, yes, no, null]}\n", '"yes": {"010": 1, "~": 2}\n', "2020-01-01: 1\n", "y: 1\n",
        "a: &x {b: 1}\nc: {<<: *x, d: 1}\ne: {<<: *x}\n", "a: ${globals:b.c}\n", '{"a": {"b": 1}}', "a:\tb\n",
        "a: grün\n",
    ],
)  # fmt: skip
def test_what_can_be_read_passes(text: str) -> None:
    check_file("p.yml", text.encode())

"""Files that do not belong together are found, whoever made them. Nothing else is found."""

from collections.abc import Mapping

import pytest

from eegfm.provenance import Record, described, differing, find_stale, sha256_of

DATA = {
    "raw": [],
    "recordings": ["raw"],
    "windows": ["recordings"],
    "splits": ["recordings"],
    "mixture": ["windows", "splits"],
}
MADE_WITH = {"recordings": ["signals"], "encoder": ["metrics"], "metrics": ["encoder"]}
MADE_FROM = DATA | {
    "encoder": ["mixture", "signals"],
    "metrics": ["mixture", "signals"],
    "probe": ["encoder", "windows"],
}
MAKER = {"signals": "recordings"}
Generation = Mapping[str, str]


class Files:
    """What would stand in files: the contents of each entry, and what it was made from."""

    def __init__(self) -> None:
        self.contents: dict[str, str] = {}
        self.records: dict[str, Record] = {}

    def make(self, *entries: str, **contents: str) -> None:
        """Run the steps that make these entries, from what is there now."""
        for name in entries:
            others = MADE_WITH.get(name, [])
            for made in (name, *(o for o in others if MAKER.get(o) == name)):
                self.contents[made] = contents.get(made, f"{made} of " + ", ".join(self._from(name)))
        for name in entries:
            if name != "signals":
                self.records[name] = Record(
                    contents=self.contents[name], made_by=name, is_data=name in DATA,
                    made_from={other: self.contents[other] for other in MADE_FROM[name]},
                    made_with={other: self.contents[other] for other in MADE_WITH.get(name, [])},
                    parameters={}, code=((), ""),
                )  # fmt: skip

    def _from(self, name: str) -> list[str]:
        return [self.contents[other] for other in MADE_FROM.get(name, [])]

    def stale(self, *entries: str, unmade: tuple[str, ...] = ()) -> set[tuple[str, str]]:
        found = find_stale(entries, self.records.get, self.contents.get, unmade)
        return {(one.entry, one.why.removeprefix("made from another ")) for one in found}


@pytest.fixture
def files() -> Files:
    files = Files()
    files.make("raw", raw="1")
    files.make("recordings", "windows", "splits", "mixture")
    files.make("encoder", "metrics")
    files.make("probe")
    return files


EVERYTHING = ("windows", "splits", "mixture", "signals", "metrics", "probe")


def test_one_generation_belongs_together(files: Files) -> None:
    assert not files.stale(*EVERYTHING)
    files.make("recordings", "windows", "splits", "mixture")
    assert not files.stale(*EVERYTHING)


def test_an_old_probe_beside_a_new_encoder(files: Files) -> None:
    files.make("encoder", "metrics", encoder="new", metrics="new")
    assert files.stale("metrics", "probe") == {("probe", "encoder")}
    files.make("probe")
    assert not files.stale("metrics", "probe")


def test_new_splits_beside_old_numbers(files: Files) -> None:
    files.make("splits", splits="other salt")
    assert ("mixture", "splits") in files.stale("splits", "mixture")
    files.make("mixture")
    assert files.stale("splits", "mixture", "metrics") == {("metrics", "mixture")}


@pytest.mark.parametrize("entries", [("mixture", "signals"), ("windows",), ("splits",), ("windows", "splits")])
def test_data_is_followed_to_what_is_there_now(files: Files, entries: tuple[str, ...]) -> None:
    files.make("recordings", recordings="new")
    assert files.stale(*entries)
    assert not files.stale(*entries, unmade=("recordings",))


def test_data_that_comes_out_the_same_makes_nothing_stale(files: Files) -> None:
    kept = dict(files.contents)
    files.make("recordings", recordings="an age was corrected", signals=kept["signals"])
    assert files.stale("mixture") == {("windows", "recordings"), ("splits", "recordings")}
    files.make("windows", "splits", **kept)
    assert not files.stale(*EVERYTHING)


def test_a_run_that_ended_between_two_of_its_files(files: Files) -> None:
    files.contents["signals"] = "committed, and no table written"
    assert ("recordings", "signals") in files.stale("windows")
    files.records["metrics"] = files.records["metrics"].model_copy(update={"made_with": {"encoder": "newer"}})
    assert files.stale("metrics", "encoder") == {("metrics", "encoder")}


def test_an_encoder_alone_is_not_asked_for_its_data(files: Files) -> None:
    files.make("recordings", recordings="new", signals="new")
    files.make("windows", "splits", "mixture")
    assert not files.stale("encoder")
    assert files.stale("encoder", "signals") == {("encoder", "signals")}


def test_what_is_gone_says_nothing_but_those_who_read_it_do(files: Files) -> None:
    del files.contents["signals"], files.contents["raw"]
    assert not files.stale(*(name for name in EVERYTHING if name != "signals"))
    del files.contents["encoder"], files.records["encoder"]
    files.records["metrics"] = files.records["metrics"].model_copy(update={"made_with": {"encoder": "newer"}})
    assert files.stale("metrics", "probe") == {("probe", "encoder")}


def test_two_that_were_made_from_what_nobody_has(files: Files) -> None:
    for name, said in (("metrics", "1"), ("probe", "2")):
        files.records[name] = files.records[name].model_copy(update={"made_from": {"x": said}, "made_with": {}})
    assert files.stale("metrics", "probe") == {("metrics", "x"), ("probe", "x")}


def test_steps_that_would_give_something_else_now_are_found_wherever_they_are(files: Files) -> None:
    found = find_stale(
        ["mixture", "metrics"], files.records.get, files.contents.get,
        changed=lambda record: "made by other code" if record.made_by in ("windows", "metrics") else None,
    )  # fmt: skip
    assert [(one.entry, one.why) for one in found] == [("windows", "made by other code")]


def test_differing_parameters_are_named() -> None:
    made = {"params:split": {"salt": "a", "ratio": 0.5, "sets": {"tuab": [1]}}}
    now = {"params:split": {"salt": "b", "ratio": 0.5, "sets": {"tuab": [1, 2]}, "new": None}}
    assert list(differing(made, now)) == [
        "params:split.salt was 'a' and is 'b'",
        "params:split.sets.tuab was [1] and is [1, 2]",
    ]
    assert not list(differing(made, made))


def test_many_are_said_in_few_words(files: Files) -> None:
    files.make("raw", raw="2")
    files.make("recordings", "windows", "splits", "mixture")
    found = find_stale(EVERYTHING, files.records.get, files.contents.get)
    assert described(found) == (
        "metrics was made from another mixture; metrics was made from another signals; "
        "probe was made from another windows"
    )


def test_the_order_of_keys_does_not_count() -> None:
    assert sha256_of({"a": 1, "b": [0.1, None]}) == sha256_of({"b": [0.1, None], "a": 1}) != sha256_of({"a": 1})

"""The tests mirror the package: who looks for the tests of a module finds them under its path."""

from pathlib import Path

import pytest

from kedro_project import PROJECT_ROOT

SOURCE, TESTS = PROJECT_ROOT / "src" / "eegfm", PROJECT_ROOT / "tests"
OTHER_FOLDERS = {"benchmarks", "contracts", "fuzz", "zoo"}
"""Folders that mirror none: scripts outside the package, what every member of a kind holds to, damaged files at
random, members that need other packages."""
SCENARIOS = {
    "corpora/test_blanks.py": "one rule for all layouts and formats",
    "corpora/test_hbn_release5.py": "published side files of HBN, whole",
    "io/test_damage.py": "one rule for all datasets",
    "io/test_whole.py": "one rule for all datasets",
    "jobs/ingest/test_bad_stretches.py": "from annotations of every format to windows",
    "jobs/ingest/test_convert_trust.py": "conversion of files that are not what side files say",
    "jobs/ingest/test_ingest_kill.py": "processes that are killed",
    "jobs/ingest/test_named_files.py": "stale by files that only a header names",
    "jobs/ingest/test_odd_rates.py": "rates that are no small fraction, from files of every format to windows",
    "jobs/ingest/test_shared_data.py": "real recordings of every format",
    "jobs/probe/test_tasks.py": "probes of several tasks and corpora",
    "jobs/train/test_finetuning_kill.py": "processes that are killed",
    "jobs/train/test_train_kill.py": "processes that are killed",
    "jobs/train/test_without_kedro.py": "a trainer of one's own, and files to start from",
    "jobs/test_bad_channels.py": "from the file to the encoder",
    "jobs/weights/test_export_menu.py": "every encoder; slow, so that a variable asks for it",
    "objectives/test_leaks.py": "objectives together with encoders",
    "project/test_newcomer.py": "all that can be wrong before a run",
    "signal/edf/test_outcomes.py": "the table of docs/edf_outcomes.md",
    "signal/processing/test_blocks_equal_whole.py": "filters, kernels and resampling together",
    "signal/test_other_channels.py": "faults of channels that are no electrodes, in every format",
    "signal/test_pieces_equal_whole.py": "readers of all formats",
    "splits/test_corpora_properties.py": "splits and leakage of random corpora",
    "training/supervised/test_ranks.py": "processes that train together",
    "test_architecture.py": "rules of the house",
    "test_docs.py": "the documentation",
    "test_end_to_end.py": "all pipelines",
    "test_environments.py": "every environment of conf, and a user's own",
    "test_generations.py": "all pipelines, twice in one folder",
    "test_imports.py": "rules of the house",
    "test_notebook.py": "the notebook",
    "test_objective_grid.py": "every objective with three encoders, by commands",
    "test_recipes.py": "experiments on corpora of TUH, from files to splits",
    "test_phases.py": "two phases, from raw files to the report",
    "test_readme.py": "the README",
    "test_tests.py": "rules of the house",
    "test_tokenizer.py": "the tokenizer and a phase that predicts its codes",
    "test_viz.py": "Kedro-Viz",
    "test_weights_in_and_out.py": "pipelines import_weights and export",
    "training/plans/pairs/test_gathered_pairs.py": "from a table through plan and loader to batches",
    "training/test_accumulation.py": "plan, loader, random choices and module together",
    "windows/tasks/test_hbn_quirks.py": "all tasks of HBN on files with known faults",
    "windows/test_names.py": "one rule for all cutters and tasks",
}
"""Tests that mirror no module, with what they are about."""


def mirrors(test: Path, source: Path) -> bool:
    """Whether a test stands where its module or package does; ``x/test_x.py`` is about the package ``x``."""
    name, folder = test.stem.removeprefix("test_"), source / test.parent
    return (folder / f"{name}.py").is_file() or (folder / name).is_dir() or name == test.parent.name


def misplaced(tests: Path, source: Path) -> list[str]:
    """Tests that mirror nothing and are on no list."""
    found = (path.relative_to(tests) for path in sorted(tests.rglob("test_*.py")))
    own = (test for test in found if test.parts[0] not in OTHER_FOLDERS)
    return [test.as_posix() for test in own if not mirrors(test, source) and test.as_posix() not in SCENARIOS]


def test_every_test_mirrors_a_module_or_is_a_scenario() -> None:
    assert misplaced(TESTS, SOURCE) == []


def test_scenarios_are_there_and_mirror_nothing() -> None:
    assert [name for name in SCENARIOS if not (TESTS / name).is_file()] == []
    assert [name for name in SCENARIOS if mirrors(Path(name), SOURCE)] == []
    assert {name for name in OTHER_FOLDERS if (SOURCE / name).is_dir() or not (TESTS / name).is_dir()} == set()


@pytest.mark.parametrize(
    ("test", "is_misplaced"),
    [
        ("room/test_module.py", False), ("room/test_inner.py", False), ("room/inner/test_inner.py", False),
        ("contracts/test_anything.py", False), ("test_docs.py", False), ("test_module.py", True),
        ("room/test_other.py", True), ("other/test_module.py", True), ("room/inner/test_module.py", True),
    ],
)  # fmt: skip
def test_a_test_in_the_wrong_place_would_be_seen(tmp_path: Path, test: str, is_misplaced: bool) -> None:
    for path in ("source/room/inner/part.py", "source/room/module.py", f"tests/{test}"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    assert misplaced(tmp_path / "tests", tmp_path / "source") == ([test] if is_misplaced else [])

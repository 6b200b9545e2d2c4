"""The documentation describes codes and files as they are in the program."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
import yaml

from eegfm.adapters.config import AdapterConfig
from eegfm.augmentations.config import AugmentationConfig
from eegfm.checkpoint import CheckpointHeader
from eegfm.encoders.config import AnyEncoderConfig
from eegfm.encoders.published import PUBLISHED
from eegfm.evaluation.config import ControlKind
from eegfm.jobs.finetune.config import FinetuneParams, FinetuneTask, StrategyConfig
from eegfm.jobs.weights.config import ExportFormat, ImportParams
from eegfm.mixture.config import MixtureParams
from eegfm.nn.load_report import LoadExceptions
from eegfm.normalizations.config import NormalizationConfig
from eegfm.project.config_loader import merged
from eegfm.project.corpus_params import CorpusParams
from eegfm.project.parameters import check_parameters, with_defaults
from eegfm.project.phase_blocks import with_cuts, with_starts, without_unlisted
from eegfm.splits.config import SplitParams
from eegfm.training.blocks import FreezeRule, LoadParams
from eegfm.training.config import PretrainParams
from eegfm.training.optimizers.config import OptimizerConfig
from eegfm.training.pairings import PairConfig
from eegfm.training.schedules.config import ScheduleConfig
from eegfm.windows.config import TaskConfig, WindowConfig, WindowParams
from kedro_project import PROJECT_ROOT

CODE = re.compile(r"[a-z][a-z0-9_]+")
PACKAGES = ("signal", "corpora", "jobs")
CONTROLS = ("scratch", "eegnet", "frozen_ridge", "untrained_ridge", *get_args(ControlKind))


def rejection_codes() -> Iterator[tuple[str, Path]]:
    """First arguments of everything that makes a rejection: ``RecordingError(…)`` and functions that return one."""
    for package in PACKAGES:
        for path in sorted((PROJECT_ROOT / "src" / "eegfm" / package).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            makers = {"RecordingError", "rejected", "fail"} | {
                node.name
                for node in ast.walk(tree)
                if isinstance(node, ast.FunctionDef)
                and isinstance(node.returns, ast.Name)
                and node.returns.id == "RecordingError"
            }
            for node in ast.walk(tree):
                if not isinstance(node, ast.Call) or not node.args:
                    continue
                name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
                first = node.args[0]
                if name in makers and isinstance(first, ast.Constant) and CODE.fullmatch(str(first.value)):
                    yield str(first.value), path


def test_every_code_of_a_rejection_is_documented() -> None:
    documented = set(
        re.findall(r"`([a-z0-9_]+)`", (PROJECT_ROOT / "docs" / "ingestion.md").read_text(encoding="utf-8"))
    )
    found = dict(rejection_codes())
    assert len(found) > 60
    assert not {code: path.name for code, path in found.items() if code not in documented}
    assert len(documented) > 60


def test_links_lead_somewhere() -> None:
    """Files and headings that pages link to."""
    pages = [PROJECT_ROOT / "README.md", *sorted((PROJECT_ROOT / "docs").glob("*.md"))]
    n_links = 0
    for page in pages:
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
            if "://" in target:
                continue
            name, _, anchor = target.partition("#")
            linked = (page.parent / name).resolve() if name else page
            assert linked.exists(), f"{page.name} links to {target}"
            if anchor:
                headings = re.findall(r"^#+ (.+)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
                anchors = {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}
                assert anchor in anchors, f"{page.name} links to {target}"
            n_links += 1
    assert n_links > 50


def test_examples_are_valid_parameters() -> None:
    text = (PROJECT_ROOT / "docs" / "bids.md").read_text(encoding="utf-8")
    blocks = [yaml.safe_load(block)["mine"] for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]
    corpora = [CorpusParams.model_validate(block).ingest.corpus.name for block in blocks]
    assert corpora == ["bids", "edf_folder", "edf_folder"]


def code_words(page: str) -> set[str]:
    text = (PROJECT_ROOT / "docs" / page).read_text(encoding="utf-8")
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    return {word for code in re.findall(r"`([^`]+)`", text) for word in re.findall(r"[a-z][a-z0-9_]*", code)}


def test_every_cut_and_task_is_documented_with_its_source() -> None:
    members = [*get_args(WindowConfig), *get_args(TaskConfig)]
    assert {member.model_fields["name"].default for member in members} <= code_words("windows.md")
    assert len(members) > 20
    for task in get_args(TaskConfig):
        assert task.citation, task


def test_every_parameter_of_splits_and_mixtures_is_documented() -> None:
    assert set(SplitParams.model_fields) <= code_words("splits.md")
    assert set(MixtureParams.model_fields) - {"cut"} <= code_words("mixture.md")


def test_every_adapter_is_documented() -> None:
    members = get_args(get_args(AdapterConfig)[0])
    assert {member.model_fields["name"].default for member in members} <= code_words("adapters.md")


def test_every_normalization_is_documented_and_its_examples_work() -> None:
    words, members = code_words("normalizations.md"), get_args(get_args(NormalizationConfig)[0])
    assert {option for member in members for option in member.model_fields} <= words
    assert {member.model_fields["name"].default for member in members} <= words
    page = (PROJECT_ROOT / "docs" / "normalizations.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        PretrainParams.model_validate({**yaml.safe_load(block)["pretrain"], "n_steps": 1})


def test_every_augmentation_is_documented_with_every_option_and_its_default() -> None:
    page = (PROJECT_ROOT / "docs" / "augmentations.md").read_text(encoding="utf-8")
    rows = {row.split("`")[1]: row for row in page.splitlines() if row.startswith("| `") and row != "| `name`"}
    for member in get_args(get_args(AugmentationConfig)[0]):
        row = rows[member.model_fields["name"].default]
        for option, field in member.model_fields.items():
            if isinstance(field.default, str):
                assert option == "name" or f"`{option}" in row
            else:
                said = str(field.default).lower() if isinstance(field.default, bool) else f"{field.default:g}"
                assert re.search(rf"`{option}` \({said}\b", row), f"{row}: {option}"


def test_the_normalization_of_every_encoder_is_documented() -> None:
    page = (PROJECT_ROOT / "docs" / "normalizations.md").read_text(encoding="utf-8")
    rows = [row for row in page.split("## What encoders take")[1].split("\n## ")[0].splitlines() if row[:1] == "|"]
    for member in get_args(get_args(AnyEncoderConfig)[0]):
        named = [row for row in rows if f"`{member.model_fields['name'].default}`" in row]
        [row] = named or [row for row in rows if "all others" in row]
        _, _, trained, published, _ = row.split("|")
        chosen = member.default_normalization
        offset = f"offset {chosen.offset_uv:g} µV, ".replace("-", "−") if chosen.offset_uv else ""
        clip = f"clipped at {chosen.clip:g}" if chosen.clip else "not clipped"
        assert trained.strip() == f"`{chosen.name}`, {chosen.scale_uv:g} µV, {offset}{clip}"
        other = member.published_normalization
        assert published.strip() == (f"`{other.name}`, not clipped" if other else "the same" if named else "")


def test_every_optimizer_is_documented_with_every_choice() -> None:
    words = code_words("training.md")
    for member in get_args(get_args(OptimizerConfig)[0]):
        assert {member.model_fields["name"].default, *member.model_fields} - {"name"} <= words, member
    text = (PROJECT_ROOT / "docs" / "training.md").read_text(encoding="utf-8").split("## Optimizers")[1]
    block = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)[0]
    params = PretrainParams.model_validate({**yaml.safe_load(block)["pretrain"], "n_steps": 1})
    assert params.optimizer.learning_rates.adapter == 3e-3
    assert params.weight_average is not None


def test_the_tables_of_encoders_are_those_of_the_newest_result(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(PROJECT_ROOT)
    from benchmarks.encoder_table import MARKS, rendered

    newest = sorted((PROJECT_ROOT / "benchmarks" / "results").glob("encoders_????-??-??.json"))[-1]
    page = (PROJECT_ROOT / "docs" / "encoders.md").read_text(encoding="utf-8")
    shown = page.split(MARKS[0])[1].split(MARKS[1])[0]
    assert shown.strip() == rendered(json.loads(newest.read_text(encoding="utf-8")))


def test_every_encoder_is_documented() -> None:
    members = get_args(get_args(AnyEncoderConfig)[0])
    assert {member.model_fields["name"].default for member in members} <= code_words("encoders.md")


def test_finetuning_is_documented_with_every_choice_and_strategy() -> None:
    page = (PROJECT_ROOT / "docs" / "finetuning.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"`([a-z_]+)[`:]", page))
    strategies = {one.model_fields["name"].default: one for one in get_args(get_args(StrategyConfig)[0])}
    options = {name for one in strategies.values() for name in one.model_fields}
    named = {*FinetuneParams.model_fields, *FinetuneTask.model_fields, *strategies, *options, *CONTROLS}
    assert not named - documented - {"name", "cut"}
    assert len(strategies) == 10


def test_every_schedule_is_documented_with_its_options() -> None:
    members = get_args(get_args(ScheduleConfig)[0])
    words = code_words("training.md")
    assert {member.model_fields["name"].default for member in members} <= words
    assert {name for member in members for name in member.model_fields} <= words
    section = (PROJECT_ROOT / "docs" / "training.md").read_text(encoding="utf-8").split("## Schedules")[1]
    [block, *_] = re.findall(r"```yaml\n(.*?)```", section, re.DOTALL)
    assert PretrainParams.model_validate(yaml.safe_load(block)["pretrain"]).schedule.name == "warmup_cosine"


def test_the_example_of_windows_is_valid() -> None:
    text = (PROJECT_ROOT / "docs" / "windows.md").read_text(encoding="utf-8")
    block, times, pairs = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]
    assert len(WindowParams.model_validate(block["hbn"]["window"]).cuts) == 3
    assert WindowParams.model_validate({"cuts": times}).cuts["eyes"].target_spec.classes == ("closed", "open")
    assert set(PretrainParams.model_validate({"n_steps": 1, **pairs["contrast"]}).chosen_pairs or ()) == {"hbn", "tuh"}


def test_pairings_are_documented_with_every_parameter() -> None:
    words = code_words("windows.md")
    members = get_args(get_args(PairConfig)[0])
    assert {member.model_fields["name"].default for member in members} <= words
    assert {name for member in members for name in member.model_fields} - {"name"} <= words


def test_the_examples_of_training_can_be_added_to_the_base() -> None:
    files = sorted((PROJECT_ROOT / "conf" / "base").glob("parameters*.yml"))
    base = {key: value for file in files for key, value in yaml.safe_load(file.read_text(encoding="utf-8")).items()}
    text = (PROJECT_ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]
    assert len(blocks) == 10
    for block in blocks:
        assert set(block) <= {"phases", "pretrain", "adapt"}
        length = {} if "n_epochs" in block.get("adapt", {}) else {"n_steps": 9}
        two_phases = {"phases": ["pretrain", "adapt"], "adapt": length} if "adapt" in block else {}
        later = merged(two_phases, block)
        whole = merged(without_unlisted(base, later), later)
        check_parameters(with_cuts(with_starts(with_defaults(whole), merged)))


def test_the_example_of_the_readme_trains_with_contrast_too() -> None:
    files = sorted((PROJECT_ROOT / "conf" / "base").glob("parameters*.yml"))
    base = {key: value for file in files for key, value in yaml.safe_load(file.read_text(encoding="utf-8")).items()}
    text = (PROJECT_ROOT / "README.md").read_text(encoding="utf-8")
    example, contrast = [
        yaml.safe_load(block)
        for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
        if "# conf/" not in block or "/parameters.yml" in block
    ]
    del example["phases"]
    whole = with_cuts(with_starts(with_defaults(merged(merged(base, example), contrast)), merged))
    assert whole["mix"]["cuts"] == ["moments"]
    check_parameters(whole)


def test_starting_and_freezing_are_documented_with_every_parameter() -> None:
    text = (PROJECT_ROOT / "docs" / "training.md").read_text(encoding="utf-8").split("## Starting and freezing")[1]
    assert [name for model in (LoadParams, FreezeRule) for name in model.model_fields if name not in text] == []
    block = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)[0]
    params = PretrainParams.model_validate(yaml.safe_load(block)["adapt"])
    assert [rule.until_epoch for rule in params.freeze] == [2, None]


def test_weights_are_documented_with_every_parameter() -> None:
    words = code_words("weights.md")
    assert set(CheckpointHeader.model_fields) - {"format_version"} <= words
    assert set(ImportParams.model_fields) - {"seed", "weights"} <= words
    assert set(LoadExceptions.model_fields) <= words
    assert {"formats", "montage", *get_args(ExportFormat), *PUBLISHED, "import_weights", "export"} <= words
    text = (PROJECT_ROOT / "docs" / "weights.md").read_text(encoding="utf-8")
    [block] = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert ImportParams.model_validate(yaml.safe_load(block)["import"]).encoder.name == "luna"

"""Names of pipelines, parameters and catalog entries name no corpus."""

from collections.abc import Iterable, Iterator

import pytest
from kedro.pipeline import Pipeline
from pydantic import ValidationError

from eegfm.errors import ConfigError
from eegfm.pipeline_registry import DEFAULT_ROLES, register_pipelines, use_roles
from eegfm.pipelines import report
from eegfm.pipelines.finetune.pipeline import FIGURES
from eegfm.splits.config import Roles
from eegfm.training.phases import Phase
from kedro_project import PROJECT_ROOT

COMING = ("contrast", "finetune", "challenge", "tune", "embed", "check")
"""Pipelines that come with the next issues: a corpus of such a name would stop working then."""


def names_in_use(registry: dict[str, Pipeline]) -> set[str]:
    """Pipelines, their folders, and the first part of every entry and parameter that belongs to no corpus."""
    entries = {name for pipeline in registry.values() for name in pipeline.datasets()}
    first = {name.removeprefix("params:").partition(".")[0] for name in entries}
    folders = {path.parent.name for path in (PROJECT_ROOT / "src/eegfm/pipelines").glob("*/__init__.py")}
    return {*registry, *folders, *first} - {"__default__", *DEFAULT_ROLES.corpora}


def free(names: Iterable[str]) -> Iterator[str]:
    """Those that may name a corpus."""
    for name in names:
        try:
            Roles(pretrain=[name])
        except ValidationError:
            continue
        yield name


def test_names_that_mean_something_else_name_no_corpus() -> None:
    names = names_in_use(register_pipelines())
    assert "phases.metrics" not in register_pipelines()["report"].all_outputs(), "one phase is compared with nothing"
    assert {"pretrain", "probe", "mix", "splits", "corpora", "export", "import_weights"} <= names
    assert list(free([*sorted(names), *COMING])) == []


@pytest.mark.parametrize("role", ["pretrain", "probe"])
def test_a_reserved_name_is_refused_with_one_line(role: str) -> None:
    roles = {"pretrain": ["tuh"], "probe": []} | {role: ["finetune"]}
    with pytest.raises(ValidationError, match="'finetune' cannot name a corpus, it means something else"):
        Roles(**roles)


def test_a_pipeline_whose_name_is_not_reserved_would_be_seen() -> None:
    registry = register_pipelines()
    assert list(free(names_in_use({**registry, "denoise": registry["mix"]}))) == ["denoise"]
    assert list(free(["tuh", "eegmat", "my_corpus_2"])) == ["tuh", "eegmat", "my_corpus_2"]


def test_without_a_corpus_to_pretrain_on_everything_but_pretraining_is_there() -> None:
    use_roles(Roles(pretrain=[], probe=["mine"]))
    registry = register_pipelines()
    assert {*registry} == {
        *(
            "__default__",
            "ingest",
            "window",
            "mix",
            "tokenizer",
            "pretrain",
            "import_weights",
            "export",
            "report",
            "probe",
            "finetune",
            "finetune_export",
        )
    }
    assert "splits" in registry["mix"].all_outputs()
    assert not {"mixture", "pretrain.encoder"} & registry["__default__"].all_outputs()
    assert "pretrain.encoder" in registry["__default__"].inputs()
    assert not {name for name in registry["report"].inputs() if name == "mixture" or name.startswith("pretrain.")}
    [node] = registry["pretrain"].nodes
    with pytest.raises(ConfigError, match=r"corpora\.pretrain names no corpus .*--pipelines=import_weights"):
        node.run({"params:corpora": Roles(pretrain=[], probe=["mine"])})


TWO = (Phase(name="pretrain"), Phase(name="adapt", start="previous", previous="pretrain"))


def test_two_phases() -> None:
    use_roles(DEFAULT_ROLES, TWO)
    registry = register_pipelines()
    assert {*registry} >= {"pretrain", "adapt", "pretrain_probe", "probe", "pretrain_export", "export"}
    encoders = {name: {i for i in one.inputs() if i.endswith(".encoder")} for name, one in registry.items()}
    assert encoders["pretrain"] == encoders["__default__"] == set()
    assert encoders["adapt"] == encoders["pretrain_probe"] == encoders["pretrain_export"] == {"pretrain.encoder"}
    assert encoders["probe"] == encoders["export"] == {"adapt.encoder"}
    assert {"hbn.raw", "mixture", "adapt.encoder"} <= registry["adapt"].all_outputs()
    assert "adapt.encoder" not in registry["pretrain"].all_outputs()
    assert {"pretrain_probe.metrics", "probe.metrics"} <= registry["__default__"].all_outputs()
    read = registry["report"].inputs()
    assert {
        "pretrain.metrics",
        "adapt.metrics",
        "pretrain_probe.metrics",
        "probe.comparison",
        "probe.label_efficiency",
    } <= read
    assert {"phases.metrics", "phases.comparison"} <= registry["report"].all_outputs()
    assert [node.name for node in registry["__default__"].only_nodes_with_tags("adapt").nodes] == ["train_adapt"]


def test_the_probe_of_a_phase_comes_before_the_training_of_the_next() -> None:
    use_roles(DEFAULT_ROLES, (*TWO, Phase(name="a", start="previous", previous="adapt")))
    names = [node.name for node in register_pipelines()["__default__"].nodes]
    steps = ["train_pretrain", "probe_pretrain", "train_adapt", "probe_adapt", "train_a", "probe_encoder"]
    assert [name for name in names if name in steps] == steps


def test_a_phase_from_a_file_and_one_from_scratch() -> None:
    others = (Phase(name="pretrain", start="file"), Phase(name="adapt", start="scratch", previous="pretrain"))
    use_roles(DEFAULT_ROLES, others)
    registry = register_pipelines()
    assert "pretrain.start" in registry["pretrain"].inputs()
    assert not {name for name in registry["adapt"].inputs() if name.endswith((".start", ".encoder"))}


def test_an_import_stands_in_for_the_first_phase() -> None:
    use_roles(DEFAULT_ROLES, (Phase(name="masked"), Phase(name="adapt", start="previous", previous="masked")))
    assert "masked.encoder" in register_pipelines()["import_weights"].all_outputs()
    use_roles(Roles(pretrain=[], probe=["mine"]), TWO)
    registry = register_pipelines()
    assert "pretrain.encoder" in registry["probe"].inputs()
    assert not {"pretrain_probe", "pretrain_export"} & {*registry}
    [node] = registry["adapt"].nodes
    with pytest.raises(ConfigError, match=r"corpora\.pretrain names no corpus"):
        node.run({"params:corpora": Roles(pretrain=[], probe=["mine"])})


def test_the_tokenizer_is_a_training_of_its_own() -> None:
    registry = register_pipelines()
    assert {"hbn.raw", "mixture", "tokenizer.encoder", "tokenizer.metrics"} <= registry["tokenizer"].all_outputs()
    assert not [name for name in registry["__default__"].datasets() if name.startswith("tokenizer.")]
    use_roles(DEFAULT_ROLES, tokenizer=Phase(name="tokenizer", start="file"))
    assert "tokenizer.start" in register_pipelines()["tokenizer"].inputs()


def test_a_phase_of_codes_reads_the_tokenizer() -> None:
    use_roles(DEFAULT_ROLES, (Phase(name="pretrain", needs_tokenizer=True), TWO[1]))
    registry = register_pipelines()
    reading = {name for name, one in registry.items() if "tokenizer.encoder" in one.inputs()}
    assert reading == {"__default__", "pretrain"}
    both = registry["tokenizer"] + registry["pretrain"]
    assert [node.name for node in both.nodes][-2:] == ["train_tokenizer", "train_pretrain"]


def test_pipelines_follow_the_phases_and_go_back() -> None:
    use_roles(DEFAULT_ROLES, TWO)
    assert "adapt" in register_pipelines()
    use_roles(DEFAULT_ROLES)
    assert "adapt" not in register_pipelines()


@pytest.mark.parametrize(
    ("roles", "has_answers", "is_finetuned"),
    [
        (DEFAULT_ROLES, True, True),
        (DEFAULT_ROLES, False, False),
        (Roles(pretrain=["hbn"], probe=["hbn", "mine"]), True, False),
        (Roles(pretrain=["hbn"], probe=["mine"]), True, False),
    ],
)
def test_a_whole_run_finetunes_where_all_who_are_probed_are_trained_on(
    roles: Roles, has_answers: bool, is_finetuned: bool
) -> None:
    use_roles(roles, has_answers=has_answers)
    registry = register_pipelines()
    assert ("finetune.metrics" in registry["__default__"].all_outputs()) == is_finetuned
    assert "finetune.metrics" in registry["finetune"].all_outputs()
    assert ("finetune.metrics" in registry["report"].inputs()) == is_finetuned


def test_some_corpus_is_needed() -> None:
    with pytest.raises(ValidationError, match="name no corpus; name one in corpora"):
        Roles(pretrain=[])


def test_an_encoder_is_saved_before_what_is_told_about_it() -> None:
    """Kedro saves outputs in this order: a training is not lost where a figure cannot be written."""
    nodes = {node.name: node for pipeline in register_pipelines().values() for node in pipeline.nodes}
    encoders = {name: [out for out in node.outputs if out.endswith(".encoder")] for name, node in nodes.items()}
    assert {name for name, outputs in encoders.items() if outputs} == {
        "train_pretrain",
        "train_tokenizer",
        "import_encoder",
        "finetune_encoder",
    }
    assert [name for name, node in nodes.items() if node.outputs[: len(encoders[name])] != encoders[name]] == []


def test_a_report_shows_every_figure_of_a_finetuning() -> None:
    read = report.create_pipeline(["hbn"], probes={}, finetune="finetune").inputs()
    assert {f"finetune.{what}" for what in ("metrics", *FIGURES)} == {n for n in read if n.startswith("finetune.")}
    assert not {n for n in report.create_pipeline(["hbn"], probes={}).inputs() if n.startswith("finetune.")}

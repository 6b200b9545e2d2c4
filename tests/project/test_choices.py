"""Names that choose steps: what exists is listed, and what was meant."""

from typing import Any

import pytest

from eegfm.errors import ConfigError
from eegfm.pipeline_registry import DEFAULT_ROLES, register_pipelines, use_roles
from eegfm.project.choices import check_choices
from eegfm.splits.config import Roles


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            {"pipelines": ["prob"]},
            r"--pipelines: there is no pipeline 'prob'; known: __default__, .*; did you mean probe",
        ),
        ({"pipeline": "prob"}, "there is no pipeline 'prob'"),
        ({"tags": ("training",)}, "--tags: there is no tag 'training'; known: data, finetune, pretrain, probe, report"),
        ({"pipelines": ["ingest"], "tags": ("probe",)}, "there is no tag 'probe' in ingest; known: data$"),
        ({"node_names": ("cut_windows",)}, "did you mean hbn.cut_windows or tuh.cut_windows?"),
        ({"to_nodes": ["write_reprt"]}, "--to-nodes: there is no step 'write_reprt'; .*; did you mean write_report?"),
        (
            {"from_inputs": ["hbn.record"]},
            r"--from-inputs: .* in all\); did you mean hbn\.recordings?",
        ),
        ({"namespaces": ["hbm"]}, "--namespaces: there is no corpus 'hbm'; known: hbn, tuh; did you mean hbn?"),
        ({"tags": ("report",), "namespaces": ["hbn"]}, "no step is left by --tags and --namespaces together"),
    ],
)
def test_a_name_that_chooses_nothing(given: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigError, match=expected) as info:
        check_choices(register_pipelines(), given)
    assert "\n" not in str(info.value)


def test_a_probe_that_is_not_configured() -> None:
    use_roles(Roles(pretrain=DEFAULT_ROLES.pretrain, probe=[]))
    with pytest.raises(
        ConfigError, match=r"no corpus is probed, .*--params='corpora\.probe=\[NAME\],probe\.tasks=\[CUT\]'"
    ):
        check_choices(register_pipelines(), {"pipelines": ["probe"]})


def test_names_that_exist_pass() -> None:
    check_choices(register_pipelines(), {"pipelines": ["probe", "export"], "tags": (), "node_names": None})

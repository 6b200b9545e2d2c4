"""What the documentation says of codes and files is what the code does."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import yaml

from eegfm.jobs.config import CorpusParams, IngestParams
from kedro_project import PROJECT_ROOT

CODE = re.compile(r"[a-z][a-z0-9_]+")
PACKAGES = ("signal", "corpora", "jobs")


def rejection_codes() -> Iterator[tuple[str, Path]]:
    """First arguments of everything that makes a rejection: ``RecordingError(…)`` and functions that return one."""
    for package in PACKAGES:
        for path in sorted((PROJECT_ROOT / "src" / "eegfm" / package).glob("*.py")):
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
    missing = {code: path.name for code, path in rejection_codes() if code not in documented}
    assert not missing
    assert len(documented) > 60


def test_examples_are_valid_parameters() -> None:
    text = (PROJECT_ROOT / "docs" / "bids.md").read_text(encoding="utf-8")
    blocks = [yaml.safe_load(block)["mine"] for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]
    assert [IngestParams.model_validate(block["ingest"]).corpus.name for block in blocks] == ["bids", "edf_folder"]
    CorpusParams.model_validate(blocks[0])

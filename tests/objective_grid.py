"""Run as a program: every objective with every encoder, as a user's commands train, lose, resume and probe them.

Each command is a process of its own, forked from this one, which has imported everything. Takes a file of cases and
writes beside it, for each, one line of JSON with what was found.
"""

import contextlib
import json
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any, get_args

import numpy as np
from kedro.framework.cli import main as kedro
from pydantic import ValidationError

from eegfm.batch import TrainStep
from eegfm.checkpoint import load_checkpoint
from eegfm.encoders.config import ConvConfig, LunaConfig, PatchTransformerConfig
from eegfm.jobs.train.fingerprint import training_code
from eegfm.objectives.config import AnyObjectiveConfig
from eegfm.training.config import PretrainParams
from eegfm.training.logs import reconstructions
from eegfm.training.module import PretrainModule

# Images are no part of what is compared, and would take most of the time.
reconstructions.reconstruction_image = lambda item: np.zeros((1, 1, 3), dtype=np.uint8)
MADE = ("01_raw", "02_intermediate", "03_primary", "05_model_input")
"""Folders that all commands read and none writes."""


def command(folder: Path, name: str, *words: str, killed_at: int | None = None) -> tuple[int, str]:
    """Run a command to its end, or until it is killed when a step begins; return its exit code and what it said."""
    said = folder / f"{name}.log"
    process = os.fork()
    if process:
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), said.read_text()
    code = 1
    try:
        to = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(to, 1), os.dup2(to, 2)
        _note_steps(folder / f"{name}.steps", killed_at)
        sys.argv = ["kedro", "run", "--env=test", *words]
        kedro()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    finally:
        _end(code)


def _end(code: int) -> None:
    """End the process of a command; what it did not catch is said as the project says it."""
    try:
        if sys.exc_info()[0] is not None:
            sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush(), sys.stderr.flush()
        os._exit(code)


def _note_steps(log: Path, killed_at: int | None) -> None:
    take = PretrainModule.training_step

    def noted(self: PretrainModule, step: TrainStep, k: int) -> None:
        if step.number == killed_at:
            os.kill(os.getpid(), signal.SIGKILL)
        with log.open("a") as file:
            file.write(f"{step.number}\n")
        take(self, step, k)

    PretrainModule.training_step = noted  # type: ignore[method-assign]


def found(data: Path, folder: Path, phase: str, given: str, killed_at: int, links: dict[str, str]) -> dict[str, Any]:
    """Train whole, train killed, go on, and probe.

    Args:
        data: Corpora and their mixture.
        folder: Of the case.
        phase: What is trained.
        given: The parameters of the commands.
        killed_at: Number of the step that is not begun.
        links: Further folders that the commands find in their data.
    """
    for name in ("whole", "killed"):
        for part, at in {**{part: data / part for part in MADE}, **links}.items():
            (folder / name / part).parent.mkdir(parents=True, exist_ok=True)
            (folder / name / part).symlink_to(at)
    ended = {"whole": _train(folder, "whole", phase, given)}
    code, said = ended["whole"]
    lines = [line for line in said.splitlines() if line.startswith("eegfm: error: ")]
    if code and lines and "Traceback" not in said:
        return {"refused": lines, "before_data": "Windows per step" not in said}
    ended["killed"] = _train(folder, "killed", phase, given, killed_at=killed_at)
    states = sorted(path.name for path in (folder / "killed").glob(f"06_models/{phase}/runs/*/checkpoints/step_*.ckpt"))
    ended["resumed"] = _train(folder, "killed", phase, given, name="resumed")
    if phase != "tokenizer":
        ended["probed"] = command(folder, "probed", "--tags=probe", f"--params=data={folder / 'killed'},{given}")
    failed = {name: text[-1500:] for name, (code, text) in ended.items() if code != (-9 if name == "killed" else 0)}
    return {
        "failed": failed,
        "states": states,
        "steps": {name: _steps(folder, name) for name in ("whole", "killed", "resumed")},
        **({} if failed else _compared(folder, phase)),
    }


def _train(
    folder: Path, root: str, phase: str, given: str, name: str = "", killed_at: int | None = None
) -> tuple[int, str]:
    chosen = ("--pipelines=tokenizer",) if phase == "tokenizer" else ()
    words = (*chosen, f"--tags={phase}", f"--params=data={folder / root},{given}")
    return command(folder, name or root, *words, killed_at=killed_at)


def _steps(folder: Path, name: str) -> list[int]:
    log = folder / f"{name}.steps"
    return [int(line) for line in log.read_text().splitlines()] if log.exists() else []


def _compared(folder: Path, phase: str) -> dict[str, Any]:
    files = {name: folder / name / f"06_models/{phase}/encoder.safetensors" for name in ("whole", "killed")}
    stored = {name: load_checkpoint(file) for name, file in files.items()}
    tensors = {name: each.tensors for name, each in stored.items()}
    # The record of an entry covers the metrics beside it, and with them the time that the training took.
    headers = [each.header.model_copy(update={"record": None}) for each in stored.values()]
    metrics = {name: json.loads((folder / name / f"08_reporting/{phase}/metrics.json").read_text()) for name in files}
    for each in metrics.values():
        for own in ("windows_per_s", "eegfm"):
            each.pop(own)
    probes = folder / "killed/08_reporting/probe/metrics.json"
    names = [name for name in tensors["whole"] if name not in tensors["killed"]]
    differing = [name for name, value in tensors["whole"].items() if _bytes(value) != _bytes(tensors["killed"][name])]
    return {
        "n_tensors": len(tensors["whole"]),
        "differing": names + differing,
        "are_headers_equal": headers[0] == headers[1],
        "are_metrics_equal": metrics["whole"] == metrics["killed"],
        "loss": metrics["whole"].get("val_loss", metrics["whole"].get("train_loss")),
        "probes": sorted({*json.loads(probes.read_text())} - {"eegfm"}) if probes.exists() else [],
    }


def _bytes(value: "np.ndarray[Any, Any]") -> tuple[Any, ...]:
    return value.dtype, value.shape, value.tobytes()


def _parsed() -> None:
    """Parse the code of the members here, once for all."""
    for objective in get_args(get_args(AnyObjectiveConfig)[0]):
        for encoder in (PatchTransformerConfig(), LunaConfig(), ConvConfig()):
            with contextlib.suppress(ValidationError):
                training_code(PretrainParams(encoder=encoder, objective=objective(), n_steps=1))


def main(asked: Path) -> None:
    """Go through the cases of a file."""
    _parsed()
    cases = json.loads(asked.read_text())
    with asked.with_suffix(".found").open("w") as file:
        for name, case in cases.items():
            folder = asked.parent / name
            folder.mkdir()
            try:
                line = found(folder=folder, **{**case, "data": Path(case["data"])})
            except (OSError, LookupError, ValueError):
                line = {"failed": {"program": traceback.format_exc()}}
            file.write(json.dumps({"case": name, **line}) + "\n")
            file.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))

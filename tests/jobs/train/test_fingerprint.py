"""A run is named by what decides its weights, its code among that: what Python imports to train, and no more."""

import ast
import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, Literal, cast, get_args

import numpy as np
import pandas as pd
import pytest
from pydantic import Field

from checkpoints import header
from eegfm import source_code
from eegfm.adapters.config import InterpolateConfig, PerceiverConfig
from eegfm.checkpoint import Checkpoint
from eegfm.config import Buildable, StrictModel
from eegfm.encoders.config import AnyEncoderConfig, LunaConfig, PatchTransformerConfig
from eegfm.heads.config import FembaHeadConfig
from eegfm.inference.encoder_code import implementations
from eegfm.jobs.train import fingerprint
from eegfm.jobs.train.data import TrainingData, training_data
from eegfm.jobs.train.fingerprint import named, run_identity, signals_of, training_code
from eegfm.mixture.labels import LabelFacts
from eegfm.objectives.config import MaeConfig, MaskedConfig
from eegfm.objectives.supervised.config import SupervisedConfig, Target
from eegfm.recording import Montage
from eegfm.source_code import module_hashes
from eegfm.store.layout import StoreFacts
from eegfm.store.reader import SignalStore
from eegfm.store.writer import StoreWriter
from eegfm.training.blocks import LoadParams
from eegfm.training.config import PretrainParams
from eegfm.training.supervised.config import SupervisedParams
from person_tables import split_table
from warm_process import WarmProcess

SOURCES = Path(source_code.__file__).parent
SMALL: dict[str, Any] = {
    "batch_size": 4, "n_steps": 1, "validation_interval_steps": 1, "accelerator": "cpu", "progress_bar": False,
}  # fmt: skip
TRAININGS = [
    PretrainParams(
        encoder=PatchTransformerConfig(d_model=16, head_size=8, n_layers=1, spectrum_input=True),
        objective=MaskedConfig(),
        **SMALL,
    ),
    PretrainParams(
        encoder=LunaConfig(n_queries=2, d_token=16, n_layers=1),
        adapter=PerceiverConfig(n_queries=4, d_model=16, patch_s=0.4),
        objective=MaskedConfig(),
        bad_channels="interpolate",
        **SMALL,
    ),
    PretrainParams(
        encoder=PatchTransformerConfig(d_model=16, head_size=8, n_layers=1),
        adapter=InterpolateConfig(montage="1020_19"),
        objective=MaeConfig(mask_ratio=0.5),
        **SMALL,
    ),
]
"""Together they build encoders, adapters and objectives of several kinds."""
NO_WEIGHTS = {
    *("ancestry", "checkpoint", "errors", "files", "named", "processor", "provenance", "source_code", "stopping"),
    *("inference.encoder_code", "inference.versions", "jobs.train.fingerprint", "jobs.train.header"),
    *("mixture.config", "mixture.table", "nn.load_report", "store.checksums", "store.damage"),
    *("training.bfloat16", "training.loading.verify", "training.phases", "training.schedules.length", "progress"),
    *("training.logs.averages", "training.logs.gradients", "training.logs.history", "training.logs.images"),
    *("training.logs.measures", "metrics.groups", "metrics.moments", "metrics.spread"),
    *("training.logs.loggers", "training.logs.names", "training.logs.pace", "training.logs.pending"),
    *("training.logs.progress_lines", "training.logs.reconstructions", "training.logs.throughput"),
    *("training.logs.training_log", "training.logs.code_use"),
    *("inference.compatibility", "inference.table_loader", "nn.foreign_tensors", "nn.torch_file"),
    *("jobs.train.resume", "jobs.train.runs", "overwrite", "jobs.train.held_out"),
    *("evaluation.bootstrap", "evaluation.linear", "evaluation.metrics"),
    *(f"training.state.{name}" for name in ("begin", "content", "file", "folder")),
    *("json_text", "printable", "nn.allocation", "nn.code_use", "normalizations.said"),
    *("safetensors_header", "stated_spec"),
    *("jobs.train.devices", "jobs.train.exchange", "jobs.train.job", "jobs.train.launch", "jobs.train.result"),
    *("jobs.train.finetuning", "jobs.train.monitor", "windows.answers"),  # what they give counts by its values
    *("ranks.ends", "ranks.logs", "ranks.place", "ranks.start", "jobs.train.tokenizer", "jobs.train.measured"),
}
"""Modules that a training imports to name, check, count, watch or stop."""
SUPERVISED = (
    *("training.supervised", "training.strategies", "objectives.supervised", "heads", "metrics", "targets", "nn.lora"),
    *("losses.supervised", "losses.class_weights", "losses.config"),
    *("training.state.best", "training.state.checkpointing"),
)
"""What decides weights of supervised trainings alone."""


def run_fingerprint(*what: Any, **more: Any) -> str:
    return named(run_identity(*what, **more))


TRAIN = """
import json, os, sys
from pathlib import Path
import pandas as pd
from eegfm.jobs.train.pretrain import fit_pretraining
from eegfm.store.reader import SignalStore
from eegfm.training.config import PretrainParams

folder = Path(sys.argv[1])
tables = {name: pd.read_parquet(folder / f"{name}.parquet") for name in ("mixture", "splits")}
children = []
for k, params in enumerate(json.loads((folder / "params.json").read_text())):
    child = os.fork()  # each has imported what it needs itself, and torch only once for all
    if not child:
        params = PretrainParams.model_validate(params)
        fit_pretraining(
            tables["mixture"], {"sim": SignalStore(folder / "signals")}, params, folder / f"runs{k}",
            splits=tables["splits"],
        )
        names = [name for name in sys.modules if name.startswith("eegfm.")]
        (folder / f"imported{k}.json").write_text(json.dumps(names))
        sys.stdout.flush()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
"""


def _write_data(folder: Path) -> None:
    """A store of four recordings, and its tables, as a training takes them."""
    names = ("F3", "F4", "O1", "O2")
    positions_m = ((-0.05, 0.05, 0.1), (0.05, 0.05, 0.1), (-0.03, -0.1, 0.05), (0.03, -0.1, 0.05))
    montage = Montage(names, positions_m, (True,) * 4, "linked_ears")
    rng, persons = np.random.default_rng(0), [f"sim:p{k}" for k in range(4)]
    with StoreWriter(folder / "signals", StoreFacts(rate_hz=100.0, is_simulated=True)) as writer:
        for person in persons:
            writer.commit(
                recording_id=f"{person}:r",
                key="",
                montage=montage,
                samples=rng.normal(0, 1000, (800, 4)).astype(np.int16),
                scales_uv=np.full(4, 0.01, dtype=np.float32),
                facts={},
                events=[],
            )
    rows = [
        {
            "recording_id": f"{person}:r",
            "corpus": "sim",
            "montage": montage.name,
            "person": person,
            "identity": person,
            "start": 0,
            "n_samples": 200,
            "stride": 200,
            "n_windows": 4,
            "split": "train" if k else "validation",
            "weight": 1.0,
        }
        for k, person in enumerate(persons)
    ]
    mixture = pd.DataFrame(rows)
    mixture.to_parquet(folder / "mixture.parquet")
    split_table(dict(zip(mixture["person"], mixture["split"], strict=True))).to_parquet(folder / "splits.parquet")
    params = [json.loads(params.model_dump_json()) for params in TRAININGS]
    (folder / "params.json").write_text(json.dumps(params))


@pytest.fixture(scope="module")
def imported(warm: WarmProcess, tmp_path_factory: pytest.TempPathFactory) -> list[set[str]]:
    """By training, the modules that Python has imported when it is over."""
    folder = tmp_path_factory.mktemp("training")
    _write_data(folder)
    done = warm.run(TRAIN, str(folder), folder=folder)
    assert done.returncode == 0, done.stderr
    found = [json.loads((folder / f"imported{k}.json").read_text()) for k in range(len(TRAININGS))]
    return [{name.removeprefix("eegfm.") for name in names} for names in found]


def _says_nothing(name: str) -> bool:
    """Whether a package has no code of its own: at most it hands on names of its modules."""
    path = SOURCES.joinpath(*name.split("."), "__init__.py")
    return path.is_file() and all(_hands_on(node) for node in ast.parse(path.read_text()).body)


def _hands_on(node: ast.stmt) -> bool:
    if isinstance(node, ast.Assign):
        return [ast.unparse(target) for target in node.targets] == ["__all__"]
    return isinstance(node, ast.Import | ast.ImportFrom) or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    )


def _decides(name: str) -> bool:
    """Whether a module that a training imports decides its weights; what does not is named one by one."""
    is_config = name.startswith("encoders.") and name.endswith(".config")
    is_named = name in NO_WEIGHTS or name.startswith("splits")
    is_supervised = any(name == of or name.startswith(f"{of}.") for of in SUPERVISED)
    return not (is_named or is_config or is_supervised or _says_nothing(name))


def _own_config(params: PretrainParams) -> str:
    return type(params.encoder).__module__.removeprefix("eegfm.")


@pytest.mark.parametrize("k", range(len(TRAININGS)))
def test_the_code_of_a_run_is_what_python_imports_to_train(k: int, imported: list[set[str]]) -> None:
    counted = set(training_code(TRAININGS[k]))
    expected = {name for name in imported[k] if _decides(name)} | {_own_config(TRAININGS[k])}
    assert not expected - counted, "imported to train, but a change in it changes no fingerprint"
    assert not counted - expected, "counted, but not imported to train or said to decide nothing"
    assert {name.partition(".")[0] for name in counted} <= {
        *(
            "adapters",
            "augmentations",
            "encoders",
            "heads",
            "losses",
            "objectives",
            "training",
            "nn",
            "normalizations",
            "inference",
            "jobs",
        ),
        *("store", "signal", "mixture", "batch", "config", "recording"),
    }


def test_a_supervised_training_counts_all_that_answers_and_chooses() -> None:
    objective = SupervisedConfig(target=Target(kind="binary", classes=("no", "yes")), head=FembaHeadConfig())
    params = SupervisedParams(objective=objective, n_epochs=1, encoder=TRAININGS[0].encoder)
    counted = set(training_code(params)) - set(training_code(TRAININGS[0]))
    assert counted >= {
        *("training.supervised.module", "training.strategies.rules", "objectives.supervised.model", "nn.lora"),
        *("heads.base", "heads.femba", "losses.supervised", "losses.class_weights", "losses.config"),
        *("metrics.supervised", "metrics.scoring.curves", "metrics.names"),
        *("training.state.best", "training.state.checkpointing"),  # they choose the epoch that is published
    }
    assert not counted & {f"training.state.{name}" for name in ("begin", "content", "file", "folder")}
    assert "heads.attention" not in counted


def test_every_encoder_counts_with_its_own_configuration() -> None:
    members = get_args(get_args(AnyEncoderConfig)[0])
    assert len(members) > 8
    for member in members:
        found = module_hashes(member.implementation.partition(":")[0], without=fingerprint.NO_WEIGHTS)
        assert member.__module__.removeprefix("eegfm.") in found


DATA = cast(TrainingData, SimpleNamespace(mixture_sha256="m", filters={"low_hz": 0.5}, weights={"sim": 1.0}, labels={}))


def test_a_change_of_code_renames_a_run_where_it_decides_weights(
    imported: list[set[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "eegfm"
    shutil.copytree(SOURCES, root, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(source_code, "_ROOT", root)
    texts = {path: path.read_text() for path in root.rglob("*.py")}
    modules = {".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path for path in texts}

    def name_with(names: Iterable[str], addition: str) -> str:
        for module in names:
            modules[module].write_text(f"{texts[modules[module]]}\n{addition}\n")
        found = run_fingerprint(TRAININGS[0], DATA, {"sim": "s"})
        for module in names:
            modules[module].write_text(texts[modules[module]])
        return found

    deciding = {module for module in imported[0] if _decides(module)} | {_own_config(TRAININGS[0])}
    others = {module for module in modules if module not in deciding and not _says_nothing(module)}
    assert {"windows.cut", "splits.splits", "io.table", "encoders.labram.model", "objectives.mae"} <= others
    before = name_with([], "")
    assert name_with(modules, "# a remark") == before
    assert name_with(others, "MUTANT = 1") == before
    assert len(deciding) > 50
    assert not [module for module in sorted(deciding) if name_with([module], "MUTANT = 1") == before]
    assert name_with([], "") == before


def test_all_that_is_given_counts_and_the_machine_does_not() -> None:
    params = TRAININGS[0]
    weights = {"w": np.zeros(1, dtype=np.float32)}
    parent = Checkpoint(weights, header())
    other = Checkpoint({"w": np.ones(1, dtype=np.float32)}, header())
    of_another_objective = Checkpoint(weights, header(objective={"name": "mae"}))
    names = [
        run_fingerprint(params, DATA, {"sim": "s"}),
        run_fingerprint(params.model_copy(update={"seed": 1}), DATA, {"sim": "s"}),
        run_fingerprint(params, DATA, {"sim": "t"}),
        run_fingerprint(params, DATA, {"sim": "s"}, parents=[parent]),
        run_fingerprint(params, DATA, {"sim": "s"}, parents=[other]),
        run_fingerprint(params, DATA, {"sim": "s"}, parents=[of_another_objective]),
        run_fingerprint(params, DATA, {"sim": "s"}, parents=[other, parent]),
        run_fingerprint(params, DATA, {"sim": "s"}, job="eegfm.jobs.probe.probe"),
        *(
            run_fingerprint(params, cast(TrainingData, SimpleNamespace(**vars(DATA) | change)), {"sim": "s"})
            for change in (
                {"mixture_sha256": "n"},
                {"filters": {"low_hz": 1.0}},
                {"weights": {"sim": 0.9}},
                {"labels": {"age": LabelFacts("regression", mean=30.0, sd=10.0)}},
                {"labels": {"age": LabelFacts("regression", mean=30.0, sd=11.0)}},
            )
        ),
    ]
    assert len(set(names)) == len(names)
    licensed = Checkpoint(weights, header(license="mit", continues=("shorter",)))
    assert run_fingerprint(params, DATA, {"sim": "s"}, parents=[licensed]) == names[3]
    elsewhere = params.model_copy(
        update={"accelerator": "auto", "progress_bar": True, "license": "mit", "devices": 4, "num_nodes": 2}
        | {"strategy": "ddp", "rendezvous": "node1:29500"}
        | {"load": LoadParams(accept_other_code=True, allow_test_persons=True, allow_missing=("encoder",))}
    )
    assert run_fingerprint(elsewhere, DATA, {"sim": "s"}) == names[0]


def test_pairs_of_a_corpus_that_is_not_trained_on_rename_no_run() -> None:
    views, condition = {"name": "views"}, {"name": "condition"}

    def name(pairs: Any) -> str:
        params = PretrainParams.model_validate({**SMALL, "objective": {"name": "contrastive"}, "pairs": pairs})
        return run_fingerprint(params, DATA, {"sim": "s"})

    assert name({"sim": views, "other": condition}) == name({"sim": views}) == name(views)
    assert name({"sim": views, "other": views}) != name({"sim": condition, "other": views})
    of_other_code = {"name": "within_recording"}
    assert name({"sim": views, "other": of_other_code}) == name(views)


def test_a_changed_label_renames_a_run(tmp_path: Path) -> None:
    _write_data(tmp_path)
    mixture = pd.read_parquet(tmp_path / "mixture.parquet")
    stores = {"sim": SignalStore(tmp_path / "signals")}

    def name(**columns: Any) -> str:
        table = mixture.assign(**{key: pd.Series(values) for key, values in columns.items()})
        return run_fingerprint(TRAININGS[0], training_data(table, stores, TRAININGS[0]), signals_of(table, stores))

    names = [
        name(),
        name(label=["a", "b", "a", "b"]),
        name(label=["a", "b", "a", "a"]),
        name(label=["a", "b", "a", None]),
        name(target=[1.0, 2.0, 3.0, 4.0]),
        name(target=[1.0, 2.0, 3.0, 5.0]),
        name(targets=[[1.0, 0.0]] * 4),
        name(targets=[[1.0, 0.0]] * 3 + [[0.0, 1.0]]),
    ]
    assert len(set(names)) == len(names)
    assert name(label=["a", "b", "a", "b"]) == names[1]


class Teacher(Buildable):
    """A member of a menu."""

    implementation: ClassVar[str] = "eegfm.somewhere:Teacher"

    name: Literal["teacher"] = "teacher"


class Nested(StrictModel):
    """Configurations as later phases nest them."""

    listed: tuple[Teacher, ...] = ()
    by_name: dict[str, list[Teacher]] = Field(default_factory=dict)


@pytest.mark.parametrize("nested", [Nested(listed=(Teacher(),)), Nested(by_name={"a": [Teacher()]})])
def test_members_in_lists_and_by_name_count_too(nested: Nested) -> None:
    assert list(implementations(nested)) == ["eegfm.somewhere"]

"""A small store whose windows have answers of every kind, which the signal tells, and encoders to start from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from checkpoints import header
from eegfm.batch import SignalSpec
from eegfm.checkpoint import Checkpoint
from eegfm.encoders.config import PatchTransformerConfig
from eegfm.encoders.load import PREFIX, new_encoder
from eegfm.encoders.traits import EncoderConfig
from eegfm.jobs.train.finetuning import FinetuningTask
from eegfm.recording import Montage
from eegfm.store.layout import StoreFacts
from eegfm.store.reader import SignalStore
from eegfm.store.writer import StoreWriter
from eegfm.targets import TargetSpec
from eegfm.training.supervised.config import TuningParams
from eegfm.windows.runs import COLUMNS
from person_tables import split_table

RATE_HZ, N_SAMPLES, N_WINDOWS = 200.0, 400, 6
CHANNELS = ("Fz", "Cz", "O1", "O2")
MONTAGE = Montage(
    CHANNELS, ((0.0, 0.06, 0.08), (0.0, 0.0, 0.1), (-0.03, -0.08, 0.03), (0.03, -0.08, 0.03)), (True,) * 4, "average"
)
SPLITS = {f"mine:p{k:02d}": split for k, split in enumerate(["train"] * 6 + ["validation"] * 3 + ["test"] * 4)}
TARGETS = {
    "binary": TargetSpec.of_classes(("closed", "open")),
    "multiclass": TargetSpec.of_classes(("calm", "middle", "strong")),
    "multilabel": TargetSpec("multilabel", ("no", "yes"), CHANNELS),
    "multioutput": TargetSpec("multioutput", ("calm", "middle", "strong"), CHANNELS),
    "regression": TargetSpec("regression", (), (), "uV"),
    "regressions": TargetSpec("regression", (), CHANNELS, "uV"),
}
"""What is asked, by name of the cut."""
_COLUMN = {"binary": "label", "multiclass": "label", "regression": "target"}
FILTERS = {"low_hz": 0.5, "high_hz": 45.0, "notch_hz": None}
SPEC = SignalSpec(RATE_HZ, {MONTAGE.name: MONTAGE}, {MONTAGE.name: N_SAMPLES})
TUNING = TuningParams.model_validate(
    {
        "batch_size": 16, "n_epochs": 1, "accelerator": "cpu", "progress_bar": False, "schedule": {"name": "constant"},
        "optimizer": {"name": "adamw", "learning_rate": 3e-3}, "head": {"name": "mlp", "hidden": [8]},
    }
)  # fmt: skip
SMALL = PatchTransformerConfig(d_model=16, head_size=8, n_layers=2)


def write_answered(folder: Path) -> None:
    """Write a recording of each person, with a tone of 10 Hz at each channel that is as strong as the answers say."""
    rng, time_s = np.random.default_rng(3), np.arange(N_SAMPLES) / RATE_HZ
    facts = StoreFacts(rate_hz=RATE_HZ, is_simulated=True, filters=FILTERS)
    with StoreWriter(folder, facts) as writer:
        for k, person in enumerate(SPLITS):
            signal_uv = rng.normal(0, 4, (N_WINDOWS * N_SAMPLES, len(CHANNELS)))
            for window, strengths in enumerate(strengths_of(k)):
                part = signal_uv[window * N_SAMPLES : (window + 1) * N_SAMPLES]
                part += 8 * np.sin(2 * np.pi * 10 * time_s)[:, None] * np.array(strengths)
            writer.commit(
                recording_id=f"{person}:r",
                key="",
                montage=MONTAGE,
                samples=(signal_uv / 0.02).astype(np.int16),
                scales_uv=np.full(len(CHANNELS), 0.02, dtype=np.float32),
                facts={},
                events=[],
            )


def strengths_of(person: int) -> list[tuple[int, ...]]:
    """Strength 0 to 2 of the tone at each channel in each window of a person."""
    steps = range(1, len(CHANNELS) + 1)
    return [tuple((person + step * window + step * window // 3) % 3 for step in steps) for window in range(N_WINDOWS)]


def answered_windows() -> pd.DataFrame:
    """Windows of all persons: each kind of answer is a cut of its own, named as in ``TARGETS``."""
    rows: list[dict[str, Any]] = []
    for k, person in enumerate(SPLITS):
        for window, strengths in enumerate(strengths_of(k)):
            for cut, answer in _answers(strengths).items():
                blank = dict.fromkeys(("label", "targets"), None) | {"target": np.nan}
                rows.append(
                    {
                        "recording_id": f"{person}:r", "corpus": "mine", "montage": MONTAGE.name, "person": person,
                        "cut": cut, "segment": 0, "start": window * N_SAMPLES, "n_samples": N_SAMPLES,
                        "stride": N_SAMPLES, "n_windows": 1, "moment": -1, **blank,
                        _COLUMN.get(cut, "targets"): answer,
                    }
                )  # fmt: skip
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.astype({name: kind for name, kind in COLUMNS.items() if kind not in ("object", "str")})


def _answers(strengths: tuple[int, ...]) -> dict[str, Any]:
    both = np.array(strengths, dtype=np.float32)
    return {
        "binary": ("closed", "open")[int(sum(strengths) < 4)],
        "multiclass": TARGETS["multiclass"].classes[strengths[0]],
        "multilabel": (both > 0).astype(np.float32),
        "multioutput": both,
        "regression": float(8 * both[0]),
        "regressions": 8 * both,
    }


def answered_task(
    store: SignalStore, kind: str, windows: pd.DataFrame | None = None, splits: Mapping[str, str] = SPLITS
) -> FinetuningTask:
    """The task of a kind of answer."""
    table = answered_windows() if windows is None else windows
    chosen = table[table["cut"] == kind].reset_index(drop=True)
    return FinetuningTask(f"mine.{kind}", TARGETS[kind], chosen, split_table(splits), {"mine": store})


def start_of(config: EncoderConfig = SMALL, seed: int = 7) -> Checkpoint:
    """An encoder that nobody has trained, as a phase would publish it."""
    state = new_encoder(config, SPEC, seed=seed).state_dict(prefix=PREFIX)
    described = header(
        encoder=config.model_dump(mode="json"),
        normalization=config.default_normalization.model_dump(mode="json"),
        signal_spec=SPEC.to_dict(),
        encoder_spec=SPEC.to_dict(),
        filters=FILTERS,
        corpora=["other"],
        simulated_corpora=["other"],
        seed=seed,
    )
    return Checkpoint({name: value.numpy() for name, value in state.items()}, described)


def tuning(**changes: Any) -> TuningParams:
    """Choices of a short training; keywords replace some."""
    return TuningParams.model_validate({**TUNING.model_dump(), **changes})

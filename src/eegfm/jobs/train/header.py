"""Header of the checkpoint of a training."""

from typing import Any

import pandas as pd

from eegfm.ancestry import inherited
from eegfm.batch import SignalSpec
from eegfm.checkpoint import Checkpoint, CheckpointHeader
from eegfm.inference.versions import versions
from eegfm.jobs.train.data import TrainingData
from eegfm.objectives.base import Objective
from eegfm.splits.leakage import SplitTable
from eegfm.store.stores import Stores
from eegfm.training.config import PretrainParams


def pretrain_header(
    objective: Objective,
    params: PretrainParams,
    data: TrainingData,
    stores: Stores,
    encoder_spec: SignalSpec,
    fingerprint: str,
    split_table: SplitTable,
    mixture: pd.DataFrame,
    code: dict[str, str],
    *,
    phase: str,
    start: Checkpoint | None,
    start_report: dict[str, Any] | None,
) -> CheckpointHeader:
    """Say of trained weights what they are, what they were made of, and whom they have seen."""
    seen = split_table.seen(mixture["recording_id"])
    return CheckpointHeader(
        phase=phase,
        fingerprint=fingerprint,
        encoder=params.encoder.model_dump(mode="json"),
        adapter=params.adapter.model_dump(mode="json"),
        objective=params.objective.model_dump(mode="json"),
        labels={} if objective.auxiliary is None else objective.auxiliary.classes(),
        signal_spec=data.spec.to_dict(),
        encoder_spec=encoder_spec.to_dict(),
        normalization=params.chosen_normalization.model_dump(mode="json"),
        reference=params.reference,
        bad_channels=params.bad_channels,
        filters=data.filters,
        license=params.license or (start.header.license if start else None),
        imported=None,
        **inherited(
            [start.header] if start else [],
            corpora=data.weights,
            simulated_corpora=[corpus for corpus in data.weights if stores[corpus].is_simulated],
            persons=seen.persons,
            signals=seen.signals,
            kept_out=split_table.kept_out(),
        ),
        splits_sha256=split_table.sha256,
        mixture_sha256=data.mixture_sha256,
        seed=params.seed,
        n_steps=data.n_steps,
        versions=versions(),
        encoder_code=code,
        start=start_report,
    )

"""Header of the checkpoint of a training."""

from typing import Any

from eegfm.ancestry import inherited
from eegfm.checkpoint import CheckpointHeader
from eegfm.inference.versions import versions
from eegfm.jobs.train.data import TrainingData
from eegfm.jobs.train.job import TrainingJob
from eegfm.objectives.base import Objective
from eegfm.splits.leakage import SplitTable


def pretrain_header(
    job: TrainingJob,
    data: TrainingData,
    objective: Objective,
    split_table: SplitTable,
    *,
    fingerprint: str,
    code: dict[str, str],
    start_report: dict[str, Any] | None,
) -> CheckpointHeader:
    """Say of trained weights what they are, what they were made of, and whom they have seen.

    Args:
        job: The training, with parameters that its start has completed.
        data: Its windows.
        objective: What is trained.
        split_table: Persons and splits of the job.
        fingerprint: Name of the run.
        code: See ``eegfm.inference.encoder_code.encoder_code``.
        start_report: See ``eegfm.jobs.train.start.take_over``; None without a start.
    """
    params, start, tokenizer = job.params, job.start, job.tokenizer
    seen = split_table.seen(data.mixture["recording_id"])
    return CheckpointHeader(
        phase=job.phase,
        fingerprint=fingerprint,
        encoder=params.encoder.model_dump(mode="json"),
        adapter=params.adapter.model_dump(mode="json"),
        objective=params.objective.model_dump(mode="json"),
        labels={} if objective.auxiliary is None else objective.auxiliary.classes(),
        signal_spec=data.spec.to_dict(),
        encoder_spec=objective.backbone.encoder_spec.to_dict(),
        normalization=params.chosen_normalization.model_dump(mode="json"),
        reference=params.reference,
        bad_channels=params.bad_channels,
        filters=data.filters,
        license=license_of(job),
        imported=None,
        **inherited(
            [one.header for one in (start, tokenizer) if one],
            corpora=data.weights,
            simulated_corpora=[corpus for corpus in data.weights if job.stores[corpus].is_simulated],
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
        tokenizer=tokenizer.weights_sha256() if tokenizer else None,
    )


def license_of(job: TrainingJob) -> str | None:
    """Return the license of the weights: the one that is given, or that of the start."""
    return job.params.license or (job.start.header.license if job.start else None)

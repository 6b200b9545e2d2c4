"""Refuse before the first training what would otherwise be refused after it, and after a look at test persons."""

from collections.abc import Iterable
from dataclasses import replace
from functools import partial

from eegfm.batch import SignalSpec
from eegfm.checkpoint import Checkpoint
from eegfm.encoders.layer_features import refuse_without_layers
from eegfm.errors import CheckpointError, ConfigError, SplitError
from eegfm.evaluation.target_rows import check_targets
from eegfm.heads.base import build_head, head_spec
from eegfm.inference.backbone import asked_backbone, rereference_for
from eegfm.inference.channels_left import with_channels_left
from eegfm.jobs.finetune.asked import AskedTask
from eegfm.jobs.finetune.config import FinetuneParams
from eegfm.jobs.finetune.controls import divided, load_start
from eegfm.jobs.finetune.divisions import Division
from eegfm.jobs.finetune.trained import Model, spec_of_windows
from eegfm.jobs.train.start import check_windows
from eegfm.nn.lora import add_lora
from eegfm.training.started import with_start
from eegfm.training.strategies.rules import freeze_rules
from eegfm.training.supervised.config import SupervisedParams
from eegfm.windows.answers import checked_answers

FIT, STRATEGY = "finetune.fit", "finetune.strategy"
"""Parameters that hold the choices of closed forms: of the controls, and of the finetuned model."""


def check_ahead(
    task: AskedTask,
    divisions: Iterable[Division],
    models: Iterable[Model],
    params: FinetuneParams,
    start: Checkpoint,
) -> None:
    """Refuse a task whose models could be trained and then not answer, or whose controls could not be fitted.

    Test persons may have montages or lengths of windows that no training person has: models are built for all windows
    of the task.

    Args:
        task: What is asked, of which windows.
        divisions: Who is trained on and tested.
        models: The models that are trained, each once.
        params: All choices.
        start: The encoder.

    Raises:
        ConfigError: A model or the start is tied to rows, montages or lengths that windows of the task do not share, or
            the encoder has no layers to choose from; or the strategy does not fit the encoder or the epochs.
        CheckpointError: Weights of the start do not fit.
        SplitError: Training persons are too few to choose a penalty, a number of neighbours or a layer on.
    """
    try:
        spec = spec_of_windows(task.windows, task.store)
        backbone, closed = load_start(start, spec, params), params.closed(task.asked)
        if closed is not None and closed.layers != "last":
            refuse_without_layers(backbone.encoder, STRATEGY)
        for model in models:
            _check_model(model, spec, sorted(set(task.windows["n_samples"])))
        check_fits(task, divisions, params, start)
    except (CheckpointError, ConfigError, SplitError) as error:
        raise type(error)(f"task {task.key}: {error}") from error


def _check_model(model: Model, spec: SignalSpec, lengths: list[int]) -> None:
    """Build a model with fresh weights for all windows, which have these lengths, and leave it."""
    job = model.job
    header = None if job.start is None else job.start.header
    params = with_start(job.params, header, job.phase)
    assert isinstance(params, SupervisedParams), "a finetuning has answers"
    if header is not None:
        check_windows(header, params, spec, job.phase)
    backbone = asked_backbone(params, spec)
    if len(lengths) > 1 and backbone.encoder.traits.one_length:
        raise ConfigError(
            f"{model.name}: encoder {backbone.encoder.name} is tied to windows of one length, and these have "
            f"{', '.join(map(str, lengths))} samples; give the cut one length_s (cuts.*.length_s)"
        )
    asked = params.supervised
    behind = head_spec(backbone.encoder, backbone.encoder_spec, asked.target.spec)
    build_head(asked.head, behind if len(lengths) == 1 else replace(behind, n_patches=None), params.seed)
    if asked.lora is not None:
        add_lora(backbone.lora_targets(), asked.lora.rank, asked.lora.alpha, params.seed)
    freeze_rules(params.tuning, backbone, params.n_epochs)


def check_fits(task: AskedTask, divisions: Iterable[Division], params: FinetuneParams, start: Checkpoint) -> None:
    """Refuse closed forms whose choices cannot be made on the training persons of a division. See ``check_ahead``.

    Raises:
        SplitError: Training persons are too few to choose on.
    """
    windows = with_channels_left(task.windows, {task.corpus: task.store}, partial(rereference_for, start.header))
    truths = checked_answers(windows, task.target, f"task {task.key}", to_learn=False)
    closed = params.closed(task.asked)
    fits = {FIT: params.fit} if closed is None else {FIT: params.fit, STRATEGY: closed}
    for division in divisions:
        rows, persons, train = divided(windows, division)
        test = (rows["split"] == "test").to_numpy()
        for key, fit in fits.items():
            check_targets(truths, task.target, persons, train, test, fit, key)

"""Describe the parameters of finetuning. No torch here."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, NonNegativeInt, ValidationError, field_validator, model_validator

from eegfm.config import Count, Number, StrictModel, first_problem, listed, refuse_repeated
from eegfm.encoders.config import AnyEncoderConfig, EegnetConfig
from eegfm.errors import ConfigError
from eegfm.evaluation.config import (
    HALF_DECADES,
    NEIGHBOURS,
    Distance,
    FitParams,
    Layers,
    Neighbours,
    Penalties,
    Pooling,
    Ratio,
)
from eegfm.heads.config import HeadConfig
from eegfm.losses.config import ClassWeights, LossConfig
from eegfm.training.optimizers.config import AdamWConfig, OptimizerConfig
from eegfm.training.strategies.config import AnyTrainedStrategy, FullStrategy
from eegfm.training.supervised.config import TuningBase, TuningParams

Evaluation = Literal["auto", "split", "cross_validation"]


class _Closed(StrictModel):
    """Fit frozen features in closed form; nothing is trained by gradients.

    Args:
        pooling: See ``eegfm.evaluation.config.FitParams``, like all that follow.
        layers: See there.
        inner_folds: See there.
    """

    pooling: Pooling = "channels"
    layers: Layers = "last"
    inner_folds: int = Field(5, ge=2)


class RidgeStrategy(_Closed):
    """Fit ridge regression to frozen features. For what is left out here see ``_Closed``.

    Args:
        lambdas: See ``eegfm.evaluation.config.FitParams``.
    """

    name: Literal["ridge"] = "ridge"
    lambdas: Penalties = HALF_DECADES


class LogisticStrategy(_Closed):
    """Fit logistic regression to frozen features; numbers are fitted by ridge. See ``RidgeStrategy``.

    Args:
        lambdas: See there.
    """

    name: Literal["logistic"] = "logistic"
    lambdas: Penalties = HALF_DECADES


class KnnStrategy(_Closed):
    """Answer by the nearest training windows in frozen features. For what is left out here see ``_Closed``.

    Args:
        neighbours: See ``eegfm.evaluation.config.FitParams``.
        distance: See there.
    """

    name: Literal["knn"] = "knn"
    neighbours: Neighbours = NEIGHBOURS
    distance: Distance = "cosine"


ClosedStrategy = RidgeStrategy | LogisticStrategy | KnnStrategy
StrategyConfig = Annotated[AnyTrainedStrategy | ClosedStrategy, Field(discriminator="name")]
"""All strategies: by gradients, and in closed form."""


_NONE = ("loss", "monitor", "patience")
"""Choices of which none is one: the usual loss, the usual monitor, no early end."""


class FinetuneTask(StrictModel):
    """Name a task of a finetuning, and its own choices. The name of a cut alone is enough.

    Args:
        name: Name of the task in metrics, predictions and messages.
        corpus: Name of a probed corpus; by default all probed corpora that have the cut.
        cut: The cut whose windows have the answers; the one of the task's name by default.
        strategy: See ``TuningParams``; like the following, that of the whole finetuning by default.
        head: See there.
        loss: See there.
        class_weights: See there.
        optimizer: See there.
        batch_size: See there.
        n_epochs: See there.
        patience: See there.
        monitor: See there.
        drawn_by: See there.
    """

    name: str = Field(pattern=r"^\w[\w.-]*$", max_length=80)
    corpus: str = ""
    cut: str = ""
    strategy: StrategyConfig | None = None
    head: HeadConfig | None = None
    loss: LossConfig | None = None
    class_weights: ClassWeights | None = None
    optimizer: OptimizerConfig | None = None
    batch_size: Count | None = None
    n_epochs: Number | None = None
    patience: Number | None = None
    monitor: str | None = None
    drawn_by: Literal["windows", "classes"] | None = None

    @property
    def own_cut(self) -> str:
        """Return the name of the cut."""
        return self.cut or self.name

    @property
    def own(self) -> dict[str, Any]:
        """Return the choices that the task makes for itself, by name."""
        names = TuningParams.model_fields.keys() & self.model_fields_set
        return {name: value for name in sorted(names) if (value := getattr(self, name)) is not None or name in _NONE}


def _named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


class FinetuneParams(TuningBase):
    """Finetune an encoder on tasks, each on its own. The choices of ``TuningParams`` hold for all tasks.

    Args:
        tasks: Names of cuts, e.g. ``[eyes, age]``, or tasks with choices of their own. Left out in the parameters of a
            project, they are those of the probe.
        start: Encoder to start from: that of the last phase (``previous``), of the file that ``ENCODER`` names
            (``file``).
        evaluation: ``split`` trains on split ``train``, selects on ``validation`` and scores ``test`` once.
            ``cross_validation`` holds out one fold of split ``test`` after the other, trains on everybody else, and
            selects on the next fold. ``auto`` takes the first where somebody is to be trained on.
        n_folds: Folds of a cross-validation, at most: more of ``split.folds`` are held out together.
        seeds: Seeds of the trainings; scores are averaged over them.
        control_optimizer: Optimizer of ``scratch`` and ``eegnet``, which are trained from fresh weights: what suits a
            trained encoder would hardly move them.
        eegnet: The small network that is trained from scratch as a control.
        eegnet_montage: Montage that the control interpolates to where windows have several montages.
        fit: Closed-form fits of the controls. Its ``transductive`` is not used: what z-scores per person gain stands in
            the audits.
        n_untrained: Untrained initialisations of the encoder, as a control.
        untrained_seed: Seed of the first one; the others count up from it.
        n_bootstrap: Resamples of persons for each interval.
        bootstrap_seed: Seed of the resamples.
        label_ratios: Shares of the training persons that all models are also trained on, for a curve of label
            efficiency; none if empty. Those who select stay. A share of 1 is the run itself.
        label_seed: Seed of the order of persons in which shares grow.
        encoders: Finetuned encoders that are stored: of each fold and seed, or of the first ones alone.
        score_again: Score test windows anew that the same run has scored before. It counts as another look.
        allow_pretrained_persons: Also test persons and signals of the pretraining; the metrics list them.
        strategy: Which weights are trained, and when; or a closed form on frozen features.
        accept_other_data: Start from an encoder that was trained on another generation of signals or splits.
        predict_batch_size: Windows per pass of predictions.
        keep_runs: Finished trainings whose folders are kept when a finetuning has ended, the latest ones, and as many
            files of what models said of test windows; those of this finetuning in any case, all by default.
    """

    tasks: (
        Annotated[tuple[Annotated[FinetuneTask, BeforeValidator(_named)], ...], Field(min_length=1), listed("eyes")]
        | None
    ) = None
    strategy: StrategyConfig = FullStrategy()
    start: Literal["previous", "file"] = "previous"
    evaluation: Evaluation = "auto"
    n_folds: int = Field(5, ge=3)
    seeds: tuple[NonNegativeInt, ...] = Field(default=(0,), min_length=1)
    control_optimizer: OptimizerConfig = AdamWConfig(learning_rate=1e-3)
    eegnet: AnyEncoderConfig = EegnetConfig()
    eegnet_montage: str = "1020_19"
    fit: FitParams = FitParams(transductive=False)
    n_untrained: Count = 3
    untrained_seed: NonNegativeInt = 1000
    n_bootstrap: int = Field(2000, ge=100)
    bootstrap_seed: NonNegativeInt = 0
    label_ratios: tuple[Ratio, ...] = ()
    label_seed: NonNegativeInt = 0
    encoders: Literal["all", "first"] = "all"
    score_again: bool = False
    allow_pretrained_persons: bool = False
    accept_other_data: bool = False
    predict_batch_size: Count = 256
    keep_runs: Count | None = None

    @field_validator("fit")
    @classmethod
    def _is_not_transductive(cls, fit: FitParams) -> FitParams:
        if fit.transductive and "transductive" in fit.model_fields_set:
            raise ValueError(
                "transductive is true, and a finetuning has no transductive scores (the audits say what z-scores per "
                "person gain); leave fit.transductive out"
            )
        return fit.model_copy(update={"transductive": False})

    @model_validator(mode="after")
    def _tasks_fit(self) -> Self:
        tasks = self.tasks or ()
        refuse_repeated([f"{task.corpus}.{task.name}".removeprefix(".") for task in tasks], "task")
        refuse_repeated([str(seed) for seed in self.seeds], "seed")
        if self.fit.is_trained:
            raise ValueError("fit.method is linear_probe, which is no closed form; choose ridge, logistic or knn")
        refuse_repeated([f"{ratio:g}" for ratio in self.label_ratios], "share of persons in label_ratios")
        if self.fit.layers != "last":
            raise ValueError(
                f"fit.layers is {self.fit.layers!r}, and controls take features of the last layer; leave fit.layers "
                "out, or choose layers of a strategy (ridge, logistic, knn)"
            )
        for task in tasks:
            try:
                self.tuning(task)
            except ValidationError as error:
                raise ValueError(f"task {task.name!r}: {first_problem(error)}") from error
        return self

    @property
    def asked(self) -> tuple[FinetuneTask, ...]:
        """Return the tasks.

        Raises:
            ConfigError: There are none, and no probe has any.
        """
        if self.tasks is None:
            raise ConfigError("parameter finetune.tasks is missing; name cuts with a task, such as [eyes]")
        return self.tasks

    def tuning(self, task: FinetuneTask) -> TuningParams:
        """Return the choices for a task: its own, and those of the whole finetuning.

        Where the strategy is a closed form, they are those of the controls that are trained.
        """
        shared = {name: getattr(self, name) for name in TuningParams.model_fields}
        found = {**shared, **task.own}
        if self.closed(task) is not None:
            found["strategy"] = FullStrategy()
        if self.allow_pretrained_persons:
            found["load"] = self.load.model_copy(update={"allow_test_persons": True})
        return TuningParams.model_validate(found)

    def closed(self, task: FinetuneTask) -> FitParams | None:
        """Return the fit of a task whose strategy is a closed form; None for one by gradients."""
        strategy = task.strategy or self.strategy
        if not isinstance(strategy, ClosedStrategy):
            return None
        # What was not chosen is left out: a fit refuses choices that nothing uses.
        given = strategy.model_dump(exclude={"name"}, exclude_defaults=True)
        return FitParams.model_validate({**given, "method": strategy.name, "transductive": False})

    def identity(self) -> dict[str, Any]:
        """Return the options that decide the result: all except those for the machine."""
        shares = sorted(ratio for ratio in self.label_ratios if ratio < 1)
        without = {"accelerator", "deterministic", "devices", "license", "load", "loader", "progress_bar", "checkpoint"}
        without |= {"resume", "start", "score_again", "predict_batch_size", "keep_runs", "encoders"}
        without |= {"label_ratios", "label_seed"}
        return self.model_dump(mode="json", exclude=without) | {"shares": [*shares, self.label_seed] if shares else []}

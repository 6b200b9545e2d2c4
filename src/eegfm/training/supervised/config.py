"""Parameters of one supervised training, as a job puts them together. No torch and no Lightning here."""

from typing import Any, Literal

from pydantic import PositiveFloat, model_validator

from eegfm.config import Count, Number, StrictModel
from eegfm.errors import ConfigError
from eegfm.heads.config import HeadConfig, MlpConfig
from eegfm.losses.config import ClassWeights, LossConfig, NoWeights, check_loss
from eegfm.metrics.keys import check_monitor
from eegfm.metrics.names import primary_metric
from eegfm.objectives.config import AnyObjectiveConfig
from eegfm.objectives.supervised.config import SupervisedConfig
from eegfm.targets import TargetSpec
from eegfm.training.blocks import CheckpointParams, FreezeRule, LoaderParams, SupervisedLoadParams, WeightAverageParams
from eegfm.training.config import PretrainParams
from eegfm.training.optimizers.config import AdamWConfig, OptimizerConfig
from eegfm.training.schedules.config import ScheduleConfig, WarmupCosineConfig
from eegfm.training.strategies.config import FullStrategy, TrainedStrategy


class SupervisedParams(PretrainParams):
    """All that one supervised training is told, apart from its data.

    Args:
        objective: What is asked of a window, the head and the loss.
        tuning: Which weights are trained, and when.
        monitor: Value by which validations are compared, such as ``val/balanced_accuracy``.
        higher_is_better: Whether that value is better the higher it is.
        patience: Validations without a better one after which the training ends; None never ends it early.
        load: Exceptions of the start, and whether its head is kept.
    """

    objective: SupervisedConfig | AnyObjectiveConfig  # type: ignore[assignment]  # no phase may have it
    tuning: TrainedStrategy = FullStrategy()
    monitor: str = "val/loss"
    higher_is_better: bool = False
    patience: Number | None = 10
    optimizer: OptimizerConfig = AdamWConfig(learning_rate=1e-4)
    batch_size: Number = 64
    publish: Literal["last", "best"] = "best"
    load: SupervisedLoadParams = SupervisedLoadParams()

    @property
    def supervised(self) -> SupervisedConfig:
        """The objective."""
        assert isinstance(self.objective, SupervisedConfig), "the validator sees to it"
        return self.objective

    @model_validator(mode="after")
    def _is_supervised(self) -> "SupervisedParams":
        if not isinstance(self.objective, SupervisedConfig):
            raise ValueError(f"objective.name is {self.objective.name!r}; a supervised training has 'supervised'")
        check_monitor(self.monitor, self.objective.target.spec)
        return self

    def identity(self) -> dict[str, Any]:
        """Return the options that decide the result: those of ``PretrainParams``, and which head is started from."""
        return super().identity() | {"head_of_start": self.load.head}

    def rules(self, objective: Any) -> tuple[FreezeRule, ...]:
        """Return the parts that are frozen: those of the strategy."""
        from eegfm.training.strategies.rules import freeze_rules

        return (*super().rules(objective), *freeze_rules(self.tuning, objective.backbone, self.n_epochs))


class TuningBase(StrictModel):
    """Choices of a supervised training on a task but its strategy: what a user decides, apart from its data.

    Args:
        head: Network behind the encoder.
        loss: Loss of its answers; the usual one of the kind of answer if not given.
        class_weights: Weights of the classes in the loss, from windows of training persons.
        drawn_by: ``windows`` shows every window once per epoch. ``classes`` shows all classes equally often, in as many
            windows: rare ones several times, frequent ones not all. Beside it, class weights would count rare classes
            twice.
        optimizer: The optimizer; ``learning_rates`` gives encoder and head rates of their own.
        schedule: Schedule of the learning rate.
        batch_size: Windows per optimizer step.
        accumulate: Parts that a batch is cut into; their gradients add up to one step.
        n_epochs: Passes through the training windows, at most.
        patience: Epochs without a better validation after which the training ends; None for never.
        monitor: Key that validations are compared by, such as ``val/auroc``. By default the loss of a regression, and
            the task's own measure of classes.
        gradient_clip: Largest norm of the gradient; None for no limit.
        weight_average: See ``PretrainParams``, like all that follow.
        loader: See there.
        load: See there.
        license: See there.
        accelerator: See there.
        devices: See there.
        precision: See there.
        compile: See there.
        deterministic: See there.
        progress_bar: See there.
        checkpoint: See there.
        resume: See there.
    """

    head: HeadConfig = MlpConfig()
    loss: LossConfig | None = None
    class_weights: ClassWeights = NoWeights()
    drawn_by: Literal["windows", "classes"] = "windows"
    optimizer: OptimizerConfig = AdamWConfig(learning_rate=1e-4)
    schedule: ScheduleConfig = WarmupCosineConfig()
    batch_size: Count = 64
    accumulate: Count = 1
    n_epochs: Number = 50
    patience: Number | None = 10
    monitor: str | None = None
    gradient_clip: PositiveFloat | None = 1.0
    weight_average: WeightAverageParams | None = None
    loader: LoaderParams = LoaderParams()
    load: SupervisedLoadParams = SupervisedLoadParams()
    license: str | None = None
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    devices: Count | Literal["auto"] = 1
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    compile: bool = False
    deterministic: bool = False
    progress_bar: bool = True
    checkpoint: CheckpointParams = CheckpointParams()
    resume: bool = True

    def check(self, target: TargetSpec) -> None:
        """Refuse choices that do not fit what is asked.

        Raises:
            ConfigError: A loss, weights of classes, draws or a monitor do not fit the kind of answer.
        """
        self.monitored(target)
        if self.loss is not None:
            check_loss(self.loss, target)
        if self.class_weights.name != "none" and target.kind == "regression":
            raise ConfigError(
                f"class_weights {self.class_weights.name!r}: a regression has no classes; leave class_weights out"
            )

        if self.drawn_by == "classes" and target.kind not in ("binary", "multiclass"):
            raise ConfigError(
                f"drawn_by 'classes': windows of a {target.kind} answer have not one class each; leave drawn_by out"
            )

    def monitored(self, target: TargetSpec) -> str:
        """Return the key that validations are compared by.

        Raises:
            ConfigError: The task has no such value.
        """
        # R2 is not defined where all windows of a validation have one number; the loss always is.
        own = "loss" if target.kind == "regression" else primary_metric(target)
        return check_monitor(self.monitor or f"val/{own}", target)


class TuningParams(TuningBase):
    """Choices of a supervised training on a task. For what is left out here see ``TuningBase``.

    Args:
        strategy: Which weights are trained, and when.
    """

    strategy: TrainedStrategy = FullStrategy()

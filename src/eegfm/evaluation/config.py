"""Configurations of the probes."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from eegfm.config import Count, Number, StrictModel, listed, refuse_repeated, refuse_unused

Penalty = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Penalties = Annotated[tuple[Penalty, ...], Field(min_length=1)]
Neighbours = Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)]
Distance = Literal["cosine", "euclidean"]
Pooling = Literal["channels", "mean"]
"""Pooling of a window's features over channels: all channels side by side, or their mean."""
Method = Literal["ridge", "logistic", "knn", "linear_probe"]
"""Fit of classes. Numbers are fitted by ridge, by nearest neighbours (``knn``), or by gradients (``linear_probe``)."""
Layers = Literal["last", "mean", "chosen"]
"""Layers of the encoder that give features: the last, the mean of all, or the one that serves training persons best."""
Evaluation = Literal["cross_validation", "split"]
"""How test persons are predicted: from one another, or from the persons of the other splits."""
ControlKind = Literal["majority", "band_power", "relative_band_power", "log_covariance"]
"""Controls that need no encoder; see ``eegfm.evaluation.controls``."""
Ratio = Annotated[float, Field(gt=0, le=1)]

UNUSED_BY_RETRIEVAL = ("method", "lambdas", "neighbours", "distance", "inner_folds", "training")
"""Choices of fits."""
UNUSED_BY: Mapping[Method, tuple[str, ...]] = {
    "ridge": ("neighbours", "distance", "training"),
    "logistic": ("neighbours", "distance", "training"),
    "knn": ("lambdas", "training"),
    "linear_probe": ("neighbours", "distance", "layers"),
}
"""By method, the choices that nothing reads."""
HALF_DECADES = tuple(10.0 ** (k / 2) for k in range(-6, 11))
NEIGHBOURS = (1, 2, 5, 10, 20, 50, 100)


class HeadTraining(StrictModel):
    """Training of a linear head by gradients on the frozen encoder, by method ``linear_probe``.

    Args:
        n_epochs: Passes through the training windows, at most.
        patience: Epochs without a better validation after which the training ends; None for never.
        batch_size: Windows per optimizer step.
        learning_rate: Largest learning rate of AdamW.
    """

    n_epochs: Number = 50
    patience: Number | None = 10
    batch_size: Count = 64
    learning_rate: float = Field(1e-3, gt=0, allow_inf_nan=False)


class FitParams(StrictModel):
    """Choices that a task may make for itself.

    Args:
        method: Closed-form ridge on class targets, logistic regression, or the nearest training windows (``knn``).
            Numbers are fitted by ridge or by the nearest windows. ``linear_probe`` trains a linear head by gradients on
            encoders, with balanced weights of classes; controls without an encoder are then fitted by ridge.
        pooling: Features are averaged over time patches; ``channels`` keeps the channels side by side (one
            montage only), ``mean`` averages over them as well.
        layers: Features of the last layer of an encoder, of the mean of all its layers, or of the layer that is chosen
            on training persons as the penalty is. Controls without an encoder have no layers.
        lambdas: Penalties to choose from, per training window (ridge and logistic regression minimise a mean loss). See
            ``eegfm.evaluation.penalty`` for the choice.
        neighbours: Numbers of nearest training windows to choose from, by method ``knn``.
        distance: Distance of standardised features by which windows are near, by method ``knn``.
        inner_folds: Groups of training persons on which the penalty is chosen; at most one person each. One of as many
            groups selects the epoch of a trained head.
        training: Training of the head, by method ``linear_probe``.
        transductive: Also report features z-scored per person without labels. This uses the held-out person's windows,
            so the scores have a row of their own. Numbers of persons, such as age, have no such row: z-scores erase
            what persons differ in.
    """

    method: Method = "ridge"
    pooling: Pooling = "channels"
    layers: Layers = "last"
    lambdas: Penalties = HALF_DECADES
    neighbours: Neighbours = NEIGHBOURS
    distance: Distance = "cosine"
    inner_folds: int = Field(5, ge=2)
    training: HeadTraining = HeadTraining()
    transductive: bool = True

    @model_validator(mode="after")
    def _options_are_used(self) -> Self:
        refuse_unused(self, UNUSED_BY[self.method], f"by method {self.method}")
        if not self.has_choice and not self.is_trained:
            asked = f"{self.strength} has one value"
            refuse_unused(self, ["inner_folds"], f"where {asked}, so that there is nothing to choose")
        return self

    @property
    def is_trained(self) -> bool:
        """Tell whether a head is trained by gradients."""
        return self.method == "linear_probe"

    @property
    def closed(self) -> "FitParams":
        """The fit in closed form: this one, or that of the controls of a trained head."""
        if not self.is_trained:
            return self
        given = self.model_dump(include={"pooling", "lambdas", "inner_folds"}, exclude_defaults=True)
        if len(self.lambdas) == 1:
            given.pop("inner_folds", None)
        return FitParams(**given, transductive=False)

    @property
    def strength(self) -> str:
        """Name of the option whose values, from weak to strong smoothing, are chosen from."""
        return "neighbours" if self.method == "knn" else "lambdas"

    @property
    def strengths(self) -> tuple[float, ...]:
        """Values to choose from, the weakest first."""
        values: tuple[float, ...] = getattr(self, self.strength)
        return tuple(sorted(values))

    @property
    def has_choice(self) -> bool:
        """Tell whether something is chosen on training persons."""
        return len(self.strengths) > 1 or self.layers == "chosen"


class TaskParams(StrictModel):
    """A task of a probe. The name of a cut alone is enough.

    Args:
        name: Name of the task in metrics, predictions, figures and messages.
        corpus: Name of a probed corpus; by default all probed corpora that have the cut.
        cut: The cut whose labelled windows are asked for; the one of the task's name by default.
        kind: ``answer`` fits the answers of windows. ``retrieval`` fits nothing: it looks for the moment of a movie
            that a window shows among moments as other persons saw them; see ``eegfm.evaluation.retrieval``.
        candidates: Moments that a retrieval chooses from, 64 by default.
        method: See ``FitParams``; like the following, that of the whole probe by default.
        pooling: See there.
        layers: See there.
        lambdas: See there.
        neighbours: See there.
        distance: See there.
        inner_folds: See there.
        training: See there.
        transductive: See there.
    """

    name: str = Field(min_length=1)
    corpus: str = ""
    cut: str = ""
    kind: Literal["answer", "retrieval"] = "answer"
    candidates: int | None = Field(None, ge=2)
    method: Method | None = None
    pooling: Pooling | None = None
    layers: Layers | None = None
    lambdas: Penalties | None = None
    neighbours: Neighbours | None = None
    distance: Distance | None = None
    inner_folds: int | None = Field(None, ge=2)
    training: HeadTraining | None = None
    transductive: bool | None = None

    @model_validator(mode="after")
    def _options_are_used(self) -> Self:
        if self.kind == "retrieval":
            refuse_unused(self, UNUSED_BY_RETRIEVAL, "by a retrieval, which fits nothing")
        else:
            refuse_unused(self, ["candidates"], "where kind is answer")
        return self

    @property
    def n_candidates(self) -> int:
        """Moments that a retrieval chooses from."""
        return self.candidates or 64

    @property
    def own_cut(self) -> str:
        """Name of the cut."""
        return self.cut or self.name

    @property
    def own(self) -> dict[str, Any]:
        """Choices that differ from those of the whole probe, by name."""
        given = {name: getattr(self, name) for name in FitParams.model_fields}
        return {name: value for name, value in given.items() if value is not None}


def _named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


class ProbeParams(FitParams):
    """Evaluation of a frozen encoder on persons it has never seen.

    The choices of ``FitParams`` hold for all tasks that do not make them for themselves.

    Args:
        tasks: Names of cuts, e.g. ``[eyes, age]``, or tasks with choices of their own; see ``TaskParams``. A task asks
            for a class or for a number, which follows from its windows.
        evaluation: ``cross_validation`` predicts each test person from the test persons of other folds; ``split.folds``
            decides who is held out together. ``split`` fits to the persons of splits ``train`` and ``validation`` and
            predicts the test persons once. A project with ``split.protocol: official`` takes the latter where nothing
            is said. A retrieval fits nothing: it looks among the test persons in both.
        n_untrained: Number of untrained initialisations of the same encoder, for comparison.
        untrained_seed: Seed of the first untrained initialisation; the others count up from it.
        n_bootstrap: Number of resamples of persons for each interval.
        label_ratios: Shares of the training persons whose labels are used, for a curve of label efficiency; none is
            computed if empty. See ``eegfm.evaluation.label_efficiency``.
        seed: Seed of the bootstrap, of the persons of each share, and of trained heads.
        allow_pretrained_persons: Also probe persons and signals of the pretraining; the metrics list them.
        accept_other_code: Probe an encoder that was made by other code than the present code; the metrics list the
            differences.
        accept_other_data: Probe an encoder that was trained on another generation of signals or splits.
        batch_size: Windows per forward pass.
        accelerator: Device of the encoder; ``auto`` takes a GPU if there is one.
        precision: Number format of the encoder's matrix products: ``bf16-mixed`` rounds them to bfloat16.
        verify: Comparison of stored samples with their checksums: each block before its first use, or never.
    """

    tasks: Annotated[tuple[Annotated[TaskParams, BeforeValidator(_named)], ...], Field(min_length=1), listed("eyes")]
    evaluation: Evaluation = "cross_validation"
    n_untrained: int = Field(5, ge=1)
    untrained_seed: int = Field(1000, ge=0)
    n_bootstrap: int = Field(2000, ge=100)
    label_ratios: tuple[Ratio, ...] = ()
    seed: int = Field(0, ge=0)
    allow_pretrained_persons: bool = False
    accept_other_code: bool = False
    accept_other_data: bool = False
    batch_size: int = Field(256, ge=1)
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    verify: Literal["first_read", "off"] = "first_read"

    @model_validator(mode="after")
    def _tasks_fit(self) -> Self:
        refuse_repeated([f"{task.corpus}.{task.name}".removeprefix(".") for task in self.tasks], "task")
        for task in self.tasks:
            try:
                self.fit(task)
            except ValueError as error:
                message = str(error)
                raise ValueError(f"task {task.name!r}: {message}") from error
            if self.label_ratios and self.fit(task).is_trained:
                raise ValueError(
                    f"task {task.name!r}: label_ratios are scored by closed forms, and method is linear_probe; leave "
                    "label_ratios out, or choose ridge, logistic or knn"
                )
        return self

    def fit(self, task: TaskParams) -> FitParams:
        """Choices for a task: its own, and those of the whole probe.

        Raises:
            ValueError: A choice is never used, or a retrieval is to choose a layer or to train a head.
        """
        merged = {**{name: getattr(self, name) for name in FitParams.model_fields}, **task.own}
        # What a task does not use of the choices of all others is no mistake of its own.
        unused = set(UNUSED_BY[merged["method"]]) if "method" in task.own else set()
        strength = "neighbours" if merged["method"] == "knn" else "lambdas"
        is_trained = merged["method"] == "linear_probe"
        if len(task.own.get(strength, ())) == 1 and merged["layers"] != "chosen" and not is_trained:
            unused = unused | {"inner_folds"}
        for name in unused - task.own.keys():
            merged[name] = FitParams.model_fields[name].default
        if task.kind == "retrieval" and merged["layers"] == "chosen":
            raise ValueError("a retrieval fits nothing that could choose a layer; give it layers: last or mean")
        if is_trained and task.kind == "retrieval":
            raise ValueError(
                "a retrieval fits nothing, and method linear_probe trains a head; give the method to the other tasks"
            )
        if is_trained:
            if task.transductive:
                raise ValueError(
                    "transductive features are z-scored per person, and a head that is trained on an encoder has none; "
                    "leave transductive out"
                )
            merged["transductive"] = False
        return FitParams.model_validate(merged)

    def identity(self) -> dict[str, Any]:
        """Options that decide the result: all except those for the machine."""
        return self.model_dump(mode="json", exclude={"batch_size", "accelerator", "verify"})

"""Parameters of a phase of training. No torch and no Lightning here."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import NonNegativeInt, PositiveFloat, model_validator

from eegfm.adapters.config import AdapterConfig, NoAdapterConfig
from eegfm.config import Count, Number, StrictModel
from eegfm.encoders.config import AnyEncoderConfig, LabramConfig, PatchTransformerConfig
from eegfm.encoders.labram.tokenizer_config import TOKENIZER_ENCODER
from eegfm.normalizations.config import NormalizationBase, NormalizationConfig
from eegfm.objectives.base_config import EncoderFacts
from eegfm.objectives.config import AnyObjectiveConfig, MaskedConfig, TokenizerConfig
from eegfm.recording import BadChannels
from eegfm.training.blocks import (
    CheckpointParams,
    FreezeRules,
    LoaderParams,
    LoadParams,
    ShuffleParams,
    WeightAverageParams,
)
from eegfm.training.optimizers.config import AdamWConfig, OptimizerConfig
from eegfm.training.pairings import PairConfig, PairParams, by_corpus, pairing_named
from eegfm.training.phases import Start
from eegfm.training.schedules.config import ScheduleConfig, WarmupCosineConfig
from eegfm.training.schedules.length import RunLength

_N_TOKENIZER_EPOCHS = 100
_TOKENIZER_OPTIMIZER: Mapping[str, Any] = {
    "name": "adamw", "learning_rate": 5e-5, "betas": (0.9, 0.99), "weight_decay": 1e-4,
}  # fmt: skip
"""Optimizer of the published training (README.md and run_vqnsp_training.py of 935963004/LaBraM)."""


class PretrainParams(StrictModel):
    """All that a pretraining run is told, apart from its data.

    Args:
        encoder: The encoder to train.
        adapter: Adapter from every montage to the channels of the encoder. Its weights are trained too.
        normalization: Normalization of the signal before the encoder; the encoder's own if not given.
        objective: The self-supervised task.
        start: Weights that the phase starts from, see ``eegfm.training.phases``. They decide encoder, adapter,
            normalization, reference and bad_channels, which are left out then.
        optimizer: The optimizer.
        schedule: Schedule of the learning rate.
        reference: Reference of the windows for the encoder.
        bad_channels: ``mask`` leaves them out of the average and of all that the encoder sees; ``interpolate`` puts in
            their place what splines through the good scalp electrodes say. See ``eegfm.nn.rereference.Rereference``.
        pairs: Pairs of windows that an objective trains on which trains on pairs: one pairing or a list for all
            corpora, or such by corpus. Those of a list take turns. The objective's own pairing if not given.
        batch_size: Windows per optimizer step, all corpora together; the corpus weights must divide it.
        accumulate: Parts that each micro-batch is cut into; only one of them is in memory, their gradients add up to
            one optimizer step. See docs/training.md for what is no longer that of the whole micro-batch.
        n_steps: Optimizer steps; give this or ``n_epochs``.
        n_epochs: Passes, each of as many windows as there are in all corpora together.
        shuffle: Shuffling of windows; fully by default, for signals in memory or on a fast disk.
        loader: Loading of batches to the device.
        load: Exceptions where the training starts from an encoder; refused where it does not.
        freeze: Weights that are not trained at first, or not at all: one rule or a list.
        gradient_clip: Largest norm of the gradient; longer gradients are scaled down. None: they are not.
        weight_average: Moving average of the weights towards the end, for validation and the checkpoint; None for none.
        seed: Seed of initial weights, order of windows and masks.
        license: License of the weights for the checkpoint's header; None if not given.
        log_interval_steps: Steps between two points of the history.
        validation_interval_steps: Steps between two validations; one more follows the last step.
        n_validation_windows: Largest number of windows per corpus that a validation looks at, spread evenly.
        accelerator: Device of the training; ``auto`` takes a CUDA device, else an Apple GPU (mps), else the CPU.
        devices: Devices of each node, one process each; ``auto`` takes all GPUs, or one process without CUDA.
        num_nodes: Machines that train together, each with as many devices.
        strategy: How processes share the work. ``ddp`` gives each a whole model and a part of every batch. ``fsdp``
            is refused.
        rendezvous: HOST:PORT at which nodes meet; None takes it from SLURM.
        precision: Number format of matrix products. ``bf16-mixed`` is refused on a CPU that computes it wrong.
        compile: Compile the encoder with ``torch.compile``: once for the shapes of each montage. What cannot be
            compiled is refused.
        deterministic: Allow only algorithms that give the same bits each time, also on a GPU. They are slower.
        progress_bar: Whether to draw one; only ever on a terminal. Elsewhere a line every ten seconds is logged.
        checkpoint: States of the training that an interrupted run goes on from.
        resume: Go on from the last state of this run, or of one that differs in nothing but fewer steps. False starts
            anew and removes the states of this run.
        keep_runs: Number of finished runs whose folders are kept when a training has ended, the latest ones; all by
            default. Unfinished ones that could go on are kept with a line.
        max_skipped_steps: Number of steps whose loss or gradient may be not finite. They are left out; one more stops
            the training.
        publish: Weights of the encoder that is stored: those of the ``last`` step, or of the ``best`` validation.
        overwrite: Replace a stored encoder that this training would not make again: an imported one, or one that other
            parameters, other data or other code made. Otherwise it is refused.
    """

    encoder: AnyEncoderConfig = PatchTransformerConfig()
    adapter: AdapterConfig = NoAdapterConfig()
    normalization: NormalizationConfig | None = None
    objective: AnyObjectiveConfig = MaskedConfig()
    start: Start = "scratch"
    optimizer: OptimizerConfig = AdamWConfig()
    schedule: ScheduleConfig = WarmupCosineConfig()
    reference: Literal["average", "as_recorded", "tcp_bipolar"] = "average"
    bad_channels: BadChannels = "mask"
    pairs: PairParams | None = None
    batch_size: Count = 40
    accumulate: Count = 1
    n_steps: Number | None = None
    n_epochs: Number | None = None
    shuffle: ShuffleParams = ShuffleParams()
    loader: LoaderParams = LoaderParams()
    load: LoadParams = LoadParams()
    freeze: FreezeRules = ()
    gradient_clip: PositiveFloat | None = 1.0
    weight_average: WeightAverageParams | None = None
    seed: NonNegativeInt = 0
    license: str | None = None
    log_interval_steps: Number = 10
    validation_interval_steps: Number = 100
    n_validation_windows: Number = 200
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    devices: Count | Literal["auto"] = 1
    num_nodes: Count = 1
    strategy: Literal["auto", "ddp", "fsdp"] = "auto"
    rendezvous: str | None = None
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    compile: bool = False
    deterministic: bool = False
    progress_bar: bool = True
    checkpoint: CheckpointParams = CheckpointParams()
    resume: bool = True
    keep_runs: Count | None = None
    max_skipped_steps: NonNegativeInt = 10
    publish: Literal["last", "best"] = "last"
    overwrite: bool = False

    @model_validator(mode="before")
    @classmethod
    def _null_is_left_out(cls, data: Any) -> Any:
        """Take ``encoder: null`` for an encoder that is left out: no layer of parameters can take a key away."""
        if isinstance(data, Mapping) and "encoder" in data and data["encoder"] is None:
            return {name: value for name, value in data.items() if name != "encoder"}
        return data

    @model_validator(mode="after")
    def _one_length(self) -> "PretrainParams":
        if (self.n_steps is None) == (self.n_epochs is None):
            raise ValueError(f"n_steps is {self.n_steps} and n_epochs is {self.n_epochs}; give exactly one of them")
        return self

    @property
    def chosen_normalization(self) -> NormalizationBase:
        """The normalization that is configured, or the encoder's own."""
        return self.normalization or self.encoder.default_normalization

    @property
    def chosen_pairs(self) -> tuple[PairConfig, ...] | dict[str, tuple[PairConfig, ...]] | None:
        """The pairs that are configured, or the objective's own; None for an objective that trains on windows."""
        default = self.objective.default_pairing
        return self.pairs if self.pairs is not None or default is None else (pairing_named(default),)

    def drawn_cuts(self, corpora: Iterable[str]) -> list[str | None]:
        """Return the cuts of a mixture of these corpora that are drawn from; None is the one of ``mix.cut``.

        Raises:
            ConfigError: A corpus has no pairing.
        """
        if self.chosen_pairs is None:
            return [None]
        return [pairing.cut for chosen in by_corpus(self.chosen_pairs, corpora).values() for pairing in chosen]

    @model_validator(mode="after")
    def _pairs_stay_whole(self) -> "PretrainParams":
        if self.chosen_pairs is None:
            return self
        if not self.objective.trains_on_pairs:
            raise ValueError(
                f"pairs are given, but objective {self.objective.name} draws windows one by one; leave pairs out "
                "(pairs: null drops those of a file), or choose an objective on pairs, such as contrastive"
            )
        chosen = self.chosen_pairs.values() if isinstance(self.chosen_pairs, dict) else [self.chosen_pairs]
        for name in (pairing.name for of_corpus in chosen for pairing in of_corpus):
            if self.objective.only_pairings and name not in self.objective.only_pairings:
                raise ValueError(
                    f"pairs.name is {name}, and objective {self.objective.name} compares pairs of "
                    f"{' or '.join(self.objective.only_pairings)} alone; leave pairs out, or choose objective "
                    "contrastive"
                )
        if self.shuffle.run_windows > 1:
            raise ValueError(
                f"shuffle.run_windows is {self.shuffle.run_windows}, but pairs are shuffled one by one; leave shuffle "
                "out"
            )
        return self

    @model_validator(mode="after")
    def _encoder_can(self) -> "PretrainParams":
        of_start = self.start != "scratch"
        facts = EncoderFacts.of(self.encoder, self.chosen_normalization, self.adapter, is_of_start=of_start)
        self.objective.check_encoder(facts)
        return self

    @model_validator(mode="after")
    def _batches_are_whole(self) -> "PretrainParams":
        if self.accumulate > 1 and self.objective.needs_whole_batch:
            raise ValueError(
                f"accumulate is {self.accumulate}, and the loss of objective {self.objective.name} is one of the whole "
                "micro-batch, which cannot be cut into parts; set accumulate: 1, and a smaller batch_size if memory is "
                "short"
            )
        return self

    @model_validator(mode="after")
    def _schedule_ends(self) -> "PretrainParams":
        n_validations = None if self.n_steps is None else self.n_validations(self.n_steps)
        self.schedule.check(RunLength(self.n_steps, self.n_epochs, n_validations))
        return self

    def n_validations(self, n_steps: int) -> int:
        """Return the number of validations of a run that has windows to validate on; the last follows the last step."""
        return -(-n_steps // self.validation_interval_steps)

    @model_validator(mode="after")
    def _optimizer_fits(self) -> "PretrainParams":
        if self.start != "file" or "adapter" in self.model_fields_set:  # else the file tells the adapter
            self.optimizer.check_model(self.adapter, self.encoder, is_of_start=self.start != "scratch")
        return self

    @model_validator(mode="after")
    def _released_within_the_run(self) -> "PretrainParams":
        for rule in self.freeze:
            if self.n_epochs is not None and rule.until_epoch is not None and rule.until_epoch >= self.n_epochs:
                raise ValueError(beyond_the_run(rule.until_epoch, self.n_epochs))
        return self

    @model_validator(mode="after")
    def _ranks_can(self) -> "PretrainParams":
        if self.strategy == "fsdp":
            raise ValueError(
                "strategy is fsdp; weights are not shared out over devices, every device holds the whole model; "
                "choose ddp or auto"
            )
        n_least = self.num_nodes * (1 if self.devices == "auto" else self.devices)
        unit = n_least * self.accumulate
        if n_least > 1 and self.batch_size % unit:
            below = self.batch_size // unit * unit
            nearest = " or ".join(str(size) for size in (below, below + unit) if size)
            parts = f" and {self.accumulate} parts each (accumulate)" if self.accumulate > 1 else ""
            raise ValueError(
                f"batch_size {self.batch_size} cannot be shared out over {n_least} processes (devices {self.devices}, "
                f"num_nodes {self.num_nodes}){parts}; nearest batch sizes that can: {nearest}"
            )
        if self.rendezvous is not None and not re.fullmatch(r"[^\s:]+:\d{1,5}", self.rendezvous):
            raise ValueError(f"rendezvous is {self.rendezvous!r}; give HOST:PORT, e.g. node1:29500")
        return self

    def rules(self, objective: Any) -> FreezeRules:
        """Return the parts of a model that are frozen. Strategies of finetuning read the model."""
        return self.freeze

    def identity(self) -> dict[str, Any]:
        """Return the options that decide the result.

        Left out are those for the machine, the display, the header's license, what is kept and what is replaced. The
        weights of a start count themselves, not where they lie, nor what is accepted of them: ``load`` refuses or does
        nothing, and weights that a start lacks follow from the seed.
        """
        without = {"accelerator", "deterministic", "devices", "num_nodes", "strategy", "rendezvous"}
        without |= {"license", "load", "loader", "overwrite", "progress_bar", "start"}
        without |= {"checkpoint", "keep_runs", "max_skipped_steps", "resume"}
        resolved = self.model_copy(update={"pairs": self.chosen_pairs})
        plain = resolved.model_dump(mode="json", exclude=without)
        return plain | {"normalization": self.chosen_normalization.model_dump(mode="json")}


class TokenizerParams(PretrainParams):
    """All that the training of a tokenizer is told: as any other, with the published tokenizer as the default.

    Args:
        encoder: Encoder of the tokenizer, LaBraM's. Choices that are not given are those of the published tokenizer.
        objective: See ``eegfm.objectives.tokenizer.config``.
        optimizer: AdamW. Choices that are not given are those of the published training.
        n_epochs: 100, as published, where no length is given.
    """

    encoder: AnyEncoderConfig = LabramConfig.model_validate(TOKENIZER_ENCODER)
    objective: AnyObjectiveConfig = TokenizerConfig()
    optimizer: OptimizerConfig = AdamWConfig.model_validate(_TOKENIZER_OPTIMIZER)

    @model_validator(mode="before")
    @classmethod
    def _as_published(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        filled = dict(data)
        # Left out, it stays out: the default here is the published one, and a start decides it.
        encoder, objective = filled.get("encoder"), filled.get("objective", {})
        if isinstance(encoder, Mapping) and encoder.get("name", "labram") == "labram":
            filled["encoder"] = {**TOKENIZER_ENCODER, **encoder}
        optimizer = filled.get("optimizer")
        if isinstance(optimizer, Mapping) and optimizer.get("name", "adamw") == "adamw":
            filled["optimizer"] = {**_TOKENIZER_OPTIMIZER, **optimizer}
        if isinstance(objective, Mapping):
            objective = filled["objective"] = {"name": "tokenizer", **objective}
        name = objective["name"] if isinstance(objective, Mapping) else getattr(objective, "name", objective)
        if name != "tokenizer":
            raise ValueError(f"objective.name is {name!r}, and the tokenizer is trained by 'tokenizer'; leave it out")
        if filled.get("n_steps") is None and filled.get("n_epochs") is None:
            filled["n_epochs"] = _N_TOKENIZER_EPOCHS
        return filled


def beyond_the_run(until_epoch: int, n_epochs: int) -> str:
    """Return the line about a part that would never be released. Epochs are counted from 0."""
    allowed = f"at most {n_epochs - 1}, or " if n_epochs > 1 else ""
    return (
        f"freeze.until_epoch is {until_epoch}, beyond the run of {n_epochs} epochs (counted from 0); give {allowed}"
        "null to freeze to the end"
    )

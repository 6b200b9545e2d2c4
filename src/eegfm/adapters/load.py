"""Build adapters, new ones and those of checkpoints. Weights are loaded strictly."""

from pydantic import TypeAdapter, ValidationError

from eegfm.adapters.base import Adapter
from eegfm.adapters.config import AdapterConfig
from eegfm.batch import SignalSpec
from eegfm.checkpoint import Checkpoint
from eegfm.config import Buildable, first_problem
from eegfm.errors import CheckpointError
from eegfm.nn.load_report import STRICT, LoadExceptions
from eegfm.nn.weights import build_seeded, load_weights

PREFIX = "adapter."
_CONFIG: TypeAdapter[Buildable] = TypeAdapter(AdapterConfig)


def new_adapter(config: Buildable, spec: SignalSpec, seed: int, *, n_weight_bytes: int | None = None) -> Adapter:
    """Build an adapter whose initial weights follow from the seed alone; global random state is left as is.

    Raises:
        ConfigError: The configuration does not fit the data or the machine's memory.
        CheckpointError: See ``build_seeded``.
    """
    adapter = build_seeded(config, seed, spec, n_weight_bytes=n_weight_bytes)
    assert isinstance(adapter, Adapter), f"{config.implementation} is no Adapter"
    return adapter


def build_adapter(checkpoint: Checkpoint, spec: SignalSpec, *, exceptions: LoadExceptions = STRICT) -> Adapter:
    """Rebuild the adapter of a checkpoint for the montages of ``spec``, in evaluation mode, on the CPU.

    Args:
        checkpoint: Weights and header.
        spec: What the adapter receives.
        exceptions: Allowed differences of weights.

    Raises:
        CheckpointError: The configuration names nothing on the menu, or names or shapes of the weights differ.
        ConfigError: The adapter does not fit the montages.
    """
    adapter = untrained_adapter_like(checkpoint, spec, checkpoint.header.seed)
    load_weights(adapter, checkpoint.tensors, PREFIX, "adapter", exceptions=exceptions.of(PREFIX))
    return adapter


def untrained_adapter_like(checkpoint: Checkpoint, spec: SignalSpec, seed: int) -> Adapter:
    """The same adapter with fresh weights from a seed, in evaluation mode: the control of a probe.

    Raises:
        CheckpointError: The configuration names nothing on the menu.
    """
    try:
        config = _CONFIG.validate_python(checkpoint.header.adapter)
    except ValidationError as error:
        raise CheckpointError(
            f"the checkpoint's adapter configuration is not on the menu: {first_problem(error)}"
        ) from error
    return new_adapter(config, spec, seed, n_weight_bytes=checkpoint.n_bytes).eval()

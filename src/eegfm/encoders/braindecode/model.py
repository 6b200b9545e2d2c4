"""Models of braindecode as encoders of windows. Importing braindecode waits until one is built."""

import importlib
import inspect
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from eegfm.batch import SignalSpec
from eegfm.encoders.braindecode.config import BraindecodeConfig
from eegfm.encoders.montage import only_length, only_montage
from eegfm.encoders.window_encoder import WindowEncoder
from eegfm.errors import ConfigError
from eegfm.recording import Montage

_INSTALL = 'pip install "eegfm[zoo]"'
_FROM_DATA = ("n_outputs", "n_chans", "n_times", "sfreq", "chs_info", "input_window_seconds")
_REFUSALS = (ArithmeticError, AssertionError, LookupError, RuntimeError, TypeError, ValueError)


class Braindecode(WindowEncoder):
    """A model of braindecode whose features are what its last layer would read.

    Parameters that these features do not depend on, such as those of a reconstruction head, are frozen: training on
    several devices waits for the gradient of every parameter that is not.

    Args:
        config: Choices.
        spec: Specification of the data.

    Raises:
        ConfigError: braindecode or torchaudio cannot be imported, the model does not take an option, or refuses
            windows of this shape; or the data hold several montages or window lengths.
    """

    def __init__(self, config: BraindecodeConfig, spec: SignalSpec) -> None:
        montage, n_samples = only_montage(spec, config.name), only_length(spec, config.name)
        model = _new_model(config, montage, n_samples, spec.rate_hz)
        d_model = _measure(model, config.model, (2, montage.n_channels, n_samples))
        super().__init__(config, spec, d_model)
        self.model = model
        self._unused = frozenset(name for name, p in self.named_parameters() if not p.requires_grad)

    def depth_layers(self) -> list[list[nn.Module]]:
        """List the model as one layer: braindecode does not say which of its parts come first. See the base class."""
        return [[self.model]]

    def lora_targets(self) -> dict[str, nn.Linear]:
        """Find the linear maps whose weights the features depend on; see the base class."""
        return {name: part for name, part in super().lora_targets().items() if f"{name}.weight" not in self._unused}

    def window_features(self, signal: Tensor) -> Tensor:
        """Input of the last layer, flattened; see the base class."""
        return _features(self.model, signal)


class FirstInput(nn.Module):
    """Stands where a last layer stood and hands on what that would have read."""

    def forward(self, x: Tensor, *_: object) -> Tensor:
        """Return the first argument."""
        return x


def _features(model: nn.Module, signal: Tensor) -> Tensor:
    features: Tensor = model(signal)
    return features.flatten(1)


def _new_model(config: BraindecodeConfig, montage: Montage, n_samples: int, rate_hz: float) -> nn.Module:
    """Build the model without its last layer."""
    model_class = getattr(_models(), config.model, None)
    if model_class is None:
        raise ConfigError(f"the installed braindecode has no model {config.model}; {_INSTALL} brings one that has")
    _check_options(config, inspect.signature(model_class).parameters)
    mne = importlib.import_module("mne")
    try:
        with mne.use_log_level("error"):
            model: nn.Module = model_class(
                n_outputs=2,
                n_chans=montage.n_channels,
                n_times=n_samples,
                sfreq=rate_hz,
                input_window_seconds=n_samples / rate_hz,
                chs_info=_channels(mne, montage, rate_hz),
                **config.options,
            )
    except _REFUSALS as error:
        shape = f"{montage.n_channels} channels, {n_samples} samples at {rate_hz:g} Hz"
        raise ConfigError(
            f"braindecode's {config.model} cannot be built for windows of {shape}: {_one_line(error)}; change "
            "encoder.options, cuts.*.length_s or the model"
        ) from error
    heads = model.final_layer
    model.final_layer = nn.ModuleList(FirstInput() for _ in heads) if isinstance(heads, nn.ModuleList) else FirstInput()
    return model


def _models() -> Any:
    """Import the collection of models.

    Raises:
        ConfigError: It is not installed, or does not load.
    """
    if find_spec("braindecode") is None:
        raise ConfigError(f"encoder braindecode needs the package braindecode, which is not installed: {_INSTALL}")
    try:
        importlib.import_module("torchaudio")
    except (ImportError, OSError, RuntimeError) as error:
        raise ConfigError(
            f"encoder braindecode needs torchaudio, which does not load beside torch {torch.__version__}: "
            f"{_one_line(error)}; install a torch and a torchaudio of one version and one build (CPU or one CUDA)"
        ) from error
    try:
        return importlib.import_module("braindecode.models")
    except ImportError as error:
        raise ConfigError(f"braindecode does not load: {_one_line(error)}; {_INSTALL}") from error


def _check_options(config: BraindecodeConfig, parameters: Mapping[str, inspect.Parameter]) -> None:
    given = [name for name in config.options if name in _FROM_DATA]
    if given:
        raise ConfigError(f"encoder.options names {', '.join(given)}, which the data decide; leave it out")
    known = sorted(name for name, p in parameters.items() if name not in _FROM_DATA and p.kind is not p.VAR_KEYWORD)
    unknown = sorted(config.options.keys() - set(known))
    if unknown:
        raise ConfigError(
            f"encoder.options names {', '.join(unknown)}, which braindecode's {config.model} does not take; "
            f"it takes: {', '.join(known)}"
        )


def _channels(mne: Any, montage: Montage, rate_hz: float) -> list[dict[str, Any]]:
    """Descriptions of channels as MNE has them: name, kind, and place in metres in the head frame."""
    channels: list[dict[str, Any]] = mne.create_info(list(montage.channel_names), rate_hz, "eeg")["chs"]
    for channel, position_m in zip(channels, montage.positions_m, strict=True):
        channel["loc"][:3] = position_m
    return channels


def _measure(model: nn.Module, name: str, shape: tuple[int, int, int]) -> int:
    """Run the model once on zeros: count its features and freeze what they do not depend on."""
    was_training = model.training
    model.eval()
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        features, gradients = _dry_run(model, parameters, shape)
    except _REFUSALS as error:
        raise ConfigError(
            f"braindecode's {name} does not run on windows of {shape[1]} channels and {shape[2]} samples: "
            f"{_one_line(error)}; change encoder.options, cuts.*.length_s or the model"
        ) from error
    for parameter, gradient in zip(parameters, gradients, strict=True):
        if gradient is None:
            parameter.requires_grad_(False)
    model.train(was_training)
    assert len(features) == shape[0], f"{name} keeps windows apart"
    return features.shape[1]


def _dry_run(
    model: nn.Module, parameters: Sequence[nn.Parameter], shape: tuple[int, int, int]
) -> tuple[Tensor, Sequence[Tensor | None]]:
    """Features of zeros, and their gradients: None for a parameter that they do not depend on."""
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        features = _features(model, torch.zeros(shape))
        return features, torch.autograd.grad(features.float().sum(), parameters, allow_unused=True)


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split()).rstrip(".")
    return f"{type(error).__name__}: {text[:300]}"

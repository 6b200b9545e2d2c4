"""The adapter around braindecode: on a small package of the same shape, and on the real one where it is installed."""

import importlib
import subprocess
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, get_args

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn

from contracts.encoder_cases import MONTAGES, make_batch, spec_of
from eegfm.encoders.braindecode import model as braindecode
from eegfm.encoders.braindecode.config import BraindecodeModel
from eegfm.encoders.config import AnyEncoderConfig, BraindecodeConfig
from eegfm.encoders.load import new_encoder
from eegfm.errors import ConfigError
from eegfm.nn.lora import add_lora, lora_parameters
from zoo.stand_in import braindecode_models

SPEC = spec_of([MONTAGES[19]], 4)


class Small(nn.Module):
    """A model as braindecode has them: what it is told, a mean over time, a last layer and one that nothing reads."""

    def __init__(
        self,
        n_outputs: int,
        n_chans: int,
        n_times: int,
        sfreq: float,
        chs_info: list[dict[str, Any]],
        input_window_seconds: float,
        width: int = 6,
        activation: type[nn.Module] = nn.ELU,
    ) -> None:
        super().__init__()
        assert (n_chans, n_times, sfreq, input_window_seconds) == (len(chs_info), 800, 200.0, 4.0)
        self.names = [channel["ch_name"] for channel in chs_info]
        self.places_m = [channel["loc"][:3].tolist() for channel in chs_info]
        if width > 100:
            raise RuntimeError("too\nwide.")
        self.mixing = nn.Linear(n_chans, width)
        self.norm = nn.BatchNorm1d(width)
        self.activation = activation()
        self.dropout = nn.Dropout(0.5)
        self.unused = nn.Linear(2, 2)
        self.final_layer: nn.Module = nn.Linear(width, n_outputs)
        if width == 99:
            self.mixing = nn.Linear(1, width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + 0 * torch.rand(())  # some draw at random even in evaluation
        out: Tensor = self.final_layer(self.dropout(self.activation(self.norm(self.mixing(x.mean(dim=-1))))))
        return out


@pytest.fixture
def small_package(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("torchaudio", "braindecode", "braindecode.models"):
        module = ModuleType(name)
        module.__spec__ = ModuleSpec(name, None)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(sys.modules["braindecode.models"], "EEGNeX", Small, raising=False)


def build(**options: bool | float | str) -> braindecode.Braindecode:
    encoder = new_encoder(BraindecodeConfig(model="EEGNeX", options=options), SPEC, seed=0)
    assert isinstance(encoder, braindecode.Braindecode)
    return encoder


@pytest.mark.usefixtures("small_package")
def test_features_are_what_the_last_layer_would_read() -> None:
    encoder, batch = build().eval(), make_batch()
    assert encoder.d_model == 6
    means = batch["signal"].mean(dim=-1)
    expected = encoder.model.activation(encoder.model.norm(encoder.model.mixing(means)))
    torch.testing.assert_close(encoder(batch), expected.unsqueeze(1))
    assert not [name for name in encoder.state_dict() if "final_layer" in name]


@pytest.mark.usefixtures("small_package")
def test_the_model_learns_names_and_places_in_metres() -> None:
    model = build().model
    assert model.names == list(MONTAGES[19].channel_names)
    torch.testing.assert_close(torch.tensor(model.places_m), torch.tensor(MONTAGES[19].positions_m))


@pytest.mark.usefixtures("small_package")
def test_what_features_do_not_depend_on_is_frozen() -> None:
    encoder = build()
    assert encoder.training
    assert encoder.model.dropout.training
    frozen = {name for name, parameter in encoder.named_parameters() if not parameter.requires_grad}
    assert frozen == {"model.unused.weight", "model.unused.bias"}


class ReadsWeights(Small):
    """A model with a fused layer of torch, and with one whose weights it reads."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fused = nn.TransformerEncoderLayer(6, 2, 8, batch_first=True)
        self.read = nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        hidden = nn.functional.linear(self.mixing(x.mean(dim=-1)), self.read.weight)
        out: Tensor = self.final_layer(self.fused(hidden.unsqueeze(1)).squeeze(1))
        return out


@pytest.mark.usefixtures("small_package")
def test_lora_is_offered_what_features_depend_on_also_where_weights_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(build().lora_targets()) == ["model.mixing"]
    monkeypatch.setattr(sys.modules["braindecode.models"], "EEGNeX", ReadsWeights)
    encoder = build().eval()
    targets = encoder.requires_grad_(False).lora_targets()
    fused = {"model.fused.self_attn.out_proj", "model.fused.linear1", "model.fused.linear2"}
    assert targets.keys() == {"model.mixing", "model.read", *fused}
    signal = torch.randn(2, 19, 800, generator=torch.Generator().manual_seed(0))
    for name, target in targets.items():  # evaluation without gradients runs torch's fused kernel
        add_lora({name: target}, rank=1, alpha=1.0, seed=0)
        with torch.no_grad():
            before = encoder.window_features(signal)
            lora_parameters(target)["parametrizations.weight.0.up"].normal_(generator=torch.Generator().manual_seed(0))
            assert not torch.allclose(encoder.window_features(signal), before), name


@pytest.mark.usefixtures("small_package")
def test_measuring_leaves_no_trace() -> None:
    torch.manual_seed(5)
    config = BraindecodeConfig(model="EEGNeX")
    encoder = config.build(SPEC)
    after = torch.rand(3)
    torch.manual_seed(5)
    Small(2, 19, 800, 200.0, [{"ch_name": "", "loc": torch.zeros(12)}] * 19, 4.0)
    assert torch.equal(torch.rand(3), after)
    assert encoder.model.norm.num_batches_tracked == 0


@pytest.mark.usefixtures("small_package")
def test_options_reach_the_constructor() -> None:
    assert build(width=7).d_model == 7


@pytest.mark.usefixtures("small_package")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"widht": 7}, r"names widht, which braindecode's EEGNeX does not take; it takes: activation, width$"),
        ({"n_chans": 7, "sfreq": 1.0}, r"encoder\.options names n_chans, sfreq, which the data decide"),
        ({"width": 101}, r"cannot be built for .*19 channels, 800 samples at 200 Hz: RuntimeError: too wide; change"),
        ({"width": 99}, r"does not run on windows of 19 channels and 800 samples: RuntimeError: .*encoder\.options"),
        ({"width": "a"}, r"cannot be built for .*: TypeError: "),
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        build(**options)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("small_package")
def test_a_model_of_another_version_is_named() -> None:
    with pytest.raises(ConfigError, match="the installed braindecode has no model PBT"):
        new_encoder(BraindecodeConfig(model="PBT"), SPEC, seed=0)


def test_a_last_layer_may_have_more_inputs() -> None:
    first = braindecode.FirstInput()
    x = torch.randn(2, 3)
    assert torch.equal(first(x, None), x)


def test_without_the_package_there_is_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(braindecode, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r'not installed: pip install "eegfm\[zoo\]"$'):
        build()


@pytest.mark.usefixtures("small_package")
@pytest.mark.parametrize(
    "error",
    [
        OSError("libc10_cuda.so: cannot open\nshared object file"),
        RuntimeError("built for CUDA 13.0"),
        ModuleNotFoundError("No module named 'torchaudio'"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_torchaudio_that_does_not_load_is_explained(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    fails_on(monkeypatch, "torchaudio", error)
    reason = " ".join(str(error).split())
    with pytest.raises(ConfigError, match=f"needs torchaudio.*{type(error).__name__}: {reason}; install a torch and a"):
        build()


@pytest.mark.usefixtures("small_package")
def test_a_missing_dependency_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    fails_on(monkeypatch, "braindecode.models", ModuleNotFoundError("No module named 'einops'"))
    with pytest.raises(ConfigError, match=r"braindecode does not load: .*No module named 'einops'"):
        build()


def fails_on(monkeypatch: pytest.MonkeyPatch, module: str, error: Exception) -> None:
    real: Callable[[str], ModuleType] = importlib.import_module

    def fake(name: str) -> ModuleType:
        if name == module:
            raise error
        return real(name)

    monkeypatch.setattr(braindecode.importlib, "import_module", fake)


def test_the_menu_imports_neither_braindecode_nor_torch() -> None:
    code = (
        "import sys; from eegfm.encoders.config import BraindecodeConfig; BraindecodeConfig(options={'F1': 4}); "
        "print(sorted({'braindecode', 'torch', 'mne'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_configuration_is_checked_and_survives_a_file() -> None:
    with pytest.raises(ValidationError, match="ShallowFBCSPNet"):
        TypeAdapter(AnyEncoderConfig).validate_python({"name": "braindecode", "model": "EEGMiner"})
    config = BraindecodeConfig(model="EEGNet", options={"F1": 4, "drop_prob": 0.5, "pool_mode": "max", "x": True})
    again = BraindecodeConfig.model_validate_json(config.model_dump_json())
    assert again == config
    assert hash(again) == hash(config)
    assert [type(value) for value in again.options.values()] == [int, float, str, bool]


LEFT_OUT = {
    *("BrainModule", "EEGMiner", "EMG2QwertyNet", "MetaNeuromotorHand", "VEMG2Pose"),  # not for commercial use
    *("REVE", "STEEGFormer"),  # load tables from the network
    *("BENDR", "Labram", "SSTDPN"),
}
REAL: dict[str, dict[str, Any]] = {
    "ATCNet": {},  # several last layers
    "CBraMod": {},  # has frozen weights of its own
    "Deep4Net": {},
    "EEGConformer": {},
    "EEGDINO": {},  # a last layer of two inputs
    "EEGNet": {"F1": 4},
    "EEGSimpleConv": {},  # resamples
    "FBCNet": {},  # filters
    "InterpolatedBIOT": {},  # other channels by interpolation
    "LUNA": {},  # reads positions
    "NeuroPose": {},  # goes on behind the last layer
    "ShallowFBCSPNet": {},
    "SignalJEPA": {},  # has no last layer
    "SleepStagerBlanco2020": {"n_groups": 1},
}


@pytest.mark.zoo
def test_the_menu_is_braindecode_s() -> None:
    braindecode_models()
    known = importlib.import_module("braindecode.models.util")
    assert {*get_args(BraindecodeModel)} | LEFT_OUT == {*known.models_dict, *known.interpolated_models_dict}
    assert not {*get_args(BraindecodeModel)} & LEFT_OUT


@pytest.mark.zoo
@pytest.mark.filterwarnings("ignore")  # of braindecode and of what it builds on
@pytest.mark.parametrize("model", REAL)
def test_real_models(model: str) -> None:
    braindecode_models()
    batch = make_batch()
    config = BraindecodeConfig.model_validate({"model": model, "options": REAL[model]})
    encoder = new_encoder(config, SPEC, seed=0)
    twin = new_encoder(config, SPEC, seed=1).eval()
    twin.load_state_dict(encoder.state_dict())
    with torch.no_grad():
        expected = encoder.eval()(batch)
        assert torch.equal(twin(batch), expected)
        with torch.autocast("cpu", torch.bfloat16):
            low = encoder(batch).float()
    assert expected.shape == (2, 1, encoder.d_model)
    assert torch.isfinite(expected).all()
    assert float((low - expected).norm() / expected.norm()) < 0.03
    encoder.train()(batch).square().mean().backward()
    for name, parameter in encoder.named_parameters():
        assert not parameter.requires_grad or torch.isfinite(parameter.grad).all(), name

"""A step makes nothing wait for the device, whatever is trained. A device without values shows every such call.

Tensors on torch's ``meta`` device have no values: whoever asks for one waits, and fails here. Copies that wait are
counted at torch's dispatcher, below all Python code. Python's lists become tensors above it, and are counted there.
Only memory that ``pin_memory`` has given is copied without a wait.
"""

from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from contracts.encoder_cases import IS_FULL, MEMBERS, MENU, MONTAGES, Case, noise, spec_of
from contracts.masked_content import TARGETS
from eegfm.adapters.config import InterpolateConfig, NoAdapterConfig, PerceiverConfig, ZeroPadConfig
from eegfm.batch import StoredBatch, TrainStep
from eegfm.config import Buildable
from eegfm.inference.backbone import new_backbone
from eegfm.nn.context import Context
from eegfm.nn.device import sent
from eegfm.nn.weights import build_seeded
from eegfm.objectives.base import Objective
from eegfm.objectives.config import (
    JepaConfig,
    MaeConfig,
    MaskedConfig,
    ObjectiveConfig,
    SmartConfig,
    TokenizerConfig,
    Ts2VecConfig,
)
from eegfm.training.blocks import WeightAverageParams
from eegfm.training.config import PretrainParams
from eegfm.training.module import PretrainModule
from eegfm.training.optimizers.config import SgdConfig
from eegfm.training.setup import TrainingSetup
from zoo.stand_in import braindecode_models

META = torch.device("meta")
MONTAGE, N_SAMPLES = MONTAGES[21], 400
SPEC = spec_of([MONTAGE], N_SAMPLES / 200)
OBJECTIVES = {
    "masked": MaskedConfig(allow_leaks=True),
    "mae": MaeConfig(allow_leaks=True),
    "mae-free": MaeConfig(allow_leaks=True, mask={"name": "random"}, target="signal"),
    "jepa": JepaConfig(allow_leaks=True),
    "jepa-sigreg": JepaConfig(allow_leaks=True, teacher="none", regularization={"name": "sigreg"}),
    "smart": SmartConfig(allow_leaks=True),
    "ts2vec": Ts2VecConfig(),
}
COVERED: dict[str, set[str]] = {
    "mae-free": {"patch_transformer"},
    "jepa": {"patch_transformer", "luna"},
    **{name: {"patch_transformer"} for name in ("jepa-sigreg", "smart", "ts2vec")},
}
"""Encoders that are by default asked with objectives that tokenize and encode as the others do.

Adapters are asked with ``masked``, and one of them with every objective: no objective sees what is before the tokens.
"""
ADAPTERS = {
    "none": NoAdapterConfig(),
    "interpolate": InterpolateConfig(montage="1020_19"),
    "zero_pad": ZeroPadConfig(montage="1010_64", unplaced="drop"),
    "perceiver": PerceiverConfig(montage="1020_19", patch_s=1.0),
}

_aten = torch.ops.aten
_READS = {
    *(_aten._local_scalar_dense, _aten.nonzero, _aten.masked_select, _aten.equal, _aten.bincount),
    *(_aten._unique2, _aten.unique_dim, _aten.unique_consecutive, _aten._linalg_check_errors),
}
_INDEXES = {_aten.index, _aten.index_put, _aten.index_put_}


class Waits(TorchDispatchMode):
    """The calls inside the block that make the host wait for the device."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []
        self._lists = Lists(self.calls)

    def __enter__(self) -> "Waits":
        self._lists.__enter__()
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._lists.__exit__(*error)

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        """Count a call that waits, then let it run."""
        if _waits(func.overloadpacket, args, kwargs or {}):
            self.calls.append(str(func))
        return func(*args, **(kwargs or {}))


class Lists(TorchFunctionMode):
    """Lists of Python that become tensors on the device: a copy from memory that is not pinned.

    Args:
        calls: The names of such calls are added here.
    """

    def __init__(self, calls: list[str]) -> None:
        super().__init__()
        self._calls = calls

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        """Let a call run, and count it if it waits."""
        result = func(*args, **(kwargs or {}))
        if func in (torch.tensor, Tensor.new_tensor) and result.device == META:
            self._calls.append(func.__name__)
        if func in (Tensor.__getitem__, Tensor.__setitem__) and args[0].device == META:
            places = args[1] if isinstance(args[1], tuple) else (args[1],)
            self._calls += [func.__name__ for place in places if isinstance(place, list | np.ndarray)]
        return result


def _is_pinned(tensor: Tensor) -> bool:
    return getattr(tensor, "is_pinned_here", False)


def _waits(op: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    tensors = [value for value in tree_leaves((args, dict(kwargs))) if isinstance(value, Tensor)]
    if op is _aten._to_copy:
        target = torch.device(kwargs.get("device") or args[0].device)
        waits = target.type == "cpu" or not kwargs.get("non_blocking") or not _is_pinned(args[0])
        return target != args[0].device and waits
    on_device = [value for value in tensors if value.device == META]
    if op is _aten.copy_ and len({value.device for value in tensors}) > 1:
        is_ahead = args[2] if len(args) > 2 else kwargs.get("non_blocking")
        return args[0].device.type == "cpu" or not is_ahead or not _is_pinned(args[1])
    if op in _INDEXES and args[0].device == META:
        indices = [index for index in args[1] if index is not None]
        return any(index.dtype == torch.bool or index.device != META for index in indices)
    return bool(on_device) and op in _READS


def stored(*, bad: bool) -> StoredBatch:
    shape = (3, N_SAMPLES, MONTAGE.n_channels)
    batch: StoredBatch = {
        "samples": (1000 * noise(shape, 1)).to(torch.int16).to(META),
        "scales_uv": torch.full((3, MONTAGE.n_channels), 0.02, device=META),
        "recording": torch.arange(3, device=META),
        "corpus": "tuh",
        "montage": MONTAGE.name,
    }
    if bad:
        batch["is_bad"] = np.zeros((3, MONTAGE.n_channels), dtype=np.bool_)
        batch["is_bad"][0, 2], batch["is_bad"][2, 5:9] = True, True
    return batch


def objective_of(case: Case, objective: ObjectiveConfig, adapter: Buildable, bad_channels: Any = "mask") -> Objective:
    encoder = MEMBERS[case.member].model_validate({**case.choices, **case.light})
    backbone = new_backbone(encoder, adapter, SPEC, 0, reference="average", bad_channels=bad_channels)
    n_tokens = MONTAGE.n_channels * N_SAMPLES // backbone.encoder.patch_samples
    tokenizer = [FirstCode(n_tokens)] if objective.needs_tokenizer else []
    return build_seeded(objective, 0, backbone, *tokenizer).to(META).train()


class FirstCode(torch.nn.Module):
    """A tokenizer that gives every token the same code."""

    n_codes = 8

    def __init__(self, n_tokens: int) -> None:
        super().__init__()
        self.code = torch.nn.Parameter(torch.zeros(n_tokens))

    def codes(self, batch: StoredBatch) -> Tensor:
        """(B, N) codes."""
        return self.code.long().expand(len(batch["samples"]), -1)


def waits_of(objective: Objective, batch: StoredBatch) -> list[str]:
    """Calls of a forward and backward pass that wait."""
    with Waits() as waits:
        objective(batch, Context()).loss.backward()
    return waits.calls


@pytest.fixture(autouse=True)
def a_device_without_values(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in_for_a_gpu(monkeypatch)


def stand_in_for_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """This device knows no autocast; what is switched off is off anyway. Memory is pinned by its name."""

    def pinned(tensor: Tensor) -> Tensor:
        copy = tensor.clone()
        copy.is_pinned_here = True
        return copy

    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
    monkeypatch.setattr(Tensor, "pin_memory", pinned)


@pytest.mark.parametrize("asked", OBJECTIVES)
@pytest.mark.parametrize("case", MENU)
def test_no_encoder_waits(case: Case, asked: str) -> None:
    traits, objective = MEMBERS[case.member].traits, OBJECTIVES[asked]
    if case.member == "braindecode":
        braindecode_models()
    if traits.output == "window" or (objective.needs_visible and not traits.supports_visible):
        pytest.skip("no objective of this kind trains it")
    if not IS_FULL and case.member not in COVERED.get(asked, MEMBERS):
        pytest.skip("EEGFM_CONTRACTS=full")
    built = objective_of(case, objective, NoAdapterConfig())
    for bad in (False, True):
        assert waits_of(built, stored(bad=bad)) == []


def test_no_tokenizer_waits() -> None:
    case = Case("small", "labram", {"n_maps": 4, "n_heads": 5, "n_layers": 1, "patch_norm": "window"})
    built = objective_of(case, TokenizerConfig(n_codes=8, d_code=4, n_decoder_layers=1), NoAdapterConfig())
    built.tokenizer.quantizer._has_codes = True  # a device without values knows no k-means
    for batch in (stored(bad=False), stored(bad=True)):
        with Waits() as waits:
            built(batch, Context()).loss.backward()
            built.after_step(Context())
        assert waits.calls == []


@pytest.mark.parametrize(
    ("case", "objective"),
    [
        (Case("small", "patch_transformer", {"d_model": 16, "head_size": 8, "n_layers": 1}), {"target": TARGETS}),
        (Case("luna", "luna", {"n_queries": 2, "d_token": 16, "n_layers": 1}), {"query_specialization": 0.8}),
    ],
    ids=["targets", "queries"],
)
def test_no_target_waits(case: Case, objective: dict[str, Any]) -> None:
    built = objective_of(case, MaskedConfig(visible_weight=0.1, **objective), NoAdapterConfig())
    for bad in (False, True):
        assert waits_of(built, {**stored(bad=bad), "person": torch.arange(3, device=META)}) == []


@pytest.mark.parametrize("bad_channels", ["mask", "interpolate"])
@pytest.mark.parametrize("asked", OBJECTIVES)
@pytest.mark.parametrize("adapter", ADAPTERS)
def test_no_adapter_waits(adapter: str, asked: str, bad_channels: str) -> None:
    if asked != "masked" and not IS_FULL and (adapter, bad_channels) != ("perceiver", "mask"):
        pytest.skip("EEGFM_CONTRACTS=full")
    case = Case("small", "patch_transformer", {"d_model": 16, "head_size": 8, "n_layers": 2})
    built = objective_of(case, OBJECTIVES[asked], ADAPTERS[adapter], bad_channels)
    for bad in (False, True):
        assert waits_of(built, stored(bad=bad)) == []


def test_no_optimizer_step_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of a step but Lightning's part: passes, norms, clipping, what is left out, averages, schedule, counts."""
    case = Case("small", "patch_transformer", {"d_model": 16, "head_size": 8, "n_layers": 2})
    average = WeightAverageParams(start_ratio=0, decay=0.9)
    params = PretrainParams(n_steps=100, optimizer=SgdConfig(), weight_average=average, log_interval_steps=50)
    objective = objective_of(case, MaskedConfig(), NoAdapterConfig())
    module = PretrainModule(TrainingSetup(objective, params, {"tuh": 1.0}, 100, 100)).to(META)
    inner = module.configure_optimizers()
    optimizer = LightningOptimizer(inner)
    monkeypatch.setattr(optimizer, "step", inner.step)
    monkeypatch.setattr(module, "optimizers", lambda: optimizer)
    monkeypatch.setattr(module, "manual_backward", lambda loss: loss.backward())
    for number in range(3):
        step = TrainStep(number, [stored(bad=False), stored(bad=True)], 6)
        with Waits() as waits:
            module.training_step(step, 0)
        assert waits.calls == []


@pytest.mark.parametrize(
    "call",
    [
        lambda x: x if bool((x > 0).all()) else -x,
        lambda x: x[x > 0],
        lambda x: x[torch.tensor([1])],
        lambda x: x * float(x.sum()),
        lambda x: x + torch.ones(3).to(META),
        lambda x: x.cpu(),
        lambda x: x.clone().copy_(torch.ones(3)),
        lambda x: (x > 0).nonzero(),
        lambda x: x.sum().item(),
        lambda x: x.tolist(),
        lambda x: x.to("cpu", non_blocking=True),
        lambda x: x + torch.tensor([1.0, 2.0, 3.0], device=META),
        lambda x: x + x.new_tensor([1.0, 2.0, 3.0]),
        lambda x: x + torch.as_tensor(np.ones(3), device=META),
        lambda x: x + torch.ones(3).to(META, non_blocking=True),  # not pinned
        lambda x: x.clone().copy_(torch.ones(3), non_blocking=True),  # not pinned
        lambda x: x[[0, 2]],
        lambda x: x.unique(),
        lambda x: x.clone().index_put_((x > 0,), torch.zeros((), device=META)),
        lambda x: torch.where(x > 0),
        lambda x: torch.linalg.inv(x.expand(3, 3)),
        lambda x: torch.arange(int(x.sum()), device=META),
        lambda x: torch.nn.functional.one_hot(x.long()),
    ],
)
def test_calls_that_wait_are_counted(call: Callable[[Tensor], Tensor]) -> None:
    with Waits() as waits, suppress(RuntimeError, NotImplementedError):
        call(torch.zeros(3, device=META))
    assert len(waits.calls) == 1


@pytest.mark.parametrize(
    "call",
    [
        lambda x: x + sent(torch.ones(3), META),
        lambda x: x.clone().copy_(torch.ones(3).pin_memory(), non_blocking=True),
        lambda x: x[sent(torch.tensor([0, 2]), META)],
        lambda x: torch.where(x > 0, x, 0.0) + 2 * x[1:].sum() + torch.full((3,), 2.0, device=META),
        lambda x: x + torch.tensor([1.0, 2.0, 3.0]).sum().item(),
    ],
)
def test_calls_that_do_not_wait_are_not(call: Callable[[Tensor], Tensor]) -> None:
    with Waits() as waits:
        call(torch.zeros(3, device=META))
    assert waits.calls == []

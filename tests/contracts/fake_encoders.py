"""Tiny encoders, one per combination of traits, that keep every promise; ``flaw`` names one that is broken."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from eegfm.batch import SignalSpec, WindowBatch
from eegfm.encoders.base import Encoder, absent_rows_zeroed
from eegfm.encoders.decoders import TokenDecoder
from eegfm.encoders.montage import check_batch, only_length, only_montage
from eegfm.encoders.tokens import Tokens, Visible, take
from eegfm.encoders.traits import EncoderConfig, Traits
from eegfm.errors import ConfigError
from masked_tokens import real_signal

_HERE = "contracts.fake_encoders"
_WIDTH = 16


class FakeConfig(EncoderConfig):
    """What all fakes share."""

    name: str = "fake"
    flaw: str = ""


class VisibleFakeConfig(FakeConfig):
    """Tokens without order, and any subset of them."""

    implementation: ClassVar[str] = f"{_HERE}:FakeOfTokens"
    traits: ClassVar[Traits] = Traits(supports_visible=True, any_order=True)


class TokenFakeConfig(FakeConfig):
    """Tokens without order, all or none."""

    implementation: ClassVar[str] = f"{_HERE}:FakeOfTokens"
    traits: ClassVar[Traits] = Traits(any_order=True)


class OrderedFakeConfig(FakeConfig):
    """Tokens whose channels have an order."""

    implementation: ClassVar[str] = f"{_HERE}:FakeOfTokens"
    traits: ClassVar[Traits] = Traits()


class PatchFakeConfig(FakeConfig):
    """One vector per patch of time, of any channels."""

    implementation: ClassVar[str] = f"{_HERE}:FakeOfPatches"
    traits: ClassVar[Traits] = Traits(output="patches", any_order=True)


class TiedPatchFakeConfig(FakeConfig):
    """One vector per patch of time, of the channels of one montage and one length."""

    implementation: ClassVar[str] = f"{_HERE}:FakeOfPatches"
    traits: ClassVar[Traits] = Traits(output="patches", one_montage=True, one_length=True)


class WindowFakeConfig(FakeConfig):
    """One vector per window of one montage and one length."""

    implementation: ClassVar[str] = f"{_HERE}:FakeOfPatches"
    traits: ClassVar[Traits] = Traits(output="window", one_montage=True, one_length=True)


FAKES = (
    VisibleFakeConfig,
    TokenFakeConfig,
    OrderedFakeConfig,
    PatchFakeConfig,
    TiedPatchFakeConfig,
    WindowFakeConfig,
)


class Fake(Encoder):
    """Patches of half a second, and what all fakes get wrong alike."""

    def __init__(self, config: FakeConfig, spec: SignalSpec) -> None:
        self.flaw = config.flaw
        super().__init__(config, spec, d_model=_WIDTH, patch_samples=100)
        self.config = config
        if self.flaw == "undescribed":
            self.rate_hz *= 2
        self.montage = self.n_samples = None
        if self.traits.one_montage and self.flaw != "any_montage":
            self.montage = only_montage(spec, config.name)
        if self.traits.one_length and self.flaw != "any_length":
            self.n_samples = only_length(spec, config.name)
        self.embedding = nn.Linear(100, _WIDTH)
        self.mixing = nn.Linear(_WIDTH, _WIDTH)
        self.register_buffer("running", torch.zeros(_WIDTH), persistent=self.flaw != "forgotten_state")
        if self.flaw == "dead_weight":
            self.unused = nn.Parameter(torch.ones(3))
        if self.flaw == "unseeded":
            self.embedding.bias.data.add_(torch.rand(_WIDTH, generator=_CLOCK))

    def layer(self) -> list[nn.Module]:
        """The modules of its only layer, but for flaws."""
        return [self.mixing]

    def depth_layers(self) -> list[list[nn.Module]]:
        if self.flaw == "depth_twice":
            return [self.layer(), self.layer()]
        if self.flaw == "depth_upside_down":
            return [[self.embedding]]
        return [self.layer()]

    def check_length(self, n_samples: int, montage: str) -> None:
        if self.flaw != "broken_patches":
            super().check_length(n_samples, montage)

    def check(self, batch: WindowBatch) -> None:
        """Refuse another number of channels and another length."""
        _, C, T = batch["signal"].shape
        if self.montage is not None:
            check_batch(C, batch["montage"], self.montage, "fake")
        if self.n_samples is not None and self.n_samples != T:
            raise ConfigError(f"built for windows of {self.n_samples / self.rate_hz:g} s (cuts.*.length_s)")

    def group_mask(self, batch: WindowBatch) -> Tensor | None:
        return None if self.flaw == "padding_scored" else super().group_mask(batch)

    def scaled(self, batch: WindowBatch) -> Tensor:
        """(B, C, P, 100)."""
        if self.flaw == "padding_seen":
            batch = {**batch, "channel_mask": torch.ones_like(batch["channel_mask"])}
        if self.flaw == "changes_its_input":
            batch["signal"].mul_(1.01)
        if self.flaw == "broken_patches":
            batch = {**batch, "signal": batch["signal"][..., : batch["signal"].shape[-1] // 100 * 100]}
        signal = self.patches({**batch, "signal": real_signal(batch)})
        if self.flaw == "divides_by_sd":
            signal = signal / signal.std(dim=-1, keepdim=True)
        if self.flaw == "leaking_patches" or (self.flaw == "leaks_in_training" and self.training):
            signal = signal - signal.mean(dim=2, keepdim=True)
        return signal

    def finish(self, x: Tensor) -> Tensor:
        """Running statistics, and the flaws that show in the output."""
        if self.training:
            self.running.lerp_(x.detach().mean(dim=(0, 1)), 0.01)
        x = x + self.running
        flaw = self.flaw
        if flaw == "windows_mixed":
            x = x - x.mean(dim=0)
        elif flaw == "constant":
            x = 0 * x + 1
        elif flaw == "imprecise" and (torch.is_autocast_enabled("cpu") or x.dtype == torch.float64):
            x = 1.1 * x
        elif flaw == "graph_break":
            torch._dynamo.graph_break()
        elif flaw == "branches_on_data" and bool(x.sum() > 0):
            x = -x
        elif flaw == "too_wide":
            x = torch.cat((x, x), dim=-1)
        elif flaw == "no_gradient":
            x = x.detach() + 0 * self.mixing.weight.sum()
        return x

    def time(self, n_patches: int, like: Tensor) -> Tensor:
        """(P, D)."""
        steps = torch.arange(n_patches, device=like.device, dtype=like.dtype).unsqueeze(-1)
        if self.flaw == "timeless":
            steps = 0 * steps
        return torch.sin(steps * torch.linspace(0.1, 2, _WIDTH, dtype=like.dtype))


class FakeOfTokens(Fake):
    """Each token plus what all tokens average to, weighted by one head of attention."""

    def __init__(self, config: FakeConfig, spec: SignalSpec) -> None:
        super().__init__(config, spec)
        self.place = nn.Linear(3, _WIDTH)
        self.query = nn.Linear(_WIDTH, _WIDTH)
        self.kept = [self.query.weight]

    def layer(self) -> list[nn.Module]:
        more: dict[str, list[nn.Module]] = {
            "embedding_in_a_layer": [self.query, self.place],
            "layer_in_the_embedding": [],
        }
        return [self.mixing, *more.get(self.flaw, [self.query])]

    def lora_targets(self) -> dict[str, nn.Linear]:
        targets = super().lora_targets()
        return {"query": targets["query"]} if self.flaw == "one_linear_missing" else targets

    def tokenize(self, batch: WindowBatch) -> Tokens:
        content = self.embedding(self.scaled(batch)).relu()
        _, C, P, D = content.shape
        position = 30 * self.place(batch["channel_positions"])
        if not self.traits.any_order or self.flaw == "ordered":
            position = position + self.time(C, position)
        position = position.unsqueeze(2) + self.time(P, position)
        if self.flaw == "one_place_for_all" and batch["channel_positions"].stride(0):
            position = 0 * position
        mask = None if self.flaw == "padding_seen" else self.key_mask(batch, P)
        return Tokens(content.flatten(1, 2), position.expand(-1, C, P, D).flatten(1, 2), C, P, mask)

    def encode(self, tokens: Tokens, visible: Visible | None = None) -> Tensor:
        if visible is not None and not self.traits.supports_visible and self.flaw != "visible_ignored":
            raise ConfigError("fake cannot leave tokens out")
        x = tokens.content + tokens.position
        mask = None if tokens.key_mask is None else tokens.key_mask.unsqueeze(1)
        if visible is not None and self.flaw not in ("visible_ignored", "visible_sees_all"):
            x = take(x, visible.index)
            mask = None if mask is None else mask.squeeze(1).gather(1, visible.index).unsqueeze(1)
        query = self.query(x)
        if self.flaw in ("keeps_weights", "half_heard"):
            query = nn.functional.linear(x, self.kept[0], self.query.bias)
        if self.flaw == "half_heard":
            query = query + (self.query(x) - query).detach()
        mixed = nn.functional.scaled_dot_product_attention(query, x, self.mixing(x), attn_mask=mask)
        x = self.finish(x + torch.tanh(mixed))
        return take(x, visible.index) if visible is not None and self.flaw == "visible_sees_all" else x


class FakeOfPatches(Fake):
    """All channels of a patch in one vector: a sum, with a weight per channel where they are tied to a montage."""

    def __init__(self, config: FakeConfig, spec: SignalSpec) -> None:
        super().__init__(config, spec)
        n_channels = max(montage.n_channels for montage in spec.montages.values())
        self.weights = nn.Parameter(torch.randn(n_channels, 1, _WIDTH)) if self.traits.one_montage else None

    def tokenize(self, batch: WindowBatch) -> Tokens:
        self.check(batch)
        signal = self.scaled(batch)
        _, C, P, _ = signal.shape
        content = self.embedding(signal)
        if self.weights is not None:
            content = content * self.weights[:C]
        else:
            content = content * (40 * batch["channel_positions"].sum(dim=-1)).sin()[..., None, None]
        mask = None if self.flaw == "padding_seen" else self.key_mask(batch, P)
        position = self.time(P, content).expand(1, C, P, _WIDTH)
        return Tokens(content.flatten(1, 2), position.flatten(1, 2), C, P, mask)

    def encode(self, tokens: Tokens, visible: Visible | None = None) -> Tensor:
        if visible is not None and self.flaw != "visible_ignored":
            raise ConfigError("fake cannot leave tokens out")
        content = absent_rows_zeroed(tokens)
        rows = (-1, tokens.n_rows, tokens.n_patches, _WIDTH)
        time = tokens.position.reshape(rows)[:, 0]
        x = content.reshape(rows).sum(dim=1)
        x = x + self.mixing(torch.tanh(x + time) * (1 + time))
        if self.traits.output == "window":
            x = x.mean(dim=1, keepdim=True)
        return self.finish(x)

    def new_decoder(self, n_values: int) -> TokenDecoder:
        return _Decoder(n_values) if self.traits.output == "patches" else super().new_decoder(n_values)


class _Decoder(TokenDecoder):
    def __init__(self, n_values: int) -> None:
        super().__init__()
        self.projection = nn.Linear(_WIDTH, n_values)

    def forward(self, encoded: Tensor, tokens: Tokens, index: Tensor) -> Tensor:
        values: Tensor = self.projection(take(encoded, index % tokens.n_patches))
        return values


_CLOCK = torch.Generator().manual_seed(1)

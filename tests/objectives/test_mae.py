"""Masked autoencoding: what is encoded, what is asked for, who is refused."""

from typing import ClassVar

import pytest
import torch
from pydantic import ValidationError

from backbones import WindowBackbone
from eegfm.batch import SignalSpec, WindowBatch
from eegfm.encoders.base import Encoder
from eegfm.encoders.config import EegnetConfig, LabramConfig, LunaConfig, PatchTransformerConfig
from eegfm.encoders.load import new_encoder
from eegfm.encoders.tokens import Tokens, Visible
from eegfm.encoders.traits import EncoderConfig, Traits
from eegfm.errors import ConfigError
from eegfm.nn.context import Context
from eegfm.objectives.base_config import EncoderFacts
from eegfm.objectives.config import MaeConfig, MaskedConfig
from eegfm.objectives.mae import Mae
from eegfm.objectives.masked import Masked
from eegfm.objectives.patches.exact import others
from eegfm.objectives.patches.objective import Masking
from eegfm.recording import Montage
from eegfm.training.config import PretrainParams

MONTAGE = Montage(tuple("abcdef"), tuple((0.02 * k, 0.05, 0.06) for k in range(6)), (True,) * 6, "average")
SPEC = SignalSpec(100.0, {"m": MONTAGE}, {"m": 400})


def context(seed: int = 0) -> Context:
    return Context(seed=seed)


def build(attention: str = "alternating", **choices: object) -> Mae:
    config = PatchTransformerConfig(d_model=32, head_size=16, n_layers=2, attention=attention)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Mae(MaeConfig(**choices), WindowBackbone(new_encoder(config, SPEC, seed=0), SPEC))


def batch(seed: int = 0, n_windows: int = 4) -> WindowBatch:
    return {
        "signal": 20 * torch.randn(n_windows, 6, 400, generator=torch.Generator().manual_seed(seed)),
        "channel_positions": torch.from_numpy(MONTAGE.positions()).expand(n_windows, -1, -1),
        "channel_mask": torch.ones(n_windows, 6, dtype=torch.bool),
        "reference": "average",
        "recording": torch.zeros(n_windows, dtype=torch.int64),
        "corpus": "c",
        "montage": "m",
    }


def shown_in(objective: Mae, windows: WindowBatch) -> Visible:
    """What the encoder is shown in one step."""
    visible = objective.mask(windows, context(0)).visible
    assert visible is not None
    return visible


@pytest.mark.parametrize("mask", ["random", "rectangular_visible"])
def test_visible_and_masked_are_all_tokens_once(mask: str) -> None:
    objective = build(mask={"name": mask}, mask_ratio=0.5)
    masking = objective.mask(batch(), context(0))
    assert masking.visible is not None
    together = torch.cat((masking.visible.index, masking.masked), dim=1).sort(dim=1).values
    assert torch.equal(together, torch.arange(24).expand(4, -1))
    assert masking.encoded.shape == (4, 12, 32)
    assert (masking.visible.rows is None) == (mask == "random")


def test_a_rectangle_is_rows_times_patches() -> None:
    visible = shown_in(build(mask={"name": "rectangular_visible"}), batch())
    assert visible.rows is not None
    assert visible.patches is not None
    assert (visible.rows.shape, visible.patches.shape) == ((4, 4), (4, 3))
    for index, rows, patches in zip(
        visible.index.tolist(), visible.rows.tolist(), visible.patches.tolist(), strict=True
    ):
        assert index == [4 * row + patch for row in rows for patch in patches]
    assert len({tuple(row) for row in visible.index.tolist()}) > 1


def test_padding_is_not_shown() -> None:
    windows = batch()
    windows["channel_mask"][:, 1] = False
    for mask in ("random", "rectangular_visible"):
        objective = build(mask={"name": mask})
        objective.backbone.adapter.filled = windows["channel_mask"][0]
        shown = shown_in(objective, windows)
        assert (shown.index // 4 != 1).all()
        if shown.rows is not None:
            assert (shown.rows != 1).all()


@pytest.mark.parametrize("mask", ["random", "rectangular_visible"])
def test_a_window_with_bad_channels_shows_its_own_share_and_the_rest_is_seen_by_nothing(mask: str) -> None:
    windows, objective = batch(), build(mask={"name": mask}, mask_ratio=0.5).eval()
    windows["channel_mask"][2, 1:4] = False
    masking = objective.mask(windows, context(0))
    assert masking.visible is not None
    rows = masking.visible.index // 4
    is_bad = (rows >= 1) & (rows <= 3)
    assert masking.visible.index.shape == (4, 12)
    assert int((~is_bad[2]).sum()) == 6, "half of twelve"
    before = objective(windows, context(0)).loss
    windows["signal"] = windows["signal"].clone()
    windows["signal"][2, 1:4] = 1e4
    assert torch.equal(objective(windows, context(0)).loss, before)


def test_where_channels_are_mixed_whole_patches_are_shown() -> None:
    windows = batch()
    windows["target_signal"] = windows["signal"]
    for mask in ("random", "rectangular_visible"):
        shown = shown_in(build(mask={"name": mask}), windows)
        assert shown.rows is not None
        assert shown.patches is not None
        assert (shown.rows.shape, shown.patches.shape) == ((4, 6), (4, 2))


def test_time_and_place_of_what_is_asked_for_matter() -> None:
    objective = build(mask={"name": "random"}).eval()
    masking = objective.mask(batch(), context(0))
    first, later, elsewhere = (objective.predict(masking, torch.full((4, 1), n)) for n in (0, 1, 4))
    assert (first - later).abs().max() > 1e-4
    assert (first - elsewhere).abs().max() > 1e-4


def test_what_is_asked_for_together_changes_nothing() -> None:
    """Queries do not look at each other."""
    objective = build(mask={"name": "random"}).eval()
    masking = objective.mask(batch(), context(0))
    together = objective.predict(masking, masking.masked)
    alone = objective.predict(masking, masking.masked[:, 3:4])
    torch.testing.assert_close(together[:, 3:4], alone, atol=1e-6, rtol=1e-5)


def test_encoders_that_cannot_leave_tokens_out_are_refused() -> None:
    with pytest.raises(ConfigError, match="encoder luna cannot leave tokens out; choose objective masked"):
        MaeConfig().check_encoder(EncoderFacts.of(LunaConfig()))
    with pytest.raises(ConfigError, match="encoder eegnet gives one vector of features"):
        MaeConfig().check_encoder(EncoderFacts.of(EegnetConfig()))
    with pytest.raises(ConfigError, match="for a whole window; start from an encoder of tokens"):
        MaeConfig().check_encoder(EncoderFacts.of(EegnetConfig(), is_of_start=True))
    for encoder in ("luna", "eegnet"):
        with pytest.raises(ValidationError, match=f"encoder {encoder}"):
            PretrainParams(encoder={"name": encoder}, objective={"name": "mae"}, n_steps=1)
    with pytest.raises(ConfigError, match="encoder pairs cannot leave tokens out"):
        Mae(MaeConfig(), WindowBackbone(Pairs(PairsConfig(), SPEC), SPEC))
    with pytest.raises(ConfigError, match="encoder pairs gives one vector of features"):
        Masked(MaskedConfig(), WindowBackbone(Pairs(PairsOfWindowsConfig(), SPEC), SPEC))


class PairsConfig(EncoderConfig):
    """An encoder of two neighbouring channels per token."""

    implementation: ClassVar[str] = "unused:Pairs"
    name: str = "pairs"


class PairsOfWindowsConfig(PairsConfig):
    """The same, said to give features only."""

    traits: ClassVar[Traits] = Traits(output="window")


class Pairs(Encoder):
    """Every token on its own."""

    def __init__(self, config: PairsConfig, spec: SignalSpec) -> None:
        super().__init__(config, spec, d_model=16, patch_samples=100, channels_per_token=2)
        self.config = config
        self.embedding = torch.nn.Linear(200, 16)

    def depth_layers(self) -> list[list[torch.nn.Module]]:
        return []

    def tokenize(self, batch: WindowBatch) -> Tokens:
        content = self.embedding(self.token_patches(batch).flatten(2))
        n_patches = batch["signal"].shape[2] // 100
        n_rows = content.shape[1] // n_patches
        return Tokens(content, torch.zeros(1, *content.shape[1:]), n_rows, n_patches)

    def encode(self, tokens: Tokens, visible: Visible | None = None) -> torch.Tensor:
        return tokens.content


@pytest.mark.parametrize("target", ["log_spectrum", "signal"])
@pytest.mark.parametrize("filler", ["odd", "padding", "both"])
def test_channels_that_fill_a_token_up_are_not_scored(target: str, filler: str) -> None:
    """Five real channels in three pairs, or in four with a pair of padding."""
    encoder = Pairs(PairsConfig(), SPEC)
    objective = Masked(MaskedConfig(target=target), WindowBackbone(encoder, SPEC))
    n_channels = {"odd": 5, "padding": 6, "both": 7}[filler]
    windows = batch()
    size = (4, n_channels)
    windows["signal"] = 20 * torch.randn(*size, 400, generator=torch.Generator().manual_seed(1))
    windows["channel_positions"], windows["channel_mask"] = torch.zeros(*size, 3), torch.ones(size, dtype=torch.bool)
    windows["channel_mask"][:, 5:] = False
    windows["signal"][:, 5:] = 1e4
    objective.setup([windows], context())
    statistics = {name: value.clone() for name, value in objective.targets.state_dict().items()}
    shown = objective.reconstruct(windows, context(2))
    assert shown["target"].shape[:3] == shown["mask"].shape == (4, n_channels, 4)
    loss, logs, _ = objective(windows, context(2))
    unit = objective.targets[target].sd if target == "log_spectrum" else 30.0
    squared = ((shown["prediction"] - shown["target"]) / unit).square().mean(dim=-1)[:, :5]
    masked = shown["mask"][:, :5].float()
    expected = ((squared * masked).sum(dim=(1, 2)) / masked.sum(dim=(1, 2))).mean()
    torch.testing.assert_close(loss.detach(), expected, rtol=1e-4, atol=1e-5)
    assert float(logs["baseline_loss"]) < 3.0
    windows["signal"][:, 5:] = -500.0
    again = objective(windows, context(2))[0] if filler == "odd" else loss
    assert float(again.detach()) == float(loss.detach())
    objective.setup([windows], context())
    for name, value in objective.targets.state_dict().items():
        torch.testing.assert_close(value, statistics[name])


class EmbedsAll(Mae):
    """The way that embeds masked patches too, and drops them then."""

    def mask(self, batch: WindowBatch, context: Context) -> Masking:
        """Embed, then choose."""
        tokens = self.encoder.tokenize(batch)
        visible = self._draw(batch, tokens.n_rows, tokens.n_patches, context)
        masked = others(visible.index, tokens.n_rows * tokens.n_patches)
        return Masking(masked, tokens, self.encoder.encode(tokens, visible), visible)


@pytest.mark.parametrize("mask", ["random", "rectangular_visible"])
@pytest.mark.parametrize(
    "encoder",
    [
        PatchTransformerConfig(d_model=32, head_size=16, n_layers=2, n_registers=1),
        PatchTransformerConfig(d_model=32, head_size=16, n_layers=2, attention="full", spectrum_input=True),
        PatchTransformerConfig(d_model=32, head_size=8, n_layers=1, attention="criss_cross", patch_embedding="conv"),
        LabramConfig(n_layers=1, patch_samples=200),
        LabramConfig(n_layers=1, patch_samples=200, patch_norm="window"),
    ],
    ids=["alternating", "full", "criss_cross", "labram", "labram-window"],
)
def test_only_visible_patches_are_embedded(encoder: EncoderConfig, mask: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same loss and gradients as with all of them, which an embedding that mixes patches gets."""
    config = MaeConfig(mask={"name": mask}, target="signal", mask_ratio=0.6, allow_leaks=True)
    windows = batch()
    windows["channel_mask"][1, 3] = False
    losses, gradients, n_embedded = [], [], []
    for kind in (Mae, EmbedsAll):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            objective = kind(config, WindowBackbone(new_encoder(encoder, SPEC, seed=0), SPEC))
        patches_of = type(objective.encoder).patches_of

        def counted(self: Encoder, *args: object) -> torch.Tensor:
            found = patches_of(self, *args)  # noqa: B023 - the same for both
            n_embedded.append(found.shape[1])
            return found

        with monkeypatch.context() as patched:
            patched.setattr(type(objective.encoder), "patches_of", counted)
            loss = objective(windows, context(3)).loss
        loss.backward()
        losses.append(loss.detach())
        gradients.append({name: p.grad for name, p in objective.named_parameters() if p.grad is not None})
    torch.testing.assert_close(losses[0], losses[1], rtol=1e-6, atol=0)
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name], rtol=1e-4, atol=1e-6, msg=name)
    n_tokens = 6 * 400 // objective.encoder.patch_samples
    few, many = set(n_embedded[: len(n_embedded) // 2]), set(n_embedded[len(n_embedded) // 2 :])
    assert many == {n_tokens}
    n_visible = shown_in(objective, objective.backbone.prepare(windows)).index.shape[1]
    assert few == {n_tokens if encoder.leaks else n_visible}


def test_content_is_given_of_those_that_were_embedded_only() -> None:
    objective, windows = build(mask={"name": "random"}), batch()
    visible = shown_in(objective, windows)
    tokens = objective.encoder.tokenize_visible(windows, visible)
    with pytest.raises(AssertionError, match="others were embedded"):
        tokens.content_of(visible.index[:, 1:])

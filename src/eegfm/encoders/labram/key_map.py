"""Key maps of LaBraM's published weights: encoders (labram-base.pth, also finetuned) and tokenizer (vqnsp.pth)."""

from eegfm.encoders.key_map import Arrays, KeyMap
from eegfm.encoders.labram.config import LabramConfig

_SOURCE = "github.com/935963004/LaBraM, {}, commit 02ad12c"
_LICENSE = "MIT"
_STUDENT = r"(?:student\.)?"  # of pretrained weights, but for those of two heads beside the student
_LAYER = r"blocks\.(\d+)"
_MODULES = {  # published, as a regular expression: here
    rf"{_LAYER}\.norm1": r"transformer.layers.\1.attention_norm",
    rf"{_LAYER}\.attn\.qkv": r"transformer.layers.\1.query_key_value",
    rf"{_LAYER}\.attn\.q_norm": r"transformer.layers.\1.query_norm",
    rf"{_LAYER}\.attn\.k_norm": r"transformer.layers.\1.key_norm",
    rf"{_LAYER}\.attn\.proj": r"transformer.layers.\1.projection",
    rf"{_LAYER}\.norm2": r"transformer.layers.\1.feed_forward_norm",
    rf"{_LAYER}\.mlp\.fc1": r"transformer.layers.\1.enter",
    rf"{_LAYER}\.mlp\.fc2": r"transformer.layers.\1.leave",
    # Called norm in pretrained weights; in fine-tuned ones fc_norm, where it follows the mean over tokens.
    r"(?:fc_)?norm": "transformer.final_norm",
    **{rf"patch_embed\.conv{k + 1}": f"patch_embedding.convolutions.{k}" for k in range(3)},
    **{rf"patch_embed\.norm{k + 1}": f"patch_embedding.norms.{k}" for k in range(3)},
}
_PARAMETERS = {
    "cls_token": "transformer.cls_token",
    "pos_embed": "places.channel_embedding",
    "time_embed": "places.time_embedding",
    rf"{_LAYER}\.gamma_1": r"transformer.layers.\1.attention_scale",
    rf"{_LAYER}\.gamma_2": r"transformer.layers.\1.feed_forward_scale",
    rf"{_LAYER}\.attn\.q_bias": r"transformer.layers.\1.query_bias",
    rf"{_LAYER}\.attn\.v_bias": r"transformer.layers.\1.value_bias",
}
_TABLES = ("cls_token", "channel_embedding", "time_embedding")
_OF_TOKENIZER = {
    r"decoder\.patch_embed\.proj": "decoder.enter",
    **{rf"encode_task_layer\.{k}": f"to_code.{k}" for k in (0, 2)},
    **{rf"decode_task_layer\.{k}": f"decoder.amplitude.{k}" for k in (0, 2)},
    **{rf"decode_task_layer_angle\.{k}": f"decoder.phase.{k}" for k in (0, 2)},
}


def _rules(
    modules: dict[str, str], parameters: dict[str, str], theirs: str = "", own: str = ""
) -> tuple[tuple[str, str], ...]:
    """Rules with a prefix of published names, as a regular expression, and one of the names here."""
    both = {rf"{name}\.(?P<kind>weight|bias)": rf"{here}.\g<kind>" for name, here in modules.items()} | parameters
    return tuple((theirs + name, own + here) for name, here in both.items())


def _own_layout(arrays: Arrays) -> Arrays:
    """Drop axes of length 1: those of the batch, and those of the tokenizer's 1x1 convolution."""
    out = dict(arrays)
    for name, value in arrays.items():
        if name.endswith(_TABLES):
            out[name] = value[0, 0] if name.endswith("cls_token") else value[0]
        elif name == "decoder.enter.weight":
            out[name] = value[..., 0, 0]
        elif name == "quantizer.is_ready":
            out[name] = value.reshape(()) != 0
    return out


def key_map(config: LabramConfig) -> KeyMap:
    """Rules for an encoder; with ``channels: positions`` the table of named electrodes is left out."""
    return KeyMap(
        source=_SOURCE.format("modeling_pretrain.py and modeling_finetune.py"),
        license=_LICENSE,
        rules=_rules(_MODULES, _PARAMETERS, _STUDENT),
        left_out=(
            rf"{_STUDENT}mask_token",  # each objective has its own
            rf"{_STUDENT}lm_head\.(weight|bias)",
            r"projection_head\.0\.(weight|bias)",  # nothing reads it
            r"head\.(weight|bias)",
            *(() if config.channels == "names" else (f"{_STUDENT}pos_embed",)),
        ),
        convert=_own_layout,
    )


TOKENIZER_KEY_MAP = KeyMap(
    source=_SOURCE.format("modeling_vqnsp.py and norm_ema_quantizer.py"),
    license=_LICENSE,
    rules=(
        *_rules(_MODULES, _PARAMETERS, r"encoder\.", "encoder."),
        *_rules(_MODULES, _PARAMETERS, r"decoder\.", "decoder."),
        *_rules(_OF_TOKENIZER, {}),
        (r"quantize\.embedding\.weight", "quantizer.codebook"),
        (r"quantize\.embedding\.initted", "quantizer.is_ready"),
        (r"quantize\.cluster_size", "quantizer.usage"),
    ),
    left_out=(r"quantize\.embedding\.(cluster_size|embed_avg)",),  # nothing reads them
    convert=_own_layout,
)
"""Rules for ``eegfm.encoders.labram.tokenizer.LabramTokenizer``, and under ``encoder.`` for the encoder that it stands
behind, which has the table of names."""

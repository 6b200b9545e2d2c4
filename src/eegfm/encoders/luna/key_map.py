"""Key map of LUNA's published weights (PulpBio/LUNA), with the names of BioFoundation."""

import numpy as np

from eegfm.encoders.key_map import Arrays, KeyMap
from eegfm.encoders.luna.config import LunaConfig

_LAYER = r"cross_attn\.query_self_attn\.layers\.(\d+)"
_FUSED = "gather.attention.fused."
_RENAMED = {  # published module, as a regular expression: module here
    r"patch_embed\.proj_in\.0": "patch_embedding.convolutions.0",
    r"patch_embed\.proj_in\.1": "patch_embedding.norms.0",
    r"patch_embed\.proj_in\.3": "patch_embedding.convolutions.1",
    r"patch_embed\.proj_in\.4": "patch_embedding.norms.1",
    r"patch_embed\.proj_in\.6": "patch_embedding.convolutions.2",
    r"patch_embed\.proj_in\.7": "patch_embedding.norms.2",
    r"freq_embed\.frequency_to_embed\.fc1": "spectrum_embedding.network.enter",
    r"freq_embed\.frequency_to_embed\.fc2": "spectrum_embedding.network.leave",
    r"channel_location_embedder\.0\.fc1": "place_embedding.network.enter",
    r"channel_location_embedder\.0\.norm": "place_embedding.network.norm",
    r"channel_location_embedder\.0\.fc2": "place_embedding.network.leave",
    r"cross_attn\.queries_norm": "gather.query_norm",
    r"cross_attn\.keys_norm": "gather.key_norm",
    r"cross_attn\.values_norm": "gather.value_norm",
    r"cross_attn\.cross_attention\.out_proj": "gather.attention.projection",
    r"cross_attn\.ffn\.fc1": "gather.feed_forward.enter",
    r"cross_attn\.ffn\.norm": "gather.feed_forward.norm",
    r"cross_attn\.ffn\.fc2": "gather.feed_forward.leave",
    rf"{_LAYER}\.norm1": r"gather.layers.\1.attention_norm",
    rf"{_LAYER}\.self_attn\.out_proj": r"gather.layers.\1.projection",
    rf"{_LAYER}\.norm2": r"gather.layers.\1.feed_forward_norm",
    rf"{_LAYER}\.linear1": r"gather.layers.\1.feed_forward.enter",
    rf"{_LAYER}\.linear2": r"gather.layers.\1.feed_forward.leave",
    r"blocks\.(\d+)\.norm1": r"time.layers.\1.attention_norm",
    r"blocks\.(\d+)\.attn\.qkv_proj": r"time.layers.\1.query_key_value",
    r"blocks\.(\d+)\.attn\.proj": r"time.layers.\1.projection",
    r"blocks\.(\d+)\.norm2": r"time.layers.\1.feed_forward_norm",
    r"blocks\.(\d+)\.mlp\.fc1": r"time.layers.\1.feed_forward.enter",
    r"blocks\.(\d+)\.mlp\.norm": r"time.layers.\1.feed_forward.norm",
    r"blocks\.(\d+)\.mlp\.fc2": r"time.layers.\1.feed_forward.leave",
    "norm": "time.final_norm",
}


def _own_layout(arrays: Arrays) -> Arrays:
    """Take the maps to queries, keys and values apart, and drop the batch axis of the learned queries."""
    converted = {name: value for name, value in arrays.items() if not name.startswith(_FUSED)}
    for name in arrays.keys() - converted.keys():
        kind = name.removeprefix(_FUSED)
        parts = np.split(arrays[name], 3)
        converted |= {f"gather.attention.{part}.{kind}": parts[k] for k, part in enumerate(("query", "key", "value"))}
    if "gather.queries" in converted:
        converted["gather.queries"] = converted["gather.queries"].squeeze(0)
    return converted


KEY_MAP = KeyMap(
    source="github.com/pulp-bio/BioFoundation, models/LUNA.py, commit 1923999; files of huggingface.co/PulpBio/LUNA",
    license="CC BY-ND 4.0",
    rules=(
        *((rf"{theirs}\.(?P<kind>weight|bias)", rf"{own}.\g<kind>") for theirs, own in _RENAMED.items()),
        (rf"{_LAYER}\.self_attn\.in_proj_(weight|bias)", r"gather.layers.\1.query_key_value.\2"),
        (r"cross_attn\.cross_attention\.in_proj_(weight|bias)", rf"{_FUSED}\1"),
        (r"cross_attn\.query_embed", "gather.queries"),
    ),
    left_out=(
        r"mask_token",  # each objective has its own
        r"cross_attn\.temparature",  # a constant 1 that nothing reads; the spelling is theirs
        r"blocks\.\d+\.attn\.rotary_emb\.freqs",  # constants of rotary time
        r"decoder_head\..*",
        r"channel_emb\..*",
        r"classifier\..*",
    ),
    convert=_own_layout,
)


def key_map(_: LunaConfig) -> KeyMap:
    """One map for all sizes."""
    return KEY_MAP

"""Key map of CBraMod's published weights (weighting666/CBraMod, pretrained_weights.pth)."""

from eegfm.encoders.cbramod.config import CbramodConfig
from eegfm.encoders.key_map import KeyMap

_LAYER = r"encoder\.layers\.(\d+)"
_ATTENTION = {"self_attn_s": "across_channels", "self_attn_t": "across_time"}
_MODULES = {  # published, as a regular expression: here
    **{rf"patch_embedding\.proj_in\.{3 * k}": f"patch_embedding.convolutions.{k}" for k in range(3)},
    **{rf"patch_embedding\.proj_in\.{3 * k + 1}": f"patch_embedding.norms.{k}" for k in range(3)},
    r"patch_embedding\.spectral_proj\.0": "spectrum_embedding.projection",
    r"patch_embedding\.positional_encoding\.0": "position_embedding",
    **{rf"{_LAYER}\.{theirs}\.out_proj": rf"layers.\1.{own}.projection" for theirs, own in _ATTENTION.items()},
    rf"{_LAYER}\.norm1": r"layers.\1.attention_norm",
    rf"{_LAYER}\.norm2": r"layers.\1.feed_forward_norm",
    rf"{_LAYER}\.linear1": r"layers.\1.enter",
    rf"{_LAYER}\.linear2": r"layers.\1.leave",
}


def key_map(_: CbramodConfig) -> KeyMap:
    """One map for all choices."""
    return KeyMap(
        source="github.com/wjq-learning/CBraMod, models/cbramod.py and models/criss_cross_transformer.py",
        license="MIT",
        rules=(
            *((rf"{theirs}\.(?P<kind>weight|bias)", rf"{own}.\g<kind>") for theirs, own in _MODULES.items()),
            *(
                (rf"{_LAYER}\.{theirs}\.in_proj_(weight|bias)", rf"layers.\1.{own}.query_key_value.\2")
                for theirs, own in _ATTENTION.items()
            ),
        ),
        left_out=(
            r"patch_embedding\.mask_encoding",  # zeros that were never trained
            r"proj_out\.0\.(weight|bias)",
            r"classifier\..*",
        ),
    )

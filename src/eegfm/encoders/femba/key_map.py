"""Key map of FEMBA's published weights (PulpBio/FEMBA), with the names of BioFoundation and mamba_ssm."""

from eegfm.encoders.femba.config import FembaConfig
from eegfm.encoders.key_map import Arrays, KeyMap

_BLOCK = r"mamba_blocks\.(\d+)\.mamba_"
_DIRECTIONS = {"fwd": "forward_block", "rev": "backward_block"}
_BLOCK_RENAMED = {  # name in mamba_ssm's Mamba, as a regular expression: name here
    r"A_log": "decay_log",
    r"D": "skip",
    r"in_proj\.weight": "input_projection.weight",
    r"conv1d\.(weight|bias)": r"convolution.\2",
    r"x_proj\.weight": "selection_projection.weight",
    r"dt_proj\.(weight|bias)": r"delta_projection.\2",
    r"out_proj\.weight": "output_projection.weight",
}


def _own_layout(arrays: Arrays) -> Arrays:
    """Flatten the kernel of the patch convolution, which is applied to patches that do not overlap."""
    name = "patch_embedding.weight"
    return {**arrays, name: arrays[name].reshape(len(arrays[name]), -1)} if name in arrays else arrays


KEY_MAP = KeyMap(
    source="github.com/pulp-bio/BioFoundation, models/FEMBA.py, commit f861113; "
    "github.com/state-spaces/mamba, mamba_ssm/modules/mamba_simple.py",
    license="CC BY-ND 4.0",
    rules=(
        (r"patch_embed\.proj\.(weight|bias)", r"patch_embedding.\1"),
        (r"pos_embed", "position_embedding"),
        (r"norm_layers\.(\d+)\.(weight|bias)", r"layers.\1.norm.\2"),
        *(
            (rf"{_BLOCK}{direction}\.{theirs}", rf"layers.\1.{own_block}.{own}")
            for direction, own_block in _DIRECTIONS.items()
            for theirs, own in _BLOCK_RENAMED.items()
        ),
    ),
    left_out=(r"decoder\..*", r"classifier\..*"),
    convert=_own_layout,
)


def key_map(_: FembaConfig) -> KeyMap:
    """One map for all sizes."""
    return KEY_MAP

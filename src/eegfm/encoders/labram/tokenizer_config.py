"""Configuration of LaBraM's tokenizer. No torch here."""

from typing import ClassVar

from pydantic import Field

from eegfm.config import Buildable, Count, Depth
from eegfm.encoders.labram.config import LabramConfig

_ENCODER = LabramConfig(patch_norm="window", qk_norm=False, query_value_bias=True, layer_scale=0.0)


class LabramTokenizerConfig(Buildable):
    """Vector-quantised neural spectrum prediction (ICLR 2024, arXiv 2405.18765, section 2.3).

    Args:
        encoder: Encoder whose vectors are quantised, and shape of the decoder. The published tokenizer has group norms
            over the window, no norm of queries and keys, no layer scale, and biases of queries and values.
        n_codes: Codes K of the codebook.
        d_code: Width of a code. 64 in the published training and weights, 32 as the published class's default.
        n_decoder_layers: Layers of the decoder.
        decay: Decay of the moving averages of codes and of their use, per step.
    """

    implementation: ClassVar[str] = "eegfm.encoders.labram.tokenizer:LabramTokenizer"

    encoder: LabramConfig = _ENCODER
    n_codes: Count = 8192
    d_code: Count = 64
    n_decoder_layers: Depth = 3
    decay: float = Field(default=0.99, gt=0, lt=1)

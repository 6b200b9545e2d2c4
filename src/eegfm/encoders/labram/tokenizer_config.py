"""Configuration of LaBraM's tokenizer. No torch here."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from eegfm.config import Count, Depth, StrictModel

TOKENIZER_ENCODER: Mapping[str, Any] = {
    "name": "labram",
    "patch_norm": "window",
    "qk_norm": False,
    "query_value_bias": True,
    "layer_scale": 0.0,
}
"""Choices of the encoder of the published tokenizer: group norms over the window, no norm of queries and keys, biases
of queries and values, no layer scale."""


class LabramTokenizerConfig(StrictModel):
    """Vector-quantised neural spectrum prediction (ICLR 2024, arXiv 2405.18765, section 2.3), behind an encoder.

    Args:
        n_codes: Codes K of the codebook.
        d_code: Width of a code. 64 in the published training and weights, 32 as the published class's default.
        n_decoder_layers: Layers of the decoder, which has the shape of the encoder's.
        decay: Decay of the moving averages of codes and of their use, per step.
        least_use: Share of even use below which a code is placed anew on a token of the step; 0 for never, as
            published.
    """

    n_codes: Count = 8192
    d_code: Count = 64
    n_decoder_layers: Depth = 3
    decay: float = Field(default=0.99, gt=0, lt=1)
    least_use: float = Field(default=0.1, ge=0, lt=0.5)

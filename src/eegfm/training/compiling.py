"""Compile an encoder with torch.compile while it trains: static shapes, one graph per montage and stage."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import torch

from eegfm.encoders.base import Encoder
from eegfm.errors import TrainingError

BACKEND = "inductor"
METHODS = ("tokenize", "tokenize_visible", "encode", "encode_with_features")
"""Halves of an encoder that objectives call. Masks are drawn between them, on the CPU."""
_GRAPHS_PER_MONTAGE = 32
"""Most graphs of a method: training, validation with its shorter last batch and its untouched windows, and windows that
are shown, each with and without bad channels, for a few states of freezing. With more, no two steps would be alike."""
_NO_LEAF = r"The \.grad attribute of a Tensor that is not a leaf"  # torch looks there at what the halves exchange


@contextmanager
def compiled(encoder: Encoder, n_montages: int) -> Iterator[None]:
    """Have the encoder compiled inside the block.

    Functions take the place of its methods, and leave it after the block. Its modules, its weights and their names stay
    as they are. Nothing runs uncompiled in silence: a method is one graph, or the training ends.

    Args:
        encoder: What is trained.
        n_montages: Montages of the data; each has shapes of its own.
    """
    torch.compiler.reset()  # graphs of an encoder that was trained before, in this process
    limit = max(_GRAPHS_PER_MONTAGE * n_montages, torch._dynamo.config.recompile_limit)
    limits = {"recompile_limit": limit, "accumulated_recompile_limit": len(METHODS) * limit, "allow_rnn": True}
    with torch._dynamo.config.patch(limits), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=_NO_LEAF)
        for name in METHODS:
            encoder.__dict__[name] = _one_graph(getattr(encoder, name), type(encoder).__name__)
        try:
            yield
        finally:
            for name in METHODS:
                del encoder.__dict__[name]


def _one_graph(method: Callable[..., Any], encoder: str) -> Callable[..., Any]:
    graph = torch.compile(method, fullgraph=True, dynamic=False, backend=BACKEND)

    @wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        if torch.compiler.is_compiling():  # from within a method that is compiled itself
            return method(*args, **kwargs)
        try:
            return graph(*args, **kwargs)
        except (torch._dynamo.exc.TorchDynamoException, torch._dynamo.exc.FailOnRecompileLimitHit) as error:
            why = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
            raise TrainingError(
                f"compile is true, and torch cannot compile {encoder}.{method.__name__} ({type(error).__name__}: "
                f"{why[:300]}); set compile=false"
            ) from error

    return call

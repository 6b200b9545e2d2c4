"""Versions of the libraries that a checkpoint was made with."""

import platform

import numpy as np
import torch

import eegfm


def versions() -> dict[str, str]:
    """Return the versions of what decides numbers."""
    return {
        "eegfm": eegfm.__version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
    }

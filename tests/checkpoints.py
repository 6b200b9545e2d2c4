"""Headers of checkpoints for tests."""

from typing import Any

from eegfm.checkpoint import CheckpointHeader


def header(**changes: Any) -> CheckpointHeader:
    """A header of two persons; keywords replace fields."""
    fields: dict[str, Any] = {
        "phase": "pretrain",
        "fingerprint": "abc",
        "encoder": {"name": "patch_transformer", "d_model": 32},
        "adapter": {"name": "none"},
        "objective": {"name": "masked"},
        "signal_spec": {"rate_hz": 100.0, "montages": {}, "n_samples": {}},
        "encoder_spec": {"rate_hz": 100.0, "montages": {}, "n_samples": {}},
        "signal_scale_uv": 10.0,
        "reference": "average",
        "filters": {"low_hz": 0.5, "high_hz": 45.0},
        "corpora": ["hbn", "tuh"],
        "simulated_corpora": ["tuh"],
        "persons": ["NDA:ndaraa000aaa", "TUEG:aaaaaaab"],
        "signals": ["00f0", "a1"],
        "kept_out": {"official test set tuab eval": ["TUEG:aaaaaaac"]},
        "splits_sha256": "0" * 64,
        "mixture_sha256": "1" * 64,
        "seed": 3,
        "n_steps": 6,
        "versions": {"torch": "2.13.0"},
    }
    return CheckpointHeader(**fields | changes)

"""Headers of checkpoints for tests."""

from typing import Any

from pydantic import TypeAdapter, ValidationError

from eegfm.adapters.config import AdapterConfig
from eegfm.checkpoint import CheckpointHeader
from eegfm.encoders.config import AnyEncoderConfig
from eegfm.errors import CheckpointError
from eegfm.inference.encoder_code import encoder_code
from eegfm.normalizations.config import FixedScaleConfig
from eegfm.normalizations.said import normalization_of


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
        "normalization": FixedScaleConfig().model_dump(mode="json"),
        "reference": "average",
        "bad_channels": "mask",
        "filters": {"low_hz": 0.5, "high_hz": 45.0},
        "corpora": ["hbn", "tuh"],
        "simulated_corpora": ["tuh"],
        "license": None,
        "imported": None,
        "parents": (),
        "n_persons": 2,
        "persons": [["NDA:ndaraa000aaa"], ["TUEG:aaaaaaab"]],
        "signals": ["00f0", "a1"],
        "kept_out": {"official test set tuab eval": ["TUEG:aaaaaaac"]},
        "splits_sha256": "0" * 64,
        "mixture_sha256": "1" * 64,
        "seed": 3,
        "n_steps": 6,
        "versions": {"torch": "2.13.0"},
    }
    fields |= changes
    return CheckpointHeader(
        **{"encoder_code": code_of(fields["encoder"], fields["adapter"], fields["normalization"])} | fields
    )


def code_of(encoder: dict[str, Any], adapter: dict[str, Any], normalization: dict[str, Any]) -> dict[str, str]:
    """The code of today; none for what is not on the menu."""
    try:
        return encoder_code(
            TypeAdapter(AnyEncoderConfig).validate_python(encoder),
            TypeAdapter(AdapterConfig).validate_python(adapter),
            normalization_of(normalization),
        )
    except (ValidationError, CheckpointError):
        return {}


def imported_header(**changes: Any) -> CheckpointHeader:
    """A header of weights from elsewhere, of which nobody knows whom they have seen; keywords replace fields."""
    of_training = ("n_persons", "persons", "signals", "kept_out", "splits_sha256", "mixture_sha256", "n_steps")
    imported = {"source": "https://example.org/model", "file_sha256": "2" * 64}
    return header(
        **{"phase": "imported", "imported": imported, "simulated_corpora": [], **dict.fromkeys(of_training), **changes}
    )

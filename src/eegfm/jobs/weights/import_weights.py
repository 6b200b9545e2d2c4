"""Turn published weights into a checkpoint that can be probed. The header marks unknown facts as unknown."""

import hashlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eegfm.ancestry import ImportedWeights
from eegfm.batch import SignalSpec
from eegfm.checkpoint import Checkpoint, CheckpointHeader
from eegfm.encoders.base import Encoder
from eegfm.encoders.key_map import KeyMap
from eegfm.encoders.published import key_map
from eegfm.errors import ConfigError
from eegfm.inference.backbone import Backbone, asked_backbone
from eegfm.inference.encoder_code import encoder_code
from eegfm.inference.versions import versions
from eegfm.jobs.weights.answering import build_exported, has_head
from eegfm.jobs.weights.config import ImportParams
from eegfm.jobs.weights.exported import is_exported, read_exported
from eegfm.jobs.weights.foreign_weights import ForeignWeights, read_foreign_weights
from eegfm.jobs.weights.import_montage import import_montage
from eegfm.nn.load_report import LoadReport
from eegfm.nn.weights import load_weights
from eegfm.stated_spec import MAX_SAMPLES

logger = logging.getLogger(__name__)

_REMEDY = (
    "set import.encoder to the architecture of the file, or name what may differ in import.weights (allow_missing, "
    "allow_unexpected, resize)"
)


@dataclass(frozen=True)
class ImportResult:
    """Results of an import.

    Args:
        checkpoint: Checkpoint like that of a pretraining, except for unknown facts.
        report: JSON-ready: the outcome of every weight, and the source of the file.
    """

    checkpoint: Checkpoint
    report: dict[str, Any]


def import_weights(path: Path, params: ImportParams) -> ImportResult:
    """Read published weights, and record all known facts about them.

    An export of eegfm contains all its facts, including the adapter. The parameters are then not used.

    Args:
        path: The file, see ``eegfm.jobs.weights.foreign_weights``, or model.safetensors of an export.
        params: Architecture, and signals that the weights expect.

    Raises:
        CheckpointError: The file cannot be read, or its weights do not fit the architecture.
        ConfigError: No published weights are known for the encoder, or the parameters do not fit each other.
    """
    if is_exported(path):
        return _import_exported(path)
    names = key_map(params.encoder)
    foreign = read_foreign_weights(path)
    translated = names.translate(foreign.tensors)
    spec = SignalSpec(params.rate_hz, *_montage_and_length(params))
    backbone = _new_backbone(spec, params)
    encoder = backbone.encoder
    _check_resized(params, encoder)
    report = load_weights(
        encoder,
        translated.tensors,
        "",
        f"encoder {params.encoder.name}",
        exceptions=params.weights,
        left_out=translated.left_out,
        unknown=translated.unknown,
        remedy=_REMEDY,
    )
    header = _header(params, backbone, names, foreign)
    tensors = {name: value.numpy().copy() for name, value in backbone.state_dict().items()}
    origin = {
        **_origin(path, header),
        "n_parameters": sum(p.numel() for p in encoder.parameters()),
    }
    return ImportResult(Checkpoint(tensors, header), report.to_dict() | origin)


def _check_resized(params: ImportParams, encoder: Encoder) -> None:
    strangers = sorted(set(params.weights.resize) - set(encoder.positional_tables))
    if strangers:
        known = ", ".join(encoder.positional_tables) or "none"
        raise ConfigError(
            f"import.weights.resize: {strangers[0]} is no table of positions of encoder {params.encoder.name}; "
            f"there are: {known}; weights of another shape belong to another architecture"
        )


def _import_exported(path: Path) -> ImportResult:
    checkpoint = read_exported(path.parent)
    header = checkpoint.header
    assert header.imported is not None, "an export does not list its training persons"
    logger.info("%s is an export of eegfm and says all of itself: parameters import.* are not used", path)
    model = build_exported(checkpoint, next(iter(header.signal_spec["montages"])))
    if has_head(checkpoint):
        logger.info("%s has a head, which is imported too; a training that starts from it leaves the head out", path)
    report = LoadReport(tuple(sorted(checkpoint.tensors))).to_dict()
    return ImportResult(
        checkpoint, report | _origin(path, header) | {"n_parameters": sum(p.numel() for p in model.parameters())}
    )


def _origin(path: Path, header: CheckpointHeader) -> dict[str, Any]:
    """Return where an encoder is from, for the report."""
    assert header.imported is not None, "an import says where it is from"
    return {
        "file": path.name,
        "source": header.imported.source,
        "license": header.license,
        "file_sha256": header.imported.file_sha256,
        "fingerprint": header.fingerprint,
    }


def _montage_and_length(params: ImportParams) -> tuple[dict[str, Any], dict[str, int]]:
    montage = import_montage(params.montage)
    n_samples = round(params.window_s * params.rate_hz)
    if abs(n_samples - params.window_s * params.rate_hz) > 1e-6:
        raise ConfigError(
            f"import.window_s {params.window_s:g} is no whole number of samples at import.rate_hz {params.rate_hz:g}; "
            f"nearest: {n_samples / params.rate_hz:g}"
        )
    if n_samples > MAX_SAMPLES:
        raise ConfigError(
            f"import.window_s {params.window_s:g} at import.rate_hz {params.rate_hz:g} are {n_samples} samples; "
            f"at most {MAX_SAMPLES} are allowed"
        )
    return {montage.name: montage}, {montage.name: n_samples}


def _new_backbone(spec: SignalSpec, params: ImportParams) -> Backbone:
    """Build a backbone whose adapter has no weights."""
    backbone = asked_backbone(params, spec)
    if backbone.adapter.state_dict():
        raise ConfigError(
            f"import.adapter {params.adapter.name} has weights of its own, which no published file holds; "
            "set import.adapter.name to none, zero_pad or interpolate"
        )
    return backbone


def _header(params: ImportParams, backbone: Backbone, names: KeyMap, foreign: ForeignWeights) -> CheckpointHeader:
    return CheckpointHeader(
        phase="imported",
        fingerprint=_fingerprint(params, foreign),
        encoder=params.encoder.model_dump(mode="json"),
        adapter=params.adapter.model_dump(mode="json"),
        objective={},
        signal_spec=backbone.spec.to_dict(),
        encoder_spec=backbone.encoder_spec.to_dict(),
        normalization=params.chosen_normalization.model_dump(mode="json"),
        reference=params.reference,
        bad_channels=params.bad_channels,
        filters=params.filters.model_dump(mode="json"),
        corpora=sorted(params.corpora),
        simulated_corpora=[],
        license=params.license or names.license,
        imported=ImportedWeights(source=names.source, file_sha256=foreign.file_sha256, note=params.note),
        parents=(),
        n_persons=None,
        persons=None,
        signals=None,
        kept_out=None,
        splits_sha256=None,
        mixture_sha256=None,
        seed=params.seed,
        n_steps=None,
        versions=versions(),
        encoder_code=encoder_code(params.encoder, params.adapter, params.chosen_normalization),
    )


def _fingerprint(params: ImportParams, foreign: ForeignWeights) -> str:
    identity = {"params": params.identity(), "file_sha256": foreign.file_sha256}
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]

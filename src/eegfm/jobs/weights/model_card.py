"""Write the model card of exported weights."""

from pathlib import Path

from eegfm.checkpoint import CheckpointHeader
from eegfm.files import write_atomically
from eegfm.inference.module import Inference
from eegfm.jobs.weights.answering import Answering
from eegfm.jobs.weights.config import ExportFormat
from eegfm.jobs.weights.exported import ExportedConfig

CARD_FILE = "README.md"
_LICENSES = frozenset(
    {"apache-2.0", "mit", "bsd-3-clause", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nd-4.0"}
    | {"cc-by-nc-sa-4.0", "cc-by-nc-nd-4.0", "gpl-3.0", "lgpl-3.0", "agpl-3.0", "openrail"}
)
"""Licenses with an identifier at Hugging Face, as far as EEG models use them."""
_REFERENCES = {"average": "the common average", "linked_ears": "the linked ears"}
_CARD = """\
---
{front}---

# {title} {encoder}, {fingerprint}

{origin}

| | |
|---|---|
{facts}

Input: (B, {n_channels}, T) float32 **microvolts**, channels in this order:
{channels}.

The signals must be prepared as those of the training were. **Raw EEG is no such input.**

{preparation}

Windows must be whole patches of {patch_samples} samples.

Output: `features` (B, R, X), averaged over time, one row per channel where the encoder tells channels apart; and
`encoded`, what the encoder gave before that.{answers}

## How to load

```python
from eegfm.jobs.weights.exported import load_exported

model = load_exported("FOLDER")
{outputs} = model(recorded_uv)
```
{other_formats}"""
_ONNX = """
```python
import onnxruntime

session = onnxruntime.InferenceSession("FOLDER/encoder.onnx")
OUTPUTS = session.run(None, {"recorded_uv": recorded_uv})
```
"""
_TORCH = """
```python
import torch

program = torch.export.load("FOLDER/encoder.pt2").module()
OUTPUTS = program(recorded_uv)
```
"""


def write_card(model: Inference, config: ExportedConfig, formats: tuple[ExportFormat, ...], folder: Path) -> None:
    """Write README.md. It gives the number of persons and no names."""
    write_atomically(folder / CARD_FILE, _card(model, config, formats).encode())


def _card(model: Inference, config: ExportedConfig, formats: tuple[ExportFormat, ...]) -> str:
    header = config.header
    montage = header.signal_spec["montages"][model.montage]
    outputs = ", ".join(model.outputs)
    programs = _ONNX * ("onnx" in formats) + _TORCH * ("torch_export" in formats)
    return _CARD.format(
        front=_front(header),
        title="EEG encoder with head" if isinstance(model, Answering) else "EEG encoder",
        encoder=header.encoder["name"],
        fingerprint=header.fingerprint,
        origin=_origin(header),
        facts="\n".join(f"| {name} | {value} |" for name, value in _facts(model, config).items()),
        n_channels=len(montage["channel_names"]),
        channels=", ".join(montage["channel_names"]),
        preparation="\n".join(f"- {line}" for line in preparation(header, model.montage)),
        patch_samples=model.backbone.encoder.patch_samples,
        answers=_answers(model),
        outputs=outputs,
        other_formats=programs.replace("OUTPUTS", outputs),
    )


def _answers(model: Inference) -> str:
    """Say what a head answers: shape, classes, outputs, unit, and the head itself."""
    if not isinstance(model, Answering):
        return ""
    target, config = model.target, model.objective.config
    shape = ", ".join(map(str, ("B", *target.output_shape)))
    classes, outputs = ", ".join(target.classes), ", ".join(target.outputs)
    what = {
        "binary": f"probabilities of the classes {classes}",
        "multiclass": f"probabilities of the classes {classes}",
        "multilabel": f"the probability of a yes for each of {outputs}",
        "multioutput": f"for each of {outputs}, probabilities of the classes {classes}",
        "regression": f"numbers{f', {outputs},' if outputs else ''} in {target.unit or 'no unit'}",
    }[target.kind]
    head = _pairs(config.head.model_dump(mode="json"))
    return f"\n\nThird output: `answers` ({shape}), {what}. Kind of task: {target.kind}. Head: {head}."


def preparation(header: CheckpointHeader, montage: str) -> list[str]:
    """Return what must be done to a raw signal before the encoder takes it: rate, filters, reference, unit."""
    low_hz, high_hz, notch_hz = (header.filters.get(name) for name in ("low_hz", "high_hz", "notch_hz"))
    notch = f"notch at {notch_hz:g} Hz and its harmonics inside the band" if notch_hz else "no notch filter"
    recorded = header.signal_spec["montages"][montage]["reference"]
    against = "an unknown electrode" if recorded == "unknown" else _REFERENCES.get(recorded, recorded)
    adapter = f"the adapter ({header.adapter['name']})"
    inside = (
        f"Nothing is re-referenced; {adapter} is inside the module"
        if header.reference == "as_recorded"
        else f"Re-referencing ({header.reference}) and {adapter} are inside the module"
    )
    return [
        f"unit: {header.unit}",
        f"rate: {header.signal_spec['rate_hz']:g} Hz",
        f"band-pass: {low_hz:g} to {high_hz:g} Hz, without delay (zero phase); {notch}",
        f"reference: each channel against that of the recording, here {against}. {inside}",
    ]


def _front(header: CheckpointHeader) -> str:
    """YAML for Hugging Face. Names of corpora are lower-case words; only the license may be any text."""
    tags = [
        "eeg",
        "foundation-model",
        str(header.encoder["name"]),
        *(["simulated"] if header.simulated_corpora else []),
    ]
    license = (header.license or "unknown").casefold().replace(" ", "-")
    lines = [f"license: {license}"] if license in {*_LICENSES, "unknown"} else ["license: other"]
    if lines == ["license: other"]:
        quoted = str(header.license).replace("'", "''").replace("\n", " ")
        lines.append(f"license_name: '{quoted}'")
    lines += ["library_name: eegfm", "pipeline_tag: feature-extraction", "tags:", *(f"- {tag}" for tag in tags)]
    return "\n".join(lines) + "\n"


def _origin(header: CheckpointHeader) -> str:
    simulated = f" **SIMULATED recordings: {', '.join(header.simulated_corpora)}.**" if header.simulated_corpora else ""
    verb = "Finetuned" if header.objective.get("name") == "supervised" else "Pretrained"
    trained = f"{verb} with eegfm {header.versions.get('eegfm', '')}"
    if header.n_persons is not None:
        return f"{trained} on {header.n_persons} persons.{simulated}"
    unknown = (
        "Which persons they were trained on is unknown: no score on the corpora below counts as one of new persons."
    )
    sources = {one.imported.source for parent in header.parents for one in parent.imports() if one.imported}
    if sources:
        return f"{trained} from weights published elsewhere ({', '.join(sorted(sources))}). {unknown}{simulated}"
    assert header.imported is not None, "the number of persons is unknown only where some weights were imported"
    return f"Weights published elsewhere ({header.imported.source}) and imported into eegfm. {unknown}"


def _facts(model: Inference, config: ExportedConfig) -> dict[str, str]:
    header = config.header
    unknown = "unknown"
    started_from = ", ".join(f"{parent.phase} {parent.fingerprint}" for parent in header.parents)
    return {
        **({"started from": started_from} if started_from else {}),
        "corpora": ", ".join(header.corpora) or unknown,
        "persons": str(unknown if header.n_persons is None else header.n_persons),
        "training steps": str(unknown if header.n_steps is None else header.n_steps),
        "parameters": f"{sum(p.numel() for p in model.parameters()):,}",
        "rate": f"{header.signal_spec['rate_hz']:g} Hz",
        "filters": _pairs(header.filters),
        "reference": header.reference,
        "bad channels": f"{header.bad_channels} in training; this export takes all channels as good",
        "normalization inside": _pairs(header.normalization),
        "adapter": str(header.adapter["name"]),
        "longest window of the training": f"{header.signal_spec['n_samples'][model.montage]} samples",
        "license of the weights": header.license or unknown,
    }


def _pairs(values: dict[str, object] | dict[str, float | str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items()) or "none"

"""Every encoder on the menu as torch.export and ONNX; minutes, so that an environment variable asks for it."""

import os
from pathlib import Path

import pytest

from contracts.finetuning_cases import ENCODERS
from eegfm.encoders.config import PatchTransformerConfig
from eegfm.encoders.traits import EncoderConfig
from eegfm.errors import CheckpointError
from eegfm.jobs.weights.config import ExportParams
from eegfm.jobs.weights.export import export
from exports import checkpoint_of

SMALL = {"d_model": 16, "head_size": 8, "n_layers": 2, "patch_s": 1.0}
MENU: dict[str, EncoderConfig] = {
    "full": PatchTransformerConfig(**SMALL, attention="full"),
    "alternating": PatchTransformerConfig(**SMALL, attention="alternating"),
    "spectrum_input": PatchTransformerConfig(**SMALL, spectrum_input=True),
    **{name: config for name, config in ENCODERS.items() if config.name not in ("patch_transformer", "braindecode")},
}
EXCEPTIONS: dict[str, dict[str, str]] = {
    "torch_export": {},
    "onnx": {},
}
"""By format, encoders that cannot be exported, and why."""

pytestmark = pytest.mark.skipif(
    "EEGFM_EXPORT_MENU" not in os.environ, reason="takes minutes; set EEGFM_EXPORT_MENU=1 to run it"
)


@pytest.mark.parametrize("form", ["torch_export", "onnx"])
@pytest.mark.parametrize("name", list(MENU))
def test_every_encoder_is_exported(tmp_path: Path, name: str, form: str) -> None:
    made, params = checkpoint_of(MENU[name], window_s=2), ExportParams(formats=(form,))
    if name in EXCEPTIONS[form]:
        with pytest.raises(CheckpointError, match=r"out of export\.formats"):
            export(made, params, tmp_path / "x")
        return
    report = export(made, params, tmp_path / "x")
    found = report["formats"][form]
    assert found["difference"] <= found["tolerance"]

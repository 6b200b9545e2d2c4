"""Protocol of a probe for its metrics."""

from importlib.metadata import version
from typing import Any

import numpy as np

from eegfm.checkpoint import CheckpointHeader
from eegfm.evaluation.config import ProbeParams
from eegfm.inference.encoder_code import other_code
from eegfm.jobs.probe.exposure import Exposure
from eegfm.jobs.probe.trials import Trials


def describe_protocol(
    header: CheckpointHeader,
    trials: Trials,
    params: ProbeParams,
    *,
    exposure: Exposure,
    splits_sha256: str,
    is_simulated: bool,
) -> dict[str, Any]:
    """Describe the probe completely enough to repeat and to judge it."""
    asked = params.identity()
    counts = np.bincount(trials.truth, minlength=len(trials.classes))
    return {
        **asked,
        "classes": list(trials.classes),
        "corpora": sorted(set(trials.windows["corpus"])),
        "simulated": is_simulated,
        "n_windows": len(trials.windows),
        "n_windows_per_class": dict(zip(trials.classes, counts.tolist(), strict=True)),
        "n_persons": len(trials.names),
        "identities": list(trials.names),
        "n_folds": int(trials.folds.max()) + 1,
        **exposure.to_dict(),
        "splits_sha256": splits_sha256,
        "bad_channels": header.bad_channels,
        "pretraining": {
            "phase": header.phase,
            "fingerprint": header.fingerprint,
            "corpora": header.corpora,
            "simulated": [corpus in header.simulated_corpora for corpus in header.corpora],
            "seed": header.seed,
            "n_steps": header.n_steps,
            "splits_sha256": header.splits_sha256,
            "mixture_sha256": header.mixture_sha256,
            "license": header.license,
            "imported": header.imported.model_dump(mode="json") if header.imported else None,
            "parents": [parent.model_dump(mode="json") for parent in header.parents],
        },
        "versions": {name: version(name) for name in ("eegfm", "numpy", "scipy", "torch")},
        "other_code": other_code(header),
    }

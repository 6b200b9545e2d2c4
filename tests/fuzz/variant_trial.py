"""A corpus through the project: listed, converted, cut into windows, all by the functions that its nodes call."""

import io
import logging
from pathlib import Path

from pydantic import ValidationError

from eegfm.errors import EegfmError
from eegfm.jobs.ingest.config import IngestParams
from eegfm.jobs.ingest.ingest import check_accounts, ingest
from eegfm.signal.config import SignalParams
from eegfm.windows.config import WindowParams
from eegfm.windows.cut import cut_windows
from fuzz.variant_files import Variant
from fuzz.variant_oracle import Outcome
from fuzz.variant_truth import EVENT_S

SIGNAL = SignalParams(min_channels=4, min_duration_s=1.0)


def run(variant: Variant, folder: Path) -> Outcome:
    """Write a corpus and see what becomes of it."""
    root, log, outcome = folder / "raw", io.StringIO(), Outcome()
    variant.write(root)
    handler = logging.StreamHandler(log)
    handler.setLevel(logging.WARNING)
    logger = logging.getLogger("eegfm")
    logger.addHandler(handler)
    try:
        _run(variant, root, folder / "signals", outcome)
    except (EegfmError, ValidationError) as error:
        outcome.error = _one_line(error)
    except Exception as error:  # noqa: BLE001  a traceback is what is looked for
        outcome.error, outcome.is_crash = f"{type(error).__name__}: {error}", True
    finally:
        logger.removeHandler(handler)
    outcome.log = log.getvalue()
    return outcome


def _run(variant: Variant, root: Path, folder: Path, outcome: Outcome) -> None:
    params = IngestParams.model_validate(
        {"corpus": variant.corpus, "workers": {"n_workers": 1}, "max_rejected_ratio": 1.0}
    )
    raw_files = params.corpus.build("mine").index(root)
    done = ingest(raw_files, root, params, SIGNAL, folder, simulated=False)
    outcome.file_outcomes, outcome.recordings, outcome.events = done.file_outcomes, done.recordings, done.events
    names = [] if done.recordings.empty else done.recordings["recording_id"].tolist()
    outcome.signals_uv = {name: done.store.recording(name) for name in names}
    montages = {entry.recording_id: done.store.montages[entry.montage] for entry in done.store.entries}
    outcome.channels = {name: montages[name].channel_names for name in names}
    outcome.reference = {name: montages[name].reference for name in names}
    check_accounts(done.file_outcomes, done.recordings, done.rejected, "mine", params.max_rejected_ratio)
    anchors = {label: {"values": values, "span_s": EVENT_S} for label, values in variant.anchors.items()}
    events = {"name": "events", "anchors": anchors, "length_s": EVENT_S}
    cuts = {"pretrain": {"name": "fixed", "length_s": 2, "stride_s": 2}, "mi": events}
    outcome.windows, _ = cut_windows(done.recordings, done.events, WindowParams.model_validate({"cuts": cuts}))


def _one_line(error: Exception) -> str:
    """A validation error is shown to the user as one line, see ``eegfm.project.checked``; others are one already."""
    return str(error).replace("\n", " ") if isinstance(error, ValidationError) else str(error)

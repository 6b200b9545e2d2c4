"""Name a recording with a lower rate than the store while the others are still converted."""

import logging
from collections.abc import Iterable, Iterator

from eegfm.jobs.ingest.convert import Converted
from eegfm.jobs.ingest.stored_rate import UPSAMPLED
from eegfm.jobs.ingest.workers import Result
from eegfm.signal.config import SignalParams

_log = logging.getLogger(__name__)


def said_if_upsampled(results: Iterable[Result], signal: SignalParams) -> Iterator[Result]:
    """Name the first recording with a lower rate than the store at once, not hours later at the end."""
    is_said = False
    for result in results:
        flags = result.facts["flags"] if isinstance(result, Converted) and not is_said else ()
        rate_hz = next((flag.partition(":")[2] for flag in flags if flag.startswith(f"{UPSAMPLED}:")), "")
        if rate_hz:
            is_said = True
            _log.warning(
                "%s was recorded at %s Hz, below signal.rate_hz=%g: such recordings are interpolated (flag %s)",
                *(result.recording_id, rate_hz, signal.rate_hz, UPSAMPLED),
            )
        yield result

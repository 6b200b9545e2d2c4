"""Compare the stored rate with the rates of the recordings: a stored rate above all of them only makes up samples."""

import pandas as pd

from eegfm.errors import EegfmError

MAX_CLOCK_ERROR_RATIO = 1e-3
"""Deviation of a rate that is an error of the clock."""
UPSAMPLED = "upsampled_from"
"""Flag of a recording whose own rate lies below the stored one; the rate follows behind a colon."""


def refuse_all_upsampled(recordings: pd.DataFrame, corpus: str) -> None:
    """Refuse a stored rate above the rate of every recording.

    Args:
        recordings: Recordings of the corpus, at least one.
        corpus: Its name.

    Raises:
        EegfmError: All recordings were recorded at lower rates; with these rates, and the highest rate to choose.
    """
    is_upsampled = recordings["flags"].map(lambda flags: any(flag.startswith(f"{UPSAMPLED}:") for flag in flags))
    if not is_upsampled.all():
        return
    rates_hz = recordings["original_rate_hz"]
    counts = rates_hz.map("{:g} Hz".format).value_counts()
    found = ", ".join(f"{rate} {n}" for rate, n in counts.head(5).items()) + (", …" if len(counts) > 5 else "")
    raise EegfmError(
        f"{corpus}: signal.rate_hz is {recordings['rate_hz'].iloc[0]:g}, and all {len(recordings)} recordings have "
        f"lower rates ({found}): the stored signals hold no more than at {rates_hz.max():g} Hz. Set signal.rate_hz to "
        f"at most {rates_hz.max():g}; if an encoder needs this rate: --params={corpus}.ingest.accept_upsampled=true"
    )

"""Check that signals fit the encoder that is probed on them."""

import pandas as pd

from eegfm.batch import SignalSpec
from eegfm.checkpoint import CheckpointHeader
from eegfm.encoders.base import Encoder
from eegfm.errors import CheckpointError
from eegfm.inference.compatibility import check_prepared
from eegfm.store.reader import SignalStore


def check_signals(header: CheckpointHeader, store: SignalStore) -> None:
    """Refuse signals with another rate or filter than the encoder's.

    Raises:
        CheckpointError: Rate or filters differ.
    """
    check_prepared(header, store.rate_hz, store.filters, "the probed corpus")


def check_windows(header: CheckpointHeader, encoder: Encoder, windows: pd.DataFrame) -> None:
    """Refuse windows that are not whole patches, or have another length than the encoder is tied to.

    Raises:
        CheckpointError: The length does not fit.
    """
    cut, lengths = windows["cut"].iloc[0], sorted(set(windows["n_samples"].tolist()))
    if encoder.traits.one_length:
        [n_samples] = set(SignalSpec.from_dict(header.encoder_spec).n_samples.values())
        unfit = [n for n in lengths if n != n_samples]
        if unfit:
            raise CheckpointError(
                f"windows of {unfit[0]} samples: the encoder is tied to windows of {n_samples} samples; "
                f"cut {cut!r} into windows of {n_samples / encoder.rate_hz:g} s"
            )
    unfit = [n for n in lengths if n % encoder.patch_samples]
    if unfit:
        raise CheckpointError(
            f"windows of {unfit[0]} samples are no whole number of the encoder's patches of {encoder.patch_samples} "
            f"samples; cut {cut!r} into windows of a multiple of {encoder.patch_samples / encoder.rate_hz:g} s"
        )

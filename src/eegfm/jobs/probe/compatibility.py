"""Check that signals fit the encoder that is probed on them."""

from collections.abc import Mapping

import pandas as pd

from eegfm.batch import SignalSpec
from eegfm.checkpoint import CheckpointHeader
from eegfm.encoders.base import Encoder
from eegfm.errors import CheckpointError
from eegfm.nn.load_report import listed
from eegfm.recording import Montage
from eegfm.store.reader import SignalStore


def check_signals(header: CheckpointHeader, store: SignalStore) -> None:
    """Refuse signals with another rate or filter than the encoder's.

    Raises:
        CheckpointError: Rate or filters differ.
    """
    rate_hz = SignalSpec.from_dict(header.signal_spec).rate_hz
    if rate_hz != store.rate_hz:
        raise CheckpointError(
            f"the encoder was trained at {rate_hz:g} Hz and the signals are stored at {store.rate_hz:g} Hz; "
            "ingest the probed corpus with the encoder's rate_hz"
        )
    if header.filters != store.filters:
        raise CheckpointError(
            f"the encoder was trained on signals filtered with {header.filters}, the probed ones with {store.filters}; "
            "ingest the probed corpus with the encoder's signal parameters"
        )


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


def check_channels(header: CheckpointHeader, montages: Mapping[str, Montage]) -> None:
    """Refuse channels in another order than an encoder is tied to. It would silently confuse the channels.

    Args:
        header: Header of an encoder with the trait ``one_montage``.
        montages: Montages of the probed windows, after reference and adapter.

    Raises:
        CheckpointError: The channels differ.
    """
    [expected] = {m.channel_names for m in SignalSpec.from_dict(header.encoder_spec).montages.values()}
    for name, montage in montages.items():
        if montage.channel_names != expected:
            raise CheckpointError(
                f"the encoder is tied to {len(expected)} channels in this order: {listed(expected)}; windows of "
                f"montage {name} have {montage.n_channels}: {listed(montage.channel_names)}; train or import it with "
                "an adapter that makes them (adapter.name: interpolate or zero_pad)"
            )

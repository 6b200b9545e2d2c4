"""Check that signals are prepared as an encoder expects them. No torch here."""

from collections.abc import Mapping

from eegfm.batch import SignalSpec
from eegfm.checkpoint import CheckpointHeader
from eegfm.errors import CheckpointError
from eegfm.nn.load_report import listed
from eegfm.recording import Montage


def check_prepared(header: CheckpointHeader, rate_hz: float, filters: Mapping[str, float | None], corpora: str) -> None:
    """Refuse signals with another rate or filter than the encoder's.

    Args:
        header: Header of the encoder.
        rate_hz: Rate of the stored signals.
        filters: Filters of the stored signals.
        corpora: What to ingest again, for the message.

    Raises:
        CheckpointError: Rate or filters differ.
    """
    expected_hz = SignalSpec.from_dict(header.signal_spec).rate_hz
    if expected_hz != rate_hz:
        raise CheckpointError(
            f"the encoder was trained at {expected_hz:g} Hz and the signals are stored at {rate_hz:g} Hz; "
            f"ingest {corpora} with the encoder's rate_hz"
        )
    if header.filters != filters:
        raise CheckpointError(
            f"the encoder was trained on signals filtered with {header.filters}, those of {corpora} with "
            f"{dict(filters)}; ingest {corpora} with the encoder's signal parameters"
        )


def check_channels(header: CheckpointHeader, montages: Mapping[str, Montage]) -> None:
    """Refuse channels in another order than an encoder is tied to. It would silently confuse the channels.

    Args:
        header: Header of an encoder with the trait ``one_montage``.
        montages: Montages of the windows, after reference and adapter.

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

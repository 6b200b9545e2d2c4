"""For encoders that are tied to one montage: which one, or what to do about several."""

from eegfm.batch import SignalSpec
from eegfm.errors import ConfigError
from eegfm.recording import Montage


def only_montage(spec: SignalSpec, encoder: str) -> Montage:
    """The montage that all data share: the same channels in the same order under every name.

    Raises:
        ConfigError: There are several; the message names the adapters that make one of them.
    """
    montages = list(spec.montages.values())
    if len({montage.channel_names for montage in montages}) > 1:
        counts = ", ".join(f"{name} ({m.n_channels} channels)" for name, m in sorted(spec.montages.items()))
        lengths = sorted(set(spec.n_samples.values()))
        also = f"; windows need one length too, not {_seconds(lengths, spec)}" if len(lengths) > 1 else ""
        raise ConfigError(
            f"encoder {encoder} is tied to the channels of one montage, the data hold several: {counts}; put an "
            "adapter in front (adapter: {name: interpolate, montage: 1020_19} or perceiver), or choose encoder "
            f"patch_transformer{also}"
        )
    return montages[0]


def only_length(spec: SignalSpec, encoder: str) -> int:
    """Samples of a window, the same in all montages.

    Raises:
        ConfigError: Windows have several lengths.
    """
    lengths = sorted(set(spec.n_samples.values()))
    if len(lengths) > 1:
        raise ConfigError(
            f"encoder {encoder} is tied to one window length, the data hold several: {_seconds(lengths, spec)}; "
            "cut all corpora to one length_s (cuts.*.length_s), or choose encoder patch_transformer"
        )
    return lengths[0]


def _seconds(lengths: list[int], spec: SignalSpec) -> str:
    return ", ".join(f"{n / spec.rate_hz:g} s" for n in lengths)


def check_batch(n_channels: int, batch_montage: str, expected: Montage, encoder: str) -> None:
    """Refuse windows of another number of channels than an encoder was built for.

    Raises:
        ConfigError: They differ.
    """
    if n_channels != expected.n_channels:
        raise ConfigError(
            f"encoder {encoder} was built for {expected.n_channels} channels, windows of montage {batch_montage} have "
            f"{n_channels}; put the adapter in front that it was trained with, or adapter: "
            "{name: interpolate, montage: 1020_19}"
        )

"""Find the one montage and window length that an encoder is tied to, or refuse the data."""

from eegfm.batch import SignalSpec
from eegfm.errors import ConfigError
from eegfm.recording import Montage


def only_montage(spec: SignalSpec, encoder: str) -> Montage:
    """The montage that all data share: the same channels in the same order under every name.

    Raises:
        ConfigError: There are several; see ``_refusal``.
    """
    montages = list(spec.montages.values())
    if len({montage.channel_names for montage in montages}) > 1:
        raise _refusal(spec, encoder)
    return montages[0]


def only_length(spec: SignalSpec, encoder: str) -> int:
    """Samples of a window, the same in all montages.

    Raises:
        ConfigError: Windows have several lengths; see ``_refusal``.
    """
    lengths = set(spec.n_samples.values())
    if len(lengths) > 1:
        raise _refusal(spec, encoder)
    return lengths.pop()


def _refusal(spec: SignalSpec, encoder: str) -> ConfigError:
    """Error with all faults and remedies at once, so that the user need not run again for the second fault."""
    problems = []
    if len({montage.channel_names for montage in spec.montages.values()}) > 1:
        counts = ", ".join(f"{name} ({m.n_channels} channels)" for name, m in sorted(spec.montages.items()))
        problems.append(
            f"encoder {encoder} is tied to the channels of one montage, the data hold several: {counts}; put an "
            "adapter in front (adapter: {name: interpolate, montage: 1020_19} or perceiver)"
        )
    lengths = sorted(set(spec.n_samples.values()))
    if len(lengths) > 1:
        found = ", ".join(f"{n / spec.rate_hz:g} s" for n in lengths)
        problems.append(
            f"encoder {encoder} is tied to one window length, the data hold several: {found}; cut all corpora to one "
            "length_s (cuts.*.length_s)"
        )
    return ConfigError(f"{'; '.join(problems)}; or choose encoder patch_transformer")


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

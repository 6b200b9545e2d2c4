"""Montage of imported weights: a canonical montage, or named electrodes in their own order."""

from eegfm.errors import ConfigError
from eegfm.jobs.weights.config import NamedElectrodes
from eegfm.nn.load_report import listed
from eegfm.recording import Montage
from eegfm.signal.montages.canonical import CanonicalName, canonical_montage
from eegfm.signal.montages.electrodes import clean_label
from eegfm.signal.montages.layouts import electrode_table, is_scalp


def import_montage(choice: CanonicalName | NamedElectrodes) -> Montage:
    """The montage. Named electrodes keep the order of their list, which is the order of the weights.

    Raises:
        ConfigError: A name is no electrode of the layout, or an electrode is listed twice.
    """
    if not isinstance(choice, NamedElectrodes):
        return canonical_montage(choice)
    table = electrode_table(choice.layout)
    names = [clean_label(label, choice.layout) or "" for label in choice.electrodes]
    unknown = [label for label, name in zip(choice.electrodes, names, strict=True) if name not in table]
    if unknown:
        raise ConfigError(
            f"import.montage.electrodes: {len(unknown)} are not in layout {choice.layout} ({listed(unknown)}); "
            "correct them or set import.montage.layout"
        )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"import.montage.electrodes: {listed(twice)} are listed more than once; list each once")
    return Montage(
        channel_names=tuple(names),
        positions_m=tuple(table[name].position_m for name in names),
        is_scalp=is_scalp(names, choice.layout),
        reference="unknown",
    )

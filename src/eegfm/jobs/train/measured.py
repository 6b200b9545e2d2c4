"""Windows that a validation of pairs measures besides: those that a validation without pairs would show."""

import logging

import pandas as pd

from eegfm.batch import SignalSpec, WindowIndex
from eegfm.encoders.base import Encoder
from eegfm.errors import ConfigError
from eegfm.mixture.table import drawn_rows
from eegfm.store.stores import Stores
from eegfm.training.loading.groups import window_groups
from eegfm.training.loading.spread import spread_draws
from eegfm.training.plans.plan import Draw

logger = logging.getLogger(__name__)

_N_AT_ONCE = 32


def measured_draws(
    mixture: pd.DataFrame, stores: Stores, spec: SignalSpec, encoder: Encoder, n_windows: int
) -> dict[str, list[Draw]]:
    """Draw windows of split ``validation`` one by one: the same ones in every phase on one mixture.

    Args:
        mixture: The whole mixture, with the cut whose windows are drawn one by one.
        stores: Stores by corpus.
        spec: What the encoder was built for. Windows of other montages are left out.
        encoder: Windows that it cannot encode are left out.
        n_windows: Largest number of windows of a corpus.

    Returns:
        Micro-batches by corpus.
    """
    rows = drawn_rows(mixture, [None])
    groups = window_groups(rows, stores, "validation")
    fitting = {corpus: [g for g in found if _fits(g, spec, encoder)] for corpus, found in groups.items()}
    for corpus in (corpus for corpus, found in fitting.items() if len(found) < len(groups[corpus])):
        logger.info(
            "%s: windows of the mixture's cut that the encoder cannot take are not measured in a validation", corpus
        )
    fitting = {corpus: found for corpus, found in fitting.items() if found}
    return spread_draws(fitting, dict.fromkeys(fitting, _N_AT_ONCE), n_windows)


def _fits(group: WindowIndex, spec: SignalSpec, encoder: Encoder) -> bool:
    if group.montage not in spec.montages:
        return False
    if encoder.traits.one_length:
        return group.n_samples == spec.n_samples[group.montage]
    try:
        encoder.check_length(group.n_samples, group.montage)
    except ConfigError:
        return False
    return True

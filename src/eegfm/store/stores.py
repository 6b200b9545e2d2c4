"""Access to the stores of several corpora."""

from collections.abc import Mapping

from eegfm.errors import ConfigError
from eegfm.store.reader import SignalStore

Stores = Mapping[str, SignalStore]
"""Stores by corpus."""


def store_of(stores: Stores, corpus: str) -> SignalStore:
    """The store of a corpus.

    Raises:
        ConfigError: The corpus has no store.
    """
    if corpus not in stores:
        raise ConfigError(f"the mixture names corpus {corpus}, which has no signal store; there are {sorted(stores)}")
    return stores[corpus]

"""Encoders with published weights. A key map is imported only when it is used."""

import importlib

from eegfm.encoders.key_map import KeyMap
from eegfm.encoders.traits import EncoderConfig
from eegfm.errors import ConfigError

PUBLISHED = ("cbramod", "femba", "labram", "luna")
"""Names of encoders; each has ``key_map.py`` with ``key_map(config) -> KeyMap`` in its folder."""


def key_map(config: EncoderConfig) -> KeyMap:
    """Key map of the published weights of this encoder.

    Raises:
        ConfigError: None are known, or a choice is another than the weights were trained with.
    """
    if config.name not in PUBLISHED:
        raise ConfigError(
            f"import.encoder.name {config.name!r}: no published weights are known; known: {', '.join(PUBLISHED)}"
        )
    for key, published in config.published.items():
        if getattr(config, key) != published:
            raise ConfigError(
                f"import.encoder.{key} is {getattr(config, key)}, but the published weights of {config.name} were "
                f"trained with {published}; leave it out, or set import.encoder.{key}: {published}"
            )
    module = importlib.import_module(f"eegfm.encoders.{config.name}.key_map")
    found = module.key_map(config)
    assert isinstance(found, KeyMap), f"{module.__name__} gives no KeyMap"
    return found

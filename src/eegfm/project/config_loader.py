"""Merge parameters of several sources softly. Another member of a union replaces the whole previous member."""

from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

from kedro.config import OmegaConfigLoader
from omegaconf import DictConfig, OmegaConf


class ConfigLoader(OmegaConfigLoader):
    """Kedro's loader with one difference: another member of a union drops the options of the previous member.

    ``conf/base`` may choose ``encoder: {name: patch_transformer, d_model: 48}``. Then ``encoder: {name: luna}`` in an
    environment or on the command line means luna with its own defaults, without an option that luna does not know.
    """

    def _merge_and_resolve(self, key: str, config_per_file: dict[Path, DictConfig]) -> dict[str, Any]:
        if key == "parameters":
            config_per_file = {path: config.copy() for path, config in config_per_file.items()}
            for config in config_per_file.values():
                drop_replaced(config, self.runtime_params or {})
        merged: dict[str, Any] = super()._merge_and_resolve(key, config_per_file)
        return merged

    @staticmethod
    def _soft_merge(config: dict[str, Any], env_config: dict[str, Any], env_path: str | None = None) -> Any:
        drop_replaced(config, env_config)
        return OmegaConf.to_container(OmegaConf.unsafe_merge(config, env_config))


def drop_replaced(earlier: MutableMapping[str, Any], later: Mapping[str, Any]) -> None:
    """Remove the choices from ``earlier`` for which ``later`` names another member."""
    for key in earlier.keys() & later.keys():
        old, new = earlier[key], later[key]
        if not (isinstance(old, MutableMapping) and isinstance(new, Mapping)):
            continue
        if "name" in old and "name" in new and old["name"] != new["name"]:
            del earlier[key]
        else:
            drop_replaced(old, new)

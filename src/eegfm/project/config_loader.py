"""Read the configuration: the base, then an environment over it, then the command line over both."""

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any

from kedro.config import OmegaConfigLoader
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from eegfm.errors import ConfigError, EegfmError
from eegfm.project.parameters import with_defaults
from eegfm.project.phase_blocks import with_cuts, with_starts, without_unlisted
from eegfm.project.yaml_files import check_file

_PATHS = ("path", "filepath", "filename")


class ConfigLoader(OmegaConfigLoader):
    """Kedro's loader with other rules of merging (``merged``), and with one line for each mistake in a file.

    ``conf/base`` may choose ``encoder: {name: patch_transformer, d_model: 48}``. Then ``encoder: {name: luna}`` in an
    environment or on the command line means luna with its own defaults, without an option that luna does not know.
    ``eyes: null`` drops an entry ``eyes`` that ``conf/base`` has. ``phases: [pretrain]`` drops the blocks of the other
    phases that ``conf/base`` lists (``without_unlisted``).
    """

    def __init__(
        self, conf_source: str, env: str | None = None, runtime_params: dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        given = dict(runtime_params or {})
        _expand_home(given, "--params", ("data",))
        if "data" in given:
            _check_folder(given["data"], "--params=data=FOLDER")
        super().__init__(conf_source, env, given, **kwargs)

    def _read_dir_configs(
        self,
        conf_path: str,
        patterns: Iterable[str],
        key: str,
        processed_files: set[Path],
        read_environment_variables: bool | None = False,
    ) -> dict[Path, DictConfig]:
        if self._protocol == "file" and not Path(conf_path).is_dir():
            raise ConfigError(_no_environment(Path(self.conf_source), conf_path))
        for path in sorted({path for p in patterns for path in self._fs.glob(Path(f"{conf_path}/{p}").as_posix())}):
            if self._is_valid_config_path(Path(path)) and not (self.ignore_hidden and self._is_hidden(path)):
                check_file(path, self._fs.cat_file(path))
        try:
            read: dict[Path, DictConfig] = super()._read_dir_configs(
                conf_path, patterns, key, processed_files, read_environment_variables
            )
        except ValueError as error:
            if not str(error).startswith("Duplicate keys"):
                raise
            raise ConfigError(f"{' '.join(str(error).split())}; keep them in one of the files") from error
        return read

    def _resolve_from_raw_config(
        self,
        key: str,
        base_configs: dict[Path, DictConfig],
        env_configs: dict[Path, DictConfig],
        base_path: str,
        env_path: str,
        processed_files: set[Path],
    ) -> dict[str, Any]:
        try:
            if self.merge_strategy.get(key) == "soft" and processed_files:
                return self._merge_softly(key, base_configs, env_configs)
            found = super()._resolve_from_raw_config(
                key, base_configs, env_configs, base_path, env_path, processed_files
            )
        except OmegaConfBaseException as error:
            raise _unresolved(key, error) from error
        if key == "catalog":
            inherited = {name for config in base_configs.values() for name in config}
            found = {name: entry for name, entry in found.items() if entry is not None or name not in inherited}
            _expand_home(found, "catalog", _PATHS)
        return found

    def _merge_softly(self, key: str, *layers: Mapping[Path, DictConfig]) -> dict[str, Any]:
        """All files and the command line as one mapping. References (``${…}``) see the values that win."""
        whole: dict[str, Any] = {}
        for layer in layers:
            files: list[Any] = [OmegaConf.to_container(config, resolve=False) for config in layer.values()]
            whole = _over(whole, files, key)
        if key == "globals":
            OmegaConf.clear_resolver("runtime_params")  # as in Kedro: globals do not depend on the command line
        else:
            whole = _over(whole, [self.runtime_params or {}], key)
        found: Any = OmegaConf.to_container(OmegaConf.create(whole), resolve=True)
        if key == "parameters":
            return with_cuts(with_starts(with_defaults(found), merged))
        _expand_home(found, key)
        if "data" in found:
            _check_folder(found["data"], "globals.yml, data: FOLDER")
        return {name: value for name, value in found.items() if not name.startswith("_")}


def _check_folder(value: Any, where: str) -> None:
    """Refuse a data folder that is no text: Python's name of the value would become a folder."""
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(
            f"data is {value!r}, and it must name the folder that the run writes into ({where}); put a name such as 5 "
            "or true in quotes"
        )


def _over(earlier: Mapping[str, Any], files: Sequence[Mapping[str, Any]], key: str) -> dict[str, Any]:
    """A layer of the configuration, which may be several files, over the earlier ones."""
    if key == "parameters":
        earlier = without_unlisted(earlier, {name: value for file in files for name, value in file.items()})
    return reduce(merged, files, dict(earlier))


def merged(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> dict[str, Any]:
    """Merge two layers of the configuration.

    - A mapping over a mapping adds and replaces keys, at every depth.
    - A mapping with another ``name`` is another member of a union: it replaces the whole earlier member.
    - ``null`` over a mapping drops it. ``null`` over anything else is the value None.
    - Any other value replaces the earlier value.
    """
    result = dict(earlier)
    for key, new in later.items():
        old = result.get(key)
        if not isinstance(old, Mapping):
            result[key] = new
        elif new is None:
            del result[key]
        elif not isinstance(new, Mapping) or ("name" in old and "name" in new and old["name"] != new["name"]):
            result[key] = new
        else:
            result[key] = merged(old, new)
    return result


def _unresolved(key: str, error: OmegaConfBaseException) -> EegfmError:
    """The line for a reference (``${…}``) that leads nowhere, or the error of one of our own resolvers."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, EegfmError):
            return cause
        cause = cause.__cause__ or cause.__context__
    text = str(error).partition("\n    full_key")[0].partition("raised while resolving interpolation: ")
    problem = " ".join((text[2] or text[0]).split()).rstrip(".")
    where = f"{key}, {error.full_key}" if error.full_key else key
    advice = "; give it a value in globals.yml of this environment" if "Globals key" in problem else ""
    return ConfigError(f"{where}: {problem}{advice}")


def _no_environment(conf: Path, path: str) -> str:
    known = sorted({p.parent.relative_to(conf).as_posix() for p in conf.rglob("*.yml")} - {"."})
    wanted = Path(path).relative_to(conf).as_posix() if Path(path).is_relative_to(conf) else path
    close = difflib.get_close_matches(wanted, known, n=1)
    meant = f"; did you mean {close[0]}?" if close else ""
    return f"there is no folder {path}; --env takes a folder under {conf.name}/: {', '.join(known)}{meant}"


def _expand_home(config: dict[str, Any], where: str, names: Collection[str] | None = None) -> None:
    """Replace ``~`` at the beginning of paths by the home folder: neither Kedro nor a shell does it behind ``=``.

    Args:
        config: Is changed in place, at every depth.
        where: Name of the configuration, for the message.
        names: Keys whose values are paths; all keys by default.

    Raises:
        ConfigError: There is no home folder of that name.
    """
    for key, value in config.items():
        if isinstance(value, dict):
            _expand_home(value, f"{where}.{key}", names)
        elif (names is None or key in names) and isinstance(value, str) and value.startswith("~"):
            try:
                config[key] = str(Path(value).expanduser())
            except RuntimeError as error:
                raise ConfigError(f"{where}.{key}: {value} names no home folder; write the whole path") from error

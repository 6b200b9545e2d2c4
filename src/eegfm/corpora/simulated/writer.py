"""Write a simulated corpus once, by one process at a time.

An interrupted corpus is recognised, and foreign files are never overwritten.
"""

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import ValidationError

from eegfm.config import StrictModel
from eegfm.corpora.simulated import hbn, tuh
from eegfm.corpora.simulated.config import MANIFEST, UNFINISHED, SimulatedConfig, SimulatedTuh
from eegfm.corpora.simulated.plan import PlannedFile
from eegfm.errors import ConfigError
from eegfm.files import exclusive, naming

_log = logging.getLogger(__name__)

VERSION = 1
"""Version of the simulator's output. Folders of other versions are written again."""


class Manifest(StrictModel):
    """Contents of a simulated folder.

    Attributes:
        what: Text that the recordings are simulated.
        version: Version of the simulator.
        config: The configuration as plain data, since another version may have other fields.
        files: Size in bytes by path; None while the file is not yet written.
    """

    what: str = "SIMULATED EEG; no person was recorded"
    version: int = VERSION
    config: dict[str, Any]
    files: dict[str, int | None]


def planned_files(config: SimulatedConfig) -> Iterator[PlannedFile]:
    """Plan the files of a corpus. A signal is simulated only when its bytes are requested."""
    return tuh.plan(config) if isinstance(config, SimulatedTuh) else hbn.plan(config)


def is_current(config: SimulatedConfig, root: Path) -> bool:
    """True if the folder holds all files of this configuration, each with its written size."""
    manifest = _read(root / MANIFEST)
    if manifest is None or manifest.version != VERSION or manifest.config != config.model_dump(mode="json"):
        return False
    return all(_size(root / path) == size for path, size in manifest.files.items())


def write_simulated(config: SimulatedConfig, root: Path) -> None:
    """Write the corpus, unless the folder holds it already.

    Each file is written under a temporary name and renamed; the manifest comes last. Files of an earlier configuration
    or an interrupted run are replaced. A second process waits until the first has ended, and looks again.

    Args:
        config: The corpus.
        root: Folder of the corpus; made if missing.

    Raises:
        ConfigError: The folder holds files that no simulation wrote.
    """
    if is_current(config, root):
        return
    if root.exists() and not root.is_dir():
        raise ConfigError(f"{root} is a file; simulated recordings need a folder: choose another path")
    with _one_at_a_time(root):
        if not is_current(config, root):
            _write_all(config, root)


def _one_at_a_time(root: Path) -> AbstractContextManager[None]:
    """Hold the lock of a folder. It lies beside the folder, because every file inside is one of the corpus."""
    lock = root.with_name(f".{root.name}.lock")
    with naming(lock):
        lock.parent.mkdir(parents=True, exist_ok=True)

    def wait(who: str) -> None:
        _log.info("waiting for %s, which writes SIMULATED recordings to %s", who, root)

    return exclusive(lock, ConfigError, wait)


def _write_all(config: SimulatedConfig, root: Path) -> None:
    owned = _owned(root)
    _refuse_foreign(root, owned)
    plan = list(planned_files(config))
    paths = {file.path for file in plan}
    content = config.model_dump(mode="json")
    _write_manifest(root / UNFINISHED, Manifest(config=content, files=dict.fromkeys(sorted(owned | paths))))
    (root / MANIFEST).unlink(missing_ok=True)
    _remove(root, (owned - paths) | {_temporary(path) for path in owned})
    sizes: dict[str, int | None] = {file.path: _write(root / file.path, file.render()) for file in plan}
    _write_manifest(root / MANIFEST, Manifest(config=content, files=sizes))
    (root / UNFINISHED).unlink()


def _read(path: Path) -> Manifest | None:
    """Read a manifest; None if there is no readable one."""
    if not path.is_file():
        return None
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except ValidationError:
        return None


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else -1


def _owned(root: Path) -> set[str]:
    """Paths that a finished or interrupted simulation wrote or was about to write."""
    manifests = [_read(root / name) for name in (MANIFEST, UNFINISHED)]
    paths = {path for manifest in manifests if manifest is not None for path in manifest.files}
    # A manifest is data. It must not lead the removal of old files out of the folder.
    return {path for path in paths if not PurePosixPath(path).is_absolute() and ".." not in PurePosixPath(path).parts}


def _refuse_foreign(root: Path, owned: set[str]) -> None:
    known = owned | {MANIFEST, UNFINISHED}
    known |= {_temporary(path) for path in known}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        # Old files are removed, and nothing is removed or written through a link.
        if path.is_symlink() or (not path.is_dir() and name not in known):
            raise ConfigError(
                f"{root} holds {name}, which no simulation wrote; simulated recordings are written only to an empty "
                "folder or over earlier simulated ones: choose another folder, or move its files away"
            )


def _temporary(path: str) -> str:
    place = PurePosixPath(path)
    return place.with_name(f".{place.name}.tmp").as_posix()


def _write_manifest(path: Path, manifest: Manifest) -> None:
    _write(path, (manifest.model_dump_json(indent=1) + "\n").encode())


def _write(path: Path, content: bytes) -> int:
    """Write under a temporary name and rename, so that a file exists whole or not at all. Return its size."""
    temporary = path.with_name(_temporary(path.name))
    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(content)
            temporary.replace(path)
        except OSError:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
    return len(content)


def _remove(root: Path, paths: set[str]) -> None:
    """Remove files of an earlier simulation, and folders that are empty afterwards."""
    for path in paths:
        (root / path).unlink(missing_ok=True)
    folders = [path for path in root.rglob("*") if path.is_dir()]
    for folder in sorted(folders, key=lambda path: len(path.parts), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()

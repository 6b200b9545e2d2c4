"""Resolve a file that a header names. It must lie in the folder of the header."""

from pathlib import Path, PureWindowsPath

from eegfm.errors import RecordingError


def companion(path: Path, name: str) -> Path:
    """The file that ``path`` names, in the same folder.

    A link is followed only within the folder, or into the git-annex store of its repository. A cloned data set keeps
    fetched content in this store.

    Args:
        path: The header.
        name: Name of the file, as the header gives it. The header comes from elsewhere, so this may be any text.

    Returns:
        Path of the file; it need not exist.

    Raises:
        RecordingError: The name or a link leads out of the folder (``data_outside_folder``).
    """
    beside = path.parent / name
    # Refuse separators of Windows as well. The file may come from Windows, and no valid name has a colon or backslash.
    is_plain = name == PureWindowsPath(name).name and name not in {"", ".", ".."} and "\0" not in name
    if not is_plain or not _is_inside(path, beside):
        raise RecordingError(
            "data_outside_folder",
            f"{path.name}: its samples or markers are said to lie in {name!r}, which leads out of its folder",
            f"put that file itself, not a link, beside {path.name}, and its plain name into the header",
        )
    return beside


def _is_inside(path: Path, beside: Path) -> bool:
    if not beside.is_symlink():
        return True
    folder, target = path.parent.absolute(), beside.resolve()
    stores = ((above / ".git" / "annex" / "objects").resolve() for above in (folder, *folder.parents))
    return target.parent == folder.resolve() or any(target.is_relative_to(store) for store in stores)

"""Read the header in a file of ``torch.save`` without torch, and without unpickling anything."""

import pickletools
import zipfile
from collections.abc import Collection
from pathlib import Path

from eegfm.checkpoint import HEADER_KEY, SHA256_KEY, WEIGHTS_CRC_KEY
from eegfm.errors import CheckpointError, DamageError

TORCH_SUFFIXES = (".pt", ".ckpt")
_KEYS = (HEADER_KEY, WEIGHTS_CRC_KEY, SHA256_KEY)
_MAX_PICKLE_BYTES = 100_000_000
_MEMO = frozenset({"BINPUT", "LONG_BINPUT", "PUT", "MEMOIZE"})


def read_torch_texts(path: Path, keys: Collection[str] = _KEYS) -> dict[str, str]:
    """Read the values of some keys, which are texts. Where a key stands more than once, its first value counts.

    Args:
        path: A file that ``torch.save`` wrote.
        keys: The keys; by default the header and the two checksums.

    Returns:
        Text by key. A key that the file lacks is left out.

    Raises:
        CheckpointError: There is no such file, or it is no file of torch.
        DamageError: The file is damaged.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such checkpoint")
    try:
        return _texts(_pickled(path), keys)
    except (OSError, EOFError, LookupError, RuntimeError, ValueError, NotImplementedError, zipfile.BadZipFile) as error:
        raise DamageError(
            f"{path}: not readable as a checkpoint of torch ({type(error).__name__} {str(error)[:160]!r})"
        ) from error


def _pickled(path: Path) -> bytes:
    """The pickle inside the archive. It names the tensors; their values lie in other members."""
    with zipfile.ZipFile(path) as file:
        members = [one for one in file.infolist() if one.filename.rpartition("/")[2] == "data.pkl"]
        if len(members) != 1:
            raise ValueError(f"it holds {len(members)} files data.pkl")
        [member] = members
        if member.file_size > _MAX_PICKLE_BYTES:
            raise ValueError(f"its data.pkl is said to have {member.file_size} bytes")
        return file.read(member)


def _texts(pickled: bytes, keys: Collection[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    before = ""
    for opcode, argument, _ in pickletools.genops(pickled):
        if opcode.name in _MEMO:
            continue
        if isinstance(argument, str) and before in keys and before not in found:
            found[before] = argument
            if len(found) == len(keys):
                break
        before = argument if isinstance(argument, str) and "UNICODE" in opcode.name else ""
    return found

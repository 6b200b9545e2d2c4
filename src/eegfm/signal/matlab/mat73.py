"""MATLAB files of version 7.3: HDF5 with MATLAB's classes as attributes and with reversed axes."""

from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eegfm.errors import RecordingError
from eegfm.signal.matlab.values import OBJECT_BYTES, Budget, DamagedFileError, Value, Wanted, cell, check_depth


def read_mat73(path: Path, wanted: Wanted, budget: Budget) -> dict[str, Value]:
    """Read variables; see ``read.read_variables``.

    Raises:
        DamagedFileError: HDF5 cannot read the file.
        RecordingError: A variable lies in another file (``data_outside_folder``).
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return _fields(file, wanted, budget, 0)
    except RecordingError:
        raise
    # h5py has no error class of its own. It turns errors of the HDF5 library into these.
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        text = " ".join(str(error).split())[:160]
        raise DamagedFileError(f"HDF5 cannot read it ({text})") from error


def _fields(group: Any, wanted: Wanted | None, budget: Budget, depth: int) -> dict[str, Value]:
    """The wanted children of a group."""
    names = [name for name in group if wanted is None or name in wanted]
    return {name: _value(_child(group, name), wanted[name] if wanted else None, budget, depth) for name in names}


def _child(group: Any, name: str) -> Any:
    """A child that is stored in this file. Links are refused, because they may lead into any file of the machine."""
    import h5py

    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise _elsewhere(group, name)
    return group[name]


def _elsewhere(node: Any, name: str) -> RecordingError:
    return RecordingError(
        "data_outside_folder",
        f"{Path(node.file.filename).name}: {name!r} is said to lie in another file",
        "save the file again in EEGLAB",
    )


def _value(node: Any, wanted: Wanted | None, budget: Budget, depth: int) -> Value:
    import h5py

    check_depth(depth)
    budget.spend(OBJECT_BYTES)
    if isinstance(node, h5py.Group):
        return _structs(node, wanted, budget, depth)
    class_name = node.attrs.get("MATLAB_class", b"")
    if node.attrs.get("MATLAB_empty", 0):
        empty: dict[bytes, Value] = {b"char": "", b"cell": ()}
        return empty.get(class_name, np.empty((0, 0)))
    if class_name == b"cell":
        return _cell(node, budget, depth)
    if not (np.issubdtype(node.dtype, np.number) or node.dtype == np.bool_) or node.dtype.kind == "c":
        return None
    stored = _array(node, budget)
    if class_name == b"char":
        return _text(stored)
    return stored.T


def _array(dataset: Any, budget: Budget) -> NDArray[np.generic]:
    """A whole dataset in memory, if it fits the budget and lies in this file."""
    if dataset.external or dataset.is_virtual:
        raise _elsewhere(dataset, dataset.name)
    n_bytes = prod(dataset.shape) * dataset.dtype.itemsize
    # A chunk is inflated as a whole, even if the dataset uses a part of the chunk only.
    chunk_bytes = prod(dataset.chunks or ()) * dataset.dtype.itemsize if dataset.chunks else 0
    budget.check_inflation(max(n_bytes, chunk_bytes), dataset.id.get_storage_size())
    budget.spend(max(n_bytes, chunk_bytes))
    stored: NDArray[np.generic] = dataset[()]
    return stored


def _text(codes: NDArray[np.generic]) -> str | None:
    """A row of 16-bit characters; None for a matrix of characters."""
    if codes.size != max(codes.shape, default=0):
        return None
    return codes.astype("<u2").tobytes().decode("utf-16-le", errors="replace")


def _cell(node: Any, budget: Budget, depth: int) -> Value:
    """A cell array, which is a list of references."""
    import h5py

    if h5py.check_ref_dtype(node.dtype) is not h5py.Reference:
        raise DamagedFileError(f"the cell array {node.name!r} holds no references")
    budget.spend(node.size * OBJECT_BYTES)
    references = _array(node, budget).reshape(-1)
    return cell([_value(_target(node, reference), None, budget, depth + 1) for reference in references])


def _target(node: Any, reference: Any) -> Any:
    import h5py

    if not isinstance(reference, h5py.Reference) or not reference:
        raise DamagedFileError(f"{node.name!r} refers to nothing")
    return node.file[reference]


def _structs(group: Any, wanted: Wanted | None, budget: Budget, depth: int) -> list[dict[str, Value]]:
    """A struct, or a struct array, whose fields are lists of references."""
    names = [name for name in group if wanted is None or name in wanted]
    children = {name: _child(group, name) for name in names}
    first = next((c for c in children.values() if _is_reference_list(c)), None)
    if first is None:
        return [_fields(group, wanted, budget, depth + 1)]
    n_elements = first.size
    budget.spend(n_elements * OBJECT_BYTES * (1 + len(names)))
    elements: list[dict[str, Value]] = [{} for _ in range(n_elements)]
    for name, child in children.items():
        if not _is_reference_list(child) or child.size != n_elements:
            raise DamagedFileError(f"field {name!r} has not {n_elements} elements, as others have")
        inner = wanted[name] if wanted else None
        for element, reference in zip(elements, child[()].reshape(-1), strict=True):
            element[name] = _value(_target(child, reference), inner, budget, depth + 1)
    return elements


def _is_reference_list(node: Any) -> bool:
    """True if a dataset is one field of a struct array. A cell array looks alike, but is marked as such."""
    import h5py

    return (
        isinstance(node, h5py.Dataset)
        and h5py.check_ref_dtype(node.dtype) is h5py.Reference
        and node.attrs.get("MATLAB_class") is None
    )

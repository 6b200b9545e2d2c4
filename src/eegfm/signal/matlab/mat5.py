"""MATLAB files of version 5: a sequence of elements, each with a tag (type, bytes) and its content.

Source: MathWorks, "MAT-File Format" (R2024a). A compressed element is one variable in a zlib stream. Every element must
lie inside the element that contains it. A wrong length is therefore found at its own tag.
"""

import io
import os
import struct
import sys
import zlib
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eegfm.signal.matlab.values import OBJECT_BYTES, Budget, DamagedFileError, Value, Wanted, cell, check_depth

HEADER_BYTES = 128
INT8, INT32, MATRIX, COMPRESSED = 1, 5, 14, 15
NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
UTF8 = 16
CELL_CLASS, STRUCT_CLASS, CHAR_CLASS = 1, 2, 4
NUMBER_CLASSES = range(6, 16)
COMPLEX_FLAG = 0x08
INFLATE_BYTES = 1 << 16
PIECE_BYTES = 1 << 20
MAX_SMALL_BYTES = 1 << 20
"""Most bytes of flags, dimensions, names and lists of names of fields. They are read before a variable is known."""
_BYTE_ORDERS: dict[str, Literal["little", "big"]] = {"<": "little", ">": "big"}
_EMPTY: NDArray[np.generic] = np.empty((0, 0))


class _Tag(NamedTuple):
    kind: int
    n_bytes: int
    content: bytes | None


class _Matrix(NamedTuple):
    """The start of a variable or field. Its content stops at byte ``stop`` of the source."""

    class_id: int
    dims: tuple[int, ...]
    name: str
    stop: int


class _Source:
    """Bytes in order, from the file or from an inflater, with the position counted."""

    def __init__(self, stream: "io.BufferedReader[Any]", order: str, position: int, *, is_file: bool) -> None:
        self._stream, self._is_file = stream, is_file
        self.order = order
        self.position = position

    def take(self, n_bytes: int, stop: int) -> bytes:
        """The next bytes, which must lie before ``stop``."""
        self._advance(n_bytes, stop)
        content = self._stream.read(n_bytes)
        if len(content) != n_bytes:
            raise DamagedFileError("it ends in the middle of a variable")
        return content

    def fill(self, out: NDArray[np.generic], stop: int) -> None:
        """Read the next bytes straight into an array."""
        self._advance(out.nbytes, stop)
        view, n_done = out.view(np.uint8).data, 0
        while n_done < out.nbytes:
            # Read small pieces, so that an inflater does not hold a second copy of a large array.
            n_read = self._stream.readinto(view[n_done : n_done + PIECE_BYTES])
            if not n_read:
                raise DamagedFileError("it ends in the middle of a variable")
            n_done += n_read

    def skip_to(self, stop: int) -> None:
        """Skip everything before ``stop``."""
        if self._is_file:
            self._stream.seek(stop)
            self.position = stop
        while self.position < stop:
            self.take(min(stop - self.position, PIECE_BYTES), stop)

    def tag(self, stop: int) -> _Tag:
        """The next tag; up to four bytes of content may lie inside the tag itself."""
        raw = self.take(8, stop)
        kind, n_bytes = struct.unpack(f"{self.order}II", raw)
        if kind >> 16:
            n_bytes, kind = kind >> 16, kind & 0xFFFF
            if n_bytes > 4:
                raise DamagedFileError(f"a short element of {n_bytes} bytes at byte {self.position - 8}")
            return _Tag(kind, n_bytes, raw[4 : 4 + n_bytes])
        if self.position + n_bytes > stop:
            raise DamagedFileError(f"an element of {n_bytes} bytes at byte {self.position - 8} reaches past its end")
        return _Tag(kind, n_bytes, None)

    def content(self, tag: _Tag, stop: int, max_bytes: int = MAX_SMALL_BYTES) -> bytes:
        """Content of a small element. The padding after it is skipped."""
        if tag.content is not None:
            return tag.content
        if tag.n_bytes > max_bytes:
            raise DamagedFileError(f"an element of {tag.n_bytes} bytes at byte {self.position - 8}, too long here")
        content = self.take(tag.n_bytes, stop)
        self.skip_to(min(stop, self.position + -tag.n_bytes % 8))
        return content

    def _advance(self, n_bytes: int, stop: int) -> None:
        if self.position + n_bytes > stop:
            raise DamagedFileError(f"{n_bytes} bytes at byte {self.position} reach past the end of their element")
        self.position += n_bytes


class _Inflater(io.RawIOBase):
    """The content of one compressed element."""

    def __init__(self, file: BinaryIO, n_bytes: int) -> None:
        self._file, self._n_left = file, n_bytes
        self._zlib = zlib.decompressobj()

    def readable(self) -> bool:
        return True

    def readinto(self, out: Any) -> int:  # a buffer; Python 3.11 has no type for one
        """Inflate up to ``len(out)`` bytes; 0 at the end of the stream."""
        content = b""
        while not content and not self._zlib.eof:
            packed = self._zlib.unconsumed_tail
            if not packed:
                packed = self._file.read(min(INFLATE_BYTES, self._n_left))
                self._n_left -= len(packed)
            try:
                content = self._zlib.decompress(packed, len(out))
            except zlib.error as error:
                raise DamagedFileError(f"a compressed variable cannot be inflated ({error})") from error
            if not packed and not content:
                raise DamagedFileError("a compressed variable ends early")
        out[: len(content)] = content
        return len(content)


def read_mat5(path: Path, wanted: Wanted, budget: Budget) -> dict[str, Value]:
    """Read variables; see ``read.read_variables``.

    Raises:
        DamagedFileError: An element is cut off or contradicts itself.
    """
    found: dict[str, Value] = {}
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        order = ">" if file.read(HEADER_BYTES)[126:128] == b"MI" else "<"
        position = HEADER_BYTES
        while position < size:
            file.seek(position)
            tag = _Source(file, order, position, is_file=True).tag(size)
            if tag.kind not in {COMPRESSED, MATRIX} or tag.content is not None:
                raise DamagedFileError(f"no variable starts at byte {position}, where one should")
            if tag.kind == COMPRESSED:
                _read_compressed(file, order, tag.n_bytes, wanted, budget, found)
            else:
                source = _Source(file, order, position + 8, is_file=True)
                _read_variable(source, position + 8 + tag.n_bytes, wanted, budget, found)
            position += 8 + tag.n_bytes
    return found


def _read_compressed(
    file: BinaryIO, order: str, n_bytes: int, wanted: Wanted, budget: Budget, found: dict[str, Value]
) -> None:
    stream = io.BufferedReader(_Inflater(file, n_bytes), INFLATE_BYTES)
    source = _Source(stream, order, 0, is_file=False)
    tag = source.tag(sys.maxsize)
    if tag.kind != MATRIX or tag.content is not None:
        raise DamagedFileError("a compressed element holds no variable")
    if _read_variable(source, 8 + tag.n_bytes, wanted, budget, found, stored_bytes=n_bytes):
        # The stream ends with a checksum, which is compared when its end is reached.
        stream.read(INFLATE_BYTES)


def _read_variable(
    source: _Source,
    stop: int,
    wanted: Wanted,
    budget: Budget,
    found: dict[str, Value],
    stored_bytes: int | None = None,
) -> bool:
    """Read one variable into ``found`` if it is wanted.

    Returns:
        Whether it was wanted.
    """
    matrix = _matrix(source, stop)
    if matrix is None or matrix.name not in wanted:
        return False
    if stored_bytes is not None:
        budget.check_inflation(stop, stored_bytes)
    found[matrix.name] = _value(source, matrix, wanted[matrix.name], budget)
    source.skip_to(stop)
    return True


def _matrix(source: _Source, stop: int) -> _Matrix | None:
    """The start of a variable; None for an empty variable, or a class with another layout."""
    if source.position == stop:
        return None
    flags = source.content(source.tag(stop), stop)
    if len(flags) != 8:
        raise DamagedFileError(f"array flags of {len(flags)} bytes")
    (word,) = struct.unpack(f"{source.order}I", flags[:4])
    class_id = word & 0xFF
    if class_id >= NUMBER_CLASSES.stop:
        return None
    raw = source.content(_expect(source, INT32, stop), stop)
    dims = struct.unpack(f"{source.order}{len(raw) // 4}i", raw[: len(raw) // 4 * 4])
    if len(dims) < 2 or min(dims) < 0:
        raise DamagedFileError(f"an array of shape {dims}")
    name = source.content(_expect(source, INT8, stop), stop).decode("latin-1")
    is_complex = bool(word >> 8 & COMPLEX_FLAG)
    return _Matrix(0 if is_complex else class_id, dims, name, stop)


def _expect(source: _Source, kind: int, stop: int) -> _Tag:
    tag = source.tag(stop)
    # Some writers mark names as UTF-8.
    if tag.kind != kind and not (kind == INT8 and tag.kind == UTF8):
        raise DamagedFileError(f"an element of kind {tag.kind} where kind {kind} should be")
    return tag


def _value(source: _Source, matrix: _Matrix, wanted: Wanted | None, budget: Budget, depth: int = 0) -> Value:
    check_depth(depth)
    budget.spend(OBJECT_BYTES)
    if matrix.class_id in NUMBER_CLASSES:
        return _numbers(source, matrix, budget)
    if matrix.class_id == CHAR_CLASS:
        return _text(source, matrix, budget)
    if matrix.class_id == STRUCT_CLASS:
        return _structs(source, matrix, wanted, budget, depth)
    return _cell(source, matrix, budget, depth) if matrix.class_id == CELL_CLASS else None


def _numbers(source: _Source, matrix: _Matrix, budget: Budget) -> NDArray[np.generic]:
    tag = source.tag(matrix.stop)
    dtype = NUMBERS.get(tag.kind)
    if dtype is None:
        raise DamagedFileError(f"numbers of kind {tag.kind}")
    out: NDArray[np.generic] = np.empty(0, source.order + dtype)
    if tag.n_bytes != prod(matrix.dims) * out.itemsize:
        raise DamagedFileError(f"{tag.n_bytes} bytes for an array of shape {matrix.dims}")
    if tag.content is not None:
        return np.frombuffer(tag.content, out.dtype).reshape(matrix.dims, order="F")
    budget.spend(tag.n_bytes)
    out = np.empty(prod(matrix.dims), out.dtype)
    source.fill(out, matrix.stop)
    return out.reshape(matrix.dims, order="F")


def _text(source: _Source, matrix: _Matrix, budget: Budget) -> str | None:
    """A row of characters; None for a matrix of characters."""
    if prod(matrix.dims) != max(matrix.dims, default=0):
        return None if prod(matrix.dims) else ""
    tag = source.tag(matrix.stop)
    budget.spend(tag.n_bytes * 4)
    content = source.content(tag, matrix.stop, tag.n_bytes)
    endian = "be" if source.order == ">" else "le"
    # Kind 4 holds MATLAB's own 16-bit characters; kinds 16 to 18 are the Unicode encodings.
    encodings = {1: "latin-1", 2: "latin-1", 4: f"utf-16-{endian}", 16: "utf-8", 17: f"utf-16-{endian}"}
    encodings[18] = f"utf-32-{endian}"
    if tag.kind not in encodings:
        raise DamagedFileError(f"characters of kind {tag.kind}")
    return content.decode(encodings[tag.kind], errors="replace")


def _cell(source: _Source, matrix: _Matrix, budget: Budget, depth: int) -> Value:
    n_elements = prod(matrix.dims)
    # Each element takes at least one tag. This bounds the work before it starts.
    if n_elements * 8 > matrix.stop - source.position:
        raise DamagedFileError(f"{n_elements} cells in {matrix.stop - source.position} bytes")
    budget.spend(n_elements * OBJECT_BYTES)
    return cell([_element(source, "a cell", matrix.stop, None, budget, depth) for _ in range(n_elements)])


def _structs(
    source: _Source, matrix: _Matrix, wanted: Wanted | None, budget: Budget, depth: int
) -> list[dict[str, Value]]:
    names, n_elements = _field_names(source, matrix.stop), prod(matrix.dims)
    n_left = matrix.stop - source.position
    # Each field takes at least one tag. This bounds the work before it starts.
    if n_elements * len(names) * 8 > n_left:
        raise DamagedFileError(f"{n_elements} elements of {len(names)} fields in {n_left} bytes")
    budget.spend(n_elements * OBJECT_BYTES)
    elements: list[dict[str, Value]] = []
    for _ in range(n_elements):
        elements.append({})
        for name in names:
            if wanted is None or name in wanted:
                inner = wanted[name] if wanted else None
                elements[-1][name] = _element(source, f"field {name!r}", matrix.stop, inner, budget, depth)
            else:
                source.skip_to(_element_stop(source, f"field {name!r}", matrix.stop))
    return elements


def _element(source: _Source, what: str, stop: int, wanted: Wanted | None, budget: Budget, depth: int) -> Value:
    """One field of a struct, or one cell."""
    stop = _element_stop(source, what, stop)
    matrix = _matrix(source, stop)
    value = _EMPTY if matrix is None else _value(source, matrix, wanted, budget, depth + 1)
    source.skip_to(stop)
    return value


def _field_names(source: _Source, stop: int) -> list[str]:
    width = int.from_bytes(source.content(_expect(source, INT32, stop), stop)[:4], _BYTE_ORDERS[source.order])
    content = source.content(_expect(source, INT8, stop), stop)
    if not content:
        return []
    if not width or len(content) % width:
        raise DamagedFileError(f"field names of {width} characters in {len(content)} bytes")
    return [content[at : at + width].split(b"\0")[0].decode("latin-1") for at in range(0, len(content), width)]


def _element_stop(source: _Source, what: str, stop: int) -> int:
    tag = source.tag(stop)
    if tag.kind != MATRIX or tag.content is not None:
        raise DamagedFileError(f"no matrix in {what}")
    return source.position + tag.n_bytes

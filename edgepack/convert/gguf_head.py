"""A GGUF's head, read: its keys as they stand, and its table of tensors (version 3, little-endian)."""

import mmap
import struct
from dataclasses import dataclass
from math import prod
from pathlib import Path

import gguf

from edgepack.convert.head import RawValue
from edgepack.domain.errors import BadInputError
from edgepack.domain.quant import TensorType
from edgepack.domain.work import NamedTensor

_Type = gguf.GGUFValueType
_SIZES = {
    _Type.UINT8: 1, _Type.INT8: 1, _Type.BOOL: 1, _Type.UINT16: 2, _Type.INT16: 2, _Type.UINT32: 4, _Type.INT32: 4,
    _Type.FLOAT32: 4, _Type.UINT64: 8, _Type.INT64: 8, _Type.FLOAT64: 8,
}  # fmt: skip
_ALIGNMENT = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A tensor of the table."""

    name: str
    shape: tuple[int, ...]
    """Slowest dimension first."""
    type: TensorType
    offset: int
    """In bytes, from the start of the file."""

    @property
    def size(self) -> int:
        """In bytes, without padding."""
        return self.type.row_bytes(self.shape[-1]) * (prod(self.shape) // self.shape[-1])


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """All before the tensors' bytes."""

    keys: dict[str, RawValue]
    entries: tuple[Entry, ...]
    end: int
    """The file's size."""

    @property
    def tensors(self) -> tuple[NamedTensor, ...]:
        return tuple((entry.name, entry.shape, entry.type) for entry in self.entries)


def read_head(path: Path) -> Head:
    """Raises BadInputError for a file whose head cannot be read, or has types that edgepack does not know."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _head(_Cursor(data))
    except (ValueError, struct.error) as error:
        raise BadInputError(f"{path}: not a whole GGUF: {error}", hint="make it again") from error


class _Cursor:
    """Reads on through a file; an end that comes too early is a ValueError or a struct.error."""

    def __init__(self, data: mmap.mmap) -> None:
        self.data = data
        self.at = 0

    def number(self, form: str) -> int:
        value: int = struct.unpack_from(f"<{form}", self.data, self.at)[0]
        self.at += struct.calcsize(form)
        return value

    def skip(self, size: int) -> bytes:
        if size > len(self.data) - self.at:
            raise ValueError(f"it is cut at byte {len(self.data)}")
        self.at += size
        return self.data[self.at - size : self.at]

    def text(self) -> str:
        return self.skip(self.number("Q")).decode()


def _head(cursor: _Cursor) -> Head:
    if cursor.skip(4) != b"GGUF" or cursor.number("I") not in (2, 3):
        raise ValueError("no GGUF of version 2 or 3")
    tensors, count = cursor.number("Q"), cursor.number("Q")
    keys = dict(_key(cursor) for _ in range(count))
    entries = [_entry(cursor) for _ in range(tensors)]
    base = -(-cursor.at // _ALIGNMENT) * _ALIGNMENT
    placed = (
        Entry(name=name, shape=shape, type=TensorType(type), offset=base + offset)
        for name, shape, type, offset in entries
    )
    return Head(keys=keys, entries=tuple(placed), end=len(cursor.data))


def _key(cursor: _Cursor) -> tuple[str, RawValue]:
    name, type = cursor.text(), _Type(cursor.number("I"))
    start = cursor.at
    _skip_value(cursor, type)
    return name, RawValue(cursor.data[start : cursor.at], type)


def _skip_value(cursor: _Cursor, type: gguf.GGUFValueType) -> None:
    if type is _Type.STRING:
        cursor.skip(cursor.number("Q"))
    elif type is _Type.ARRAY:
        inner, count = _Type(cursor.number("I")), cursor.number("Q")
        if inner in _SIZES:
            cursor.skip(_SIZES[inner] * count)
        else:
            for _ in range(count):
                _skip_value(cursor, inner)
    else:
        cursor.skip(_SIZES[type])


def _entry(cursor: _Cursor) -> tuple[str, tuple[int, ...], int, int]:
    """Name, shape with the slowest dimension first, type, and offset in the data."""
    name = cursor.text()
    shape = tuple(cursor.number("Q") for _ in range(cursor.number("I")))
    return name, shape[::-1], cursor.number("I"), cursor.number("Q")

"""A GGUF (version 3, little-endian) read plainly and quickly: its keys, and where its tensors lie."""

import mmap
import struct
from math import prod
from pathlib import Path
from typing import Any

from edgepack.domain.quant import TensorType

_FORMS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_ALIGNMENT = 32


class RawGguf:
    """One pass over a file's head."""

    def __init__(self, data: "mmap.mmap | bytes") -> None:
        self._data = data
        self._at = 8
        assert data[:4] == b"GGUF"
        tensor_count, key_count = self._number("Q"), self._number("Q")
        self.keys: dict[str, Any] = {}
        self.raw: dict[str, bytes] = {}
        for _ in range(key_count):
            name, start = self._string(), self._at
            self.keys[name] = self._value(self._number("I"))
            self.raw[name] = self._data[start : self._at]
        self.shapes: dict[str, tuple[int, ...]] = {}
        """By tensor, slowest dimension first."""
        entries = [self._entry() for _ in range(tensor_count)]
        base = -(-self._at // _ALIGNMENT) * _ALIGNMENT
        self.tensors = [(name, type, base + offset, size) for name, type, offset, size in entries]
        """(name, type, position in the file, bytes), in the file's order."""

    def _number(self, form: str) -> Any:
        (value,) = struct.unpack_from(f"<{form}", self._data, self._at)
        self._at += struct.calcsize(f"<{form}")
        return value

    def _string(self) -> str:
        length: int = self._number("Q")
        self._at += length
        return self._data[self._at - length : self._at].decode()

    def _value(self, type: int) -> Any:
        if type == _STRING:
            return self._string()
        if type != _ARRAY:
            return self._number(_FORMS[type])
        inner, count = self._number("I"), self._number("Q")
        if inner == _STRING:
            return [self._string() for _ in range(count)]
        values = struct.unpack_from(f"<{count}{_FORMS[inner]}", self._data, self._at)
        self._at += struct.calcsize(f"<{count}{_FORMS[inner]}")
        return list(values)

    def _entry(self) -> tuple[str, TensorType, int, int]:
        name = self._string()
        shape = [self._number("Q") for _ in range(self._number("I"))]
        self.shapes[name] = tuple(reversed(shape))
        type = TensorType(self._number("I"))
        return name, type, self._number("Q"), type.row_bytes(shape[0]) * (prod(shape) // shape[0])


def keys_of(path: Path) -> dict[str, Any]:
    """A file's keys by name."""
    return RawGguf(path.read_bytes()).keys

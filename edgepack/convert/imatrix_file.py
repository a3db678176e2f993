"""The two files in which llama.cpp keeps importance matrices, taken apart; every length is checked before it counts.

Each parser gives what llama-quantize would compute from the same bytes (common/imatrix-loader.cpp and
tools/quantize/quantize.cpp), and raises ValueError, which says what is wrong, where that tool would refuse the
file, abort, or read what is not there.
"""

import struct
from dataclasses import dataclass
from math import prod
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Means: TypeAlias = npt.NDArray[np.float32]

_SUMS, _COUNTS = ".in_sum2", ".counts"
# ggml.h and gguf.h.
_FLOAT32, _STRING, _ARRAY, _UINT32 = 0, 8, 9, 4
_FORMS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "B", 10: "Q", 11: "q", 12: "d"}
_LONGEST_NAME, _MOST_DIMENSIONS = 63, 4
_LARGEST_INT32 = (1 << 31) - 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Parsed:
    """The mean of squares for each column, by tensor; from how many chunks of which text."""

    means: dict[str, Means]
    chunks: int
    """0 where the file does not say."""
    dataset: bytes | None


class _Cursor:
    """Reads on through some bytes, and never past their end."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    @property
    def left(self) -> int:
        return len(self.data) - self.at

    def number(self, form: str) -> int:
        value: int = struct.unpack_from(f"<{form}", self.data, self.skip(struct.calcsize(form)))[0]
        return value

    def text(self, form: str) -> bytes:
        """A length as `form`, and as many bytes."""
        length = self.number(form)
        start = self.skip(length)
        return self.data[start : start + length]

    def skip(self, size: int) -> int:
        """Go over `size` bytes; returns where they begin."""
        if not 0 <= size <= self.left:
            raise ValueError(f"it is cut, or claims {size} bytes where {self.left} are left")
        self.at += size
        return self.at - size


def parse_legacy(data: bytes) -> Parsed:
    """The older form (.dat): for each tensor its name, the calls and the values; then the chunks and the text."""
    cursor, means = _Cursor(data), dict[str, Means]()
    for _ in range(_positive(cursor.number("i"), "entries")):
        name = _name(cursor.text("i"))
        calls = cursor.number("i")
        count = _positive(cursor.number("i"), f"values of {name}")
        sums = np.frombuffer(data, "<f4", count, cursor.skip(4 * count))
        with np.errstate(all="ignore"):
            means[name] = (sums / np.float32(max(1, calls))).astype(np.float32, copy=False)
    # What follows is optional: older files end here, or after the chunks.
    chunks = cursor.number("i") if cursor.left else 0
    dataset = cursor.text("i") if cursor.left else b""
    return Parsed(means=means, chunks=max(0, chunks), dataset=_c_string(dataset) or None)


def _positive(count: int, what: str) -> int:
    if count < 1:
        raise ValueError(f"{count} {what}")
    return count


def parse_gguf(data: bytes) -> Parsed:
    """llama-imatrix's form: two tensors, sums of squares and counts, for each tensor of the model."""
    cursor = _Cursor(data)
    cursor.skip(4)
    if (version := cursor.number("I")) not in (2, 3):
        raise ValueError(f"a GGUF of version {version}")
    tensors, keys = cursor.number("Q"), cursor.number("Q")
    # No key and no tensor is shorter than this: a lie about their number is found before it costs time.
    if tensors + keys > cursor.left // 12:
        raise ValueError(f"{tensors} tensors and {keys} keys in {len(data)} bytes")
    values = _keys(cursor, keys)
    places = _places(cursor, tensors, _alignment(values))
    means = _means(data, places)
    datasets, chunks = values.get("imatrix.datasets"), values.get("imatrix.chunk_count")
    if not isinstance(chunks, int) or "imatrix.chunk_size" not in values or datasets is None:
        raise ValueError("a GGUF without imatrix.datasets, imatrix.chunk_count and imatrix.chunk_size")
    first = datasets[0] if isinstance(datasets, list) and datasets else None
    return Parsed(
        means=means, chunks=chunks if chunks <= _LARGEST_INT32 else 0,
        dataset=_c_string(first) if first is not None else None,
    )  # fmt: skip


def _keys(cursor: _Cursor, count: int) -> dict[str, object]:
    """Whole numbers of 32 bits and lists of strings by name; of all others only that they are there."""
    found: dict[str, object] = {}
    for _ in range(count):
        name = _name(cursor.text("Q"))
        if name in found:
            raise ValueError(f"it has the key {name} twice")
        found[name] = _value(cursor, cursor.number("I"))
    return found


def _value(cursor: _Cursor, type: int) -> object:
    if type == _STRING:
        return cursor.text("Q")
    if type == _ARRAY:
        return _array(cursor)
    value = cursor.number(_form(type))
    return value if type == _UINT32 else "another"


def _array(cursor: _Cursor) -> object:
    inner, count = cursor.number("I"), cursor.number("Q")
    if inner != _STRING:
        cursor.skip(struct.calcsize(_form(inner)) * count)
        return "another"
    if count > cursor.left // 8:
        raise ValueError(f"a list of {count} strings in {cursor.left} bytes")
    return [cursor.text("Q") for _ in range(count)]


def _form(type: int) -> str:
    if type not in _FORMS:
        raise ValueError(f"a key of the unknown type {type}")
    return _FORMS[type]


def _alignment(values: dict[str, object]) -> int:
    alignment = values.get("general.alignment", 32)
    if not isinstance(alignment, int) or alignment < 1 or alignment & (alignment - 1):
        raise ValueError(f"an alignment of {alignment!r}")
    return alignment


@dataclass(frozen=True, slots=True)
class _Place:
    """Where one tensor of float32 lies."""

    shape: tuple[int, ...]
    offset: int


def _places(cursor: _Cursor, count: int, alignment: int) -> dict[str, _Place]:
    entries = [_entry(cursor) for _ in range(count)]
    base = -(-cursor.at // alignment) * alignment
    found: dict[str, _Place] = {}
    for name, type, place in entries:
        if name in found:
            raise ValueError(f"it has the tensor {name} twice")
        if name.endswith((_SUMS, _COUNTS)) and type != _FLOAT32:
            raise ValueError(f"{name} is not float32")
        found[name] = _Place(place.shape, base + place.offset)
    return found


def _entry(cursor: _Cursor) -> tuple[str, int, _Place]:
    name = _name(cursor.text("Q"))
    dimensions = cursor.number("I")
    if len(name) > _LONGEST_NAME or dimensions > _MOST_DIMENSIONS:
        raise ValueError(f"the tensor {name[:_LONGEST_NAME]} has too long a name, or {dimensions} dimensions")
    shape = tuple(cursor.number("Q") for _ in range(dimensions))
    return name, cursor.number("I"), _Place(shape, cursor.number("Q"))


def _means(data: bytes, places: dict[str, _Place]) -> dict[str, Means]:
    names = dict.fromkeys(name.removesuffix(end) for end in (_SUMS, _COUNTS) for name in places if name.endswith(end))
    if not names:
        raise ValueError("a GGUF of another kind: it holds no sums of squares")
    return {name: _mean(data, name, places) for name in names}


def _mean(data: bytes, name: str, places: dict[str, _Place]) -> Means:
    if name + _SUMS not in places or name + _COUNTS not in places:
        raise ValueError(f"{name} has sums or counts alone")
    sums, counts = (_floats(data, name + end, places[name + end]) for end in (_SUMS, _COUNTS))
    if sums.size % counts.size:
        raise ValueError(f"{name} has {sums.size} sums and {counts.size} counts")
    whole = _rounded(counts)[:, None]
    with np.errstate(all="ignore"):
        # A matrix that met no text at all (an expert that none was routed to) counts every column alike.
        means = np.where(whole > 0, sums.reshape(counts.size, -1) / whole, np.float32(1))
    return means.reshape(-1).astype(np.float32, copy=False)


def _floats(data: bytes, name: str, place: _Place) -> Means:
    size = prod(place.shape)
    if not 0 < 4 * size <= len(data) - place.offset:
        raise ValueError(f"{name} claims {size} values at byte {place.offset} of {len(data)}")
    return np.frombuffer(data, "<f4", size, place.offset)


def _rounded(counts: Means) -> Means:
    """To whole numbers, halves away from zero, as lround does."""
    if not np.isfinite(counts).all():
        raise ValueError("a count is no number")
    wide = counts.astype(np.float64)
    return np.copysign(np.floor(np.abs(wide) + 0.5), wide).astype(np.float32)


def _name(raw: bytes) -> str:
    return _c_string(raw).decode("utf-8", errors="surrogateescape")


def _c_string(raw: bytes) -> bytes:
    return raw.partition(b"\0")[0]

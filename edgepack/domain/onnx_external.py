"""Where an ONNX file says that weights lie in other files, read off its bytes; it opens none and needs no onnx.

onnxruntime follows these names itself, and versions before 1.24 followed them anywhere. A file is protobuf
(https://protobuf.dev/programming-guides/encoding/); which of its fields lead to tensors is onnx.proto's business.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from posixpath import dirname, join

from edgepack.domain.bundle import is_safe_path

_DEEPEST = 64
"""Messages inside messages; a graph inside a graph takes three."""
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_EXTERNAL_DATA, _DATA_LOCATION, _NAME = 13, 14, 8
_LONGEST_VARINT = 10
_TENSOR = "TensorProto"
_INNER = {
    "ModelProto": {7: "GraphProto", 20: "TrainingInfoProto", 25: "FunctionProto"},
    "TrainingInfoProto": {1: "GraphProto", 2: "GraphProto"},
    "FunctionProto": {7: "NodeProto", 11: "AttributeProto"},
    "GraphProto": {1: "NodeProto", 5: _TENSOR, 15: "SparseTensorProto"},
    "NodeProto": {5: "AttributeProto"},
    "AttributeProto": {
        5: _TENSOR, 6: "GraphProto", 10: _TENSOR, 11: "GraphProto", 22: "SparseTensorProto", 23: "SparseTensorProto",
    },
    "SparseTensorProto": {1: _TENSOR, 2: _TENSOR},
    _TENSOR: {},
}  # fmt: skip
"""The messages that lead to tensors, by the numbers of their fields."""


@dataclass(frozen=True, kw_only=True, slots=True)
class External:
    """A tensor that lies elsewhere: its name, and what is said of the place."""

    tensor: str
    said: tuple[tuple[str, str], ...]


def externals(data: bytes) -> Iterator[External]:
    """Every tensor that lies in another file. Raises ValueError for what is no protobuf."""
    yield from _in_message(memoryview(data), "ModelProto", 0)


def mistakes(found: External, path: str, sizes: Mapping[str, int]) -> Iterator[str]:
    """What keeps an entry of the file at `path` from being weights of the same bundle.

    `sizes` are the bytes of the bundle's files, by path.
    """
    said = dict(found.said)
    where = f"{path}: tensor {found.tensor[:60]!r}"
    location = said.get("location", "")
    place = join(dirname(path), location)
    if len(said) != len(found.said):
        yield f"{where} says twice where it lies"
    elif not is_safe_path(location) or place not in sizes or place == path:
        yield f"{where} lies in {location[:60]!r}, which is none of the bundle's files"
    else:
        offset, length = _number(said.get("offset", "0")), _number(said.get("length", str(sizes[place])))
        if offset is None or length is None or offset + length > sizes[place]:
            yield f"{where} lies beyond the {sizes[place]} bytes of {place}"


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def _in_message(data: memoryview, kind: str, depth: int) -> Iterator[External]:
    if depth > _DEEPEST:
        raise ValueError(f"messages nested deeper than {_DEEPEST}")
    if kind == _TENSOR:
        yield from _in_tensor(data)
        return
    inner = _INNER[kind]
    for number, value in _fields(data):
        if number in inner and isinstance(value, memoryview):
            yield from _in_message(value, inner[number], depth + 1)


def _in_tensor(data: memoryview) -> Iterator[External]:
    name, said, elsewhere = "", [], False
    for number, value in _fields(data):
        if number == _NAME and isinstance(value, memoryview):
            name = _text(value)
        elif number == _EXTERNAL_DATA and isinstance(value, memoryview):
            pair = {key: _text(one) for key, one in _fields(value) if isinstance(one, memoryview)}
            said.append((pair.get(1, ""), pair.get(2, "")))
        elif number == _DATA_LOCATION:
            elsewhere = elsewhere or value != 0
    if said or elsewhere:
        yield External(tensor=name, said=tuple(said))


def _text(value: memoryview) -> str:
    return bytes(value).decode("utf-8", errors="replace")


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of each field: a number, or the bytes of a text or message."""
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        match key & 7:
            case kind if kind == _VARINT:
                value, place = _varint(data, place)
                yield key >> 3, value
                continue
            case kind if kind == _BYTES:
                size, place = _varint(data, place)
            case kind if kind == _FIXED64:
                size = 8
            case kind if kind == _FIXED32:
                size = 4
            case kind:
                raise ValueError(f"no field has wire type {kind}")
        if size > len(data) - place:
            raise ValueError("a field is longer than its message")
        yield key >> 3, data[place : place + size]
        place += size


def _varint(data: memoryview, place: int) -> tuple[int, int]:
    value = 0
    for count in range(_LONGEST_VARINT):
        if place + count >= len(data):
            raise ValueError("cut short")
        byte = data[place + count]
        value |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            return value, place + count + 1
    raise ValueError("a number without an end")

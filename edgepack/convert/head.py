"""A GGUF's head as bytes: header, keys, tensor table (version 3, little-endian; ggml's docs/gguf.md).

The gguf package collects the keys and gives their types; packing half a million strings through its generic
writer would take longer than quantizing a small model.
"""

import struct
from collections.abc import Iterable, Mapping

import gguf

from edgepack.domain.errors import EdgepackError
from edgepack.domain.quant import TensorType

_MAGIC, _VERSION = b"GGUF", 3
_FORMS = {
    gguf.GGUFValueType.UINT8: "B",
    gguf.GGUFValueType.INT8: "b",
    gguf.GGUFValueType.UINT16: "H",
    gguf.GGUFValueType.INT16: "h",
    gguf.GGUFValueType.UINT32: "I",
    gguf.GGUFValueType.INT32: "i",
    gguf.GGUFValueType.FLOAT32: "f",
    gguf.GGUFValueType.BOOL: "?",
    gguf.GGUFValueType.UINT64: "Q",
    gguf.GGUFValueType.INT64: "q",
    gguf.GGUFValueType.FLOAT64: "d",
}


def pack_head(
    keys: Mapping[str, gguf.GGUFValue], tensors: Iterable[tuple[str, tuple[int, ...], TensorType, int]]
) -> bytes:
    """Everything before the tensors' bytes, unpadded.

    `tensors` are (name, shape with the slowest dimension first, type, offset in the data), in the file's order.
    """
    entries = [_tensor(*entry) for entry in tensors]
    packed = [_string(name) + _value(name, value) for name, value in keys.items()]
    head = _MAGIC + struct.pack("<IQQ", _VERSION, len(entries), len(packed))
    return head + b"".join(packed) + b"".join(entries)


def _tensor(name: str, shape: tuple[int, ...], type: TensorType, offset: int) -> bytes:
    dimensions = struct.pack(f"<I{len(shape)}Q", len(shape), *reversed(shape))
    return _string(name) + dimensions + struct.pack("<IQ", type, offset)


def _string(text: str) -> bytes:
    data = text.encode("utf-8")
    return struct.pack("<Q", len(data)) + data


def _value(name: str, value: gguf.GGUFValue) -> bytes:
    head = struct.pack("<I", value.type)
    if value.type is gguf.GGUFValueType.STRING:
        return head + _string(value.value)
    if value.type is gguf.GGUFValueType.ARRAY:
        return head + _array(name, value.value, value.sub_type)
    return head + struct.pack(f"<{_FORMS[value.type]}", value.value)


def _array(name: str, items: list[object], type: gguf.GGUFValueType | None) -> bytes:
    if not items:
        raise EdgepackError(f"key {name} is an empty array", hint="report this with the model's name")
    inner = type or gguf.GGUFValueType.get_type(items[0])
    head = struct.pack("<IQ", inner, len(items))
    if inner is gguf.GGUFValueType.STRING:
        return head + b"".join(_string(str(item)) for item in items)
    return head + struct.pack(f"<{len(items)}{_FORMS[inner]}", *items)

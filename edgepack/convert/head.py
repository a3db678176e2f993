"""A GGUF's head as bytes: header, keys, tensor table (version 3, little-endian; ggml's docs/gguf.md).

The gguf package collects the keys and gives their types; packing half a million strings through its generic
writer would take longer than quantizing a small model.
"""

import reprlib
import struct
from collections.abc import Iterable, Mapping
from itertools import chain

import gguf

from edgepack.domain.errors import BadInputError
from edgepack.domain.quant import TensorType


class RawValue(gguf.GGUFValue):
    """A key's value whose bytes stand already as they do in a GGUF."""


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
    Raises BadInputError for a value that its key's type cannot hold: many come from files that nobody checked.
    """
    entries = [_tensor(*entry) for entry in tensors]
    packed = [_string(name) + _checked(name, value) for name, value in keys.items()]
    head = _MAGIC + struct.pack("<IQQ", _VERSION, len(entries), len(packed))
    return head + b"".join(packed) + b"".join(entries)


def _tensor(name: str, shape: tuple[int, ...], type: TensorType, offset: int) -> bytes:
    while len(shape) > 1 and shape[0] == 1:
        shape = shape[1:]  # ggml counts no dimension behind the last that is more than one
    dimensions = struct.pack(f"<I{len(shape)}Q", len(shape), *reversed(shape))
    return _string(name) + dimensions + struct.pack("<IQ", type, offset)


def _string(text: object) -> bytes:
    if not isinstance(text, str | bytes):
        raise TypeError("no text")
    # Bytes are a text that llama-quantize cuts without regard for letters.
    data = text.encode("utf-8") if isinstance(text, str) else text
    return struct.pack("<Q", len(data)) + data


def _checked(name: str, value: gguf.GGUFValue) -> bytes:
    try:
        return _value(value)
    # No text, too large a number, an unknown type, half a surrogate pair (which is a ValueError).
    except (struct.error, OverflowError, TypeError, KeyError, ValueError) as error:
        raise BadInputError(
            f"{name}: {reprlib.repr(value.value)} is no {_type_name(value)}",
            hint="correct this value in the checkpoint's README.md, config or tokenizer files",
        ) from error


def _type_name(value: gguf.GGUFValue) -> str:
    inner = value.sub_type.name.lower() if value.sub_type is not None else "one type"
    return f"list of {inner}" if value.type is gguf.GGUFValueType.ARRAY else value.type.name.lower()


def _value(value: gguf.GGUFValue) -> bytes:
    head = struct.pack("<I", value.type)
    if isinstance(value, RawValue):
        return head + bytes(value.value)
    if value.type is gguf.GGUFValueType.STRING:
        return head + _string(value.value)
    if value.type is gguf.GGUFValueType.ARRAY:
        return head + _array(value.value, value.sub_type)
    return head + struct.pack(f"<{_FORMS[value.type]}", value.value)


def _array(items: list[object], type: gguf.GGUFValueType | None) -> bytes:
    if not items:
        raise ValueError("an empty array has no type")
    inner = gguf.GGUFValueType.get_type(items[0]) if type is None else type
    head = struct.pack("<IQ", inner, len(items))
    if inner is gguf.GGUFValueType.STRING:
        return head + _strings(items)
    return head + struct.pack(f"<{len(items)}{_FORMS[inner]}", *items)


def _strings(items: list[object]) -> bytes:
    """Each string after its length; half a million of them, so the loops are the interpreter's own."""
    data = list(map(str.encode, items))  # type: ignore[arg-type]  # TypeError for what is no text
    lengths = map(struct.Struct("<Q").pack, map(len, data))
    return b"".join(chain.from_iterable(zip(lengths, data, strict=True)))

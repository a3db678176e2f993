"""A GGUF at full precision, as upstream's converter writes it: read as far as its head, quantized by our slabs."""

import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

import gguf

from edgepack.convert.head import RawValue
from edgepack.convert.safetensors import StoredTensor
from edgepack.convert.tensors import Source, written_order
from edgepack.convert.typeplan import TypePlan, stored_type
from edgepack.domain.errors import BadInputError
from edgepack.domain.quant import TensorType

_Type = gguf.GGUFValueType
_SIZES = {
    _Type.UINT8: 1, _Type.INT8: 1, _Type.BOOL: 1, _Type.UINT16: 2, _Type.INT16: 2, _Type.UINT32: 4, _Type.INT32: 4,
    _Type.FLOAT32: 4, _Type.UINT64: 8, _Type.INT64: 8, _Type.FLOAT64: 8,
}  # fmt: skip
_DTYPES = {TensorType.F32: "F32", TensorType.F16: "F16", TensorType.BF16: "BF16"}
_ALIGNMENT = 32
# What llama-quantize sets itself.
_SET_LAST = ("general.quantization_version", "general.file_type")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FullGguf:
    """What the quantizer starts from: keys as they stand, tensors where they lie."""

    path: Path
    sha256: str
    name: str
    keys: Mapping[str, RawValue]
    plan: TypePlan
    """Its tensors, and their types for every quantization."""

    @property
    def architecture(self) -> str:
        return self.plan.architecture

    @property
    def parameters(self) -> int:
        """Weights, counted from the tensors."""
        return sum(source.elements for source in self.plan.sources)

    @property
    def context_length(self) -> int:
        return _whole(self.keys, f"{self.architecture}.context_length", self.path)

    @property
    def embeds(self) -> bool:
        """Whether it gives vectors of texts rather than text."""
        causal = self.keys.get(f"{self.architecture}.attention.causal")
        return f"{self.architecture}.pooling_type" in self.keys or (causal is not None and causal.value == b"\0")

    def write_keys(self, writer: gguf.GGUFWriter) -> None:
        """All that the file says of itself but how it is quantized."""
        writer.kv_data[0].update({name: value for name, value in self.keys.items() if name not in _SET_LAST})


def open_full(path: Path, name: str, *, sha256: str) -> FullGguf:
    """Read the head of a GGUF whose tensors are float32, float16 or bfloat16; BadInputError for any other."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            keys, sources = _head(_Cursor(data), path)
    except (ValueError, struct.error) as error:
        raise BadInputError(f"{path}: not a whole GGUF: {error}", hint="make it again") from error
    architecture = _text(keys, "general.architecture", path)

    def write_keys(writer: gguf.GGUFWriter) -> None:
        writer.kv_data[0].update(keys)

    plan = TypePlan(
        architecture=architecture, write_keys=write_keys, sources=tuple(sorted(sources, key=written_order))
    )
    return FullGguf(path=path, sha256=sha256, name=name, keys=keys, plan=plan)


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


def _head(cursor: _Cursor, path: Path) -> tuple[dict[str, RawValue], list[Source]]:
    if cursor.skip(4) != b"GGUF" or cursor.number("I") != 3:
        raise ValueError("no GGUF of version 3")
    tensors, count = cursor.number("Q"), cursor.number("Q")
    keys = dict(_key(cursor) for _ in range(count))
    entries = [_entry(cursor) for _ in range(tensors)]
    base = -(-cursor.at // _ALIGNMENT) * _ALIGNMENT
    return keys, [_source(*entry, base=base, path=path, end=len(cursor.data)) for entry in entries]


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


def _source(name: str, shape: tuple[int, ...], type: int, offset: int, *, base: int, path: Path, end: int) -> Source:
    dtype = _DTYPES.get(TensorType(type))
    if dtype is None:
        raise ValueError(f"{name} is {TensorType(type).name} already")
    size = prod(shape) * (4 if dtype == "F32" else 2)
    if base + offset + size > end:
        raise ValueError(f"{name} ends behind the file")
    origin = StoredTensor(name=name, path=path, dtype=dtype, shape=shape, offset=base + offset, size=size)
    source = Source(name=name, shape=shape, origin=origin)
    if _DTYPES[stored_type(source)] != dtype:
        raise ValueError(f"{name} is {dtype}, which upstream's converter never writes")
    return source


def _text(keys: Mapping[str, RawValue], key: str, path: Path) -> str:
    found = keys.get(key)
    if found is None or found.type is not _Type.STRING:
        raise BadInputError(f"{path}: {key}: no text", hint="make it again")
    return bytes(found.value[8:]).decode()


def _whole(keys: Mapping[str, RawValue], key: str, path: Path) -> int:
    found = keys.get(key)
    if found is None or found.type is not _Type.UINT32:
        raise BadInputError(f"{path}: {key}: no number", hint="use a model whose config.json says its context")
    return int.from_bytes(found.value, "little")

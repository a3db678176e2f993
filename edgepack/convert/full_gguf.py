"""A GGUF at full precision, as upstream's converter writes it: read as far as its head, quantized by our slabs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import gguf

from edgepack.convert.gguf_head import Entry, read_head
from edgepack.convert.head import RawValue
from edgepack.convert.safetensors import StoredTensor
from edgepack.convert.tensors import Source, written_order
from edgepack.convert.typeplan import TypePlan, stored_type
from edgepack.domain.errors import BadInputError
from edgepack.domain.quant import TensorType

_Type = gguf.GGUFValueType
_DTYPES = {TensorType.F32: "F32", TensorType.F16: "F16", TensorType.BF16: "BF16"}
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
    head = read_head(path)
    keys = head.keys
    try:
        sources = [_source(entry, path=path, end=head.end) for entry in head.entries]
    except ValueError as error:
        raise BadInputError(f"{path}: not a whole GGUF: {error}", hint="make it again") from error
    architecture = _text(keys, "general.architecture", path)

    def write_keys(writer: gguf.GGUFWriter) -> None:
        writer.kv_data[0].update(keys)

    plan = TypePlan(
        architecture=architecture, write_keys=write_keys, sources=tuple(sorted(sources, key=written_order))
    )
    return FullGguf(path=path, sha256=sha256, name=name, keys=keys, plan=plan)


def _source(entry: Entry, *, path: Path, end: int) -> Source:
    dtype = _DTYPES.get(entry.type)
    if dtype is None:
        raise ValueError(f"{entry.name} is {entry.type.name} already")
    if entry.offset + entry.size > end:
        raise ValueError(f"{entry.name} ends behind the file")
    origin = StoredTensor(
        name=entry.name, path=path, dtype=dtype, shape=entry.shape, offset=entry.offset, size=entry.size
    )
    source = Source(name=entry.name, shape=entry.shape, origin=origin)
    if _DTYPES[stored_type(source)] != dtype:
        raise ValueError(f"{entry.name} is {dtype}, which upstream's converter never writes")
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

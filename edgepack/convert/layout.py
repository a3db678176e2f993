"""Where everything lies in the GGUF: keys and tensor table written first, the bytes of tensors placed after."""

from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import gguf
import numpy as np

from edgepack.convert.head import pack_head
from edgepack.convert.tensors import Source
from edgepack.domain.quant import TensorType

_ALIGNMENT = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class Placed:
    """One tensor of the GGUF: what fills it, at which type, and where its bytes begin."""

    source: Source
    type: TensorType
    offset: int
    """In bytes, from the start of the file."""

    @property
    def columns(self) -> int:
        return self.source.shape[-1]

    @property
    def rows(self) -> int:
        return self.source.elements // self.columns

    @property
    def size(self) -> int:
        """In bytes, without padding."""
        return tensor_bytes(self.source, self.type)


def tensor_bytes(source: Source, type: TensorType) -> int:
    """Bytes of a tensor at `type`, without padding."""
    return type.row_bytes(source.shape[-1]) * (source.elements // source.shape[-1])


def add_tensors(writer: gguf.GGUFWriter, tensors: list[tuple[Source, TensorType]]) -> None:
    """Tell the writer each tensor's name, shape and type, in the order of the file."""
    for source, type in tensors:
        size = tensor_bytes(source, type)
        quantized = gguf.GGMLQuantizationType(type.value)
        # float16 stands for "as the shape says"; uint8 would make the package take the shape for bytes.
        writer.add_tensor_info(source.name, source.shape, np.dtype(np.float16), size, raw_dtype=quantized)


def write_head(
    writer: gguf.GGUFWriter, path: Path, tensors: list[tuple[Source, TensorType]]
) -> tuple[tuple[Placed, ...], int]:
    """Write header, keys and tensor table to `path`; returns where each tensor goes, and the file's size."""
    offsets = list(accumulate((aligned(tensor_bytes(*tensor)) for tensor in tensors), initial=0))
    entries = [
        (source.name, source.shape, type, offset) for (source, type), offset in zip(tensors, offsets, strict=False)
    ]
    head = pack_head(writer.kv_data[0], entries)
    path.write_bytes(head)
    base = aligned(len(head))
    placed = tuple(
        Placed(source=source, type=type, offset=base + offset)
        for (source, type), offset in zip(tensors, offsets, strict=False)
    )
    return placed, base + offsets[-1]


def aligned(position: int) -> int:
    """The next place where a tensor may begin."""
    return -(-position // _ALIGNMENT) * _ALIGNMENT

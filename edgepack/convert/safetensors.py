"""The safetensors format, distrusted: every offset, shape and size of a header is checked before any is used."""

import json
import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgepack.domain.errors import BadInputError

READABLE = ("BF16", "F16", "F32")
"""The types whose values are converted."""

# The reference implementation refuses longer headers too.
_LONGEST_HEADER = 100_000_000

_ELEMENT_BYTES = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "I16": 2, "U16": 2, "F16": 2, "BF16": 2,
    "I32": 4, "U32": 4, "F32": 4, "F64": 8, "I64": 8, "U64": 8,
}  # fmt: skip

_DOWNLOAD_AGAIN = "the file is damaged or not a safetensors file: fetch the checkpoint again"


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredTensor:
    """Where one tensor's bytes lie: row-major, little-endian, `shape` slowest dimension first."""

    name: str
    path: Path
    dtype: str
    shape: tuple[int, ...]
    offset: int
    """In bytes, from the start of the file."""
    size: int
    """In bytes."""

    @property
    def element_bytes(self) -> int:
        """Bytes of one weight."""
        return _ELEMENT_BYTES[self.dtype]


def read_header(path: Path) -> tuple[StoredTensor, ...]:
    """The tensors of one file, in the order of their bytes.

    Raises BadInputError for a header that is cut, is not JSON, or describes bytes that are not there.
    """
    length = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(8)
        if len(head) < 8:
            raise BadInputError(f"{path}: {length} bytes are too few for a header", hint=_DOWNLOAD_AGAIN)
        (header_length,) = struct.unpack("<Q", head)
        if header_length > min(length - 8, _LONGEST_HEADER):
            raise BadInputError(f"{path}: the header claims {header_length} bytes of {length}", hint=_DOWNLOAD_AGAIN)
        header = _parse_json(path, file.read(header_length))
    base = 8 + header_length
    tensors = sorted(_entries(path, header, base), key=lambda tensor: (tensor.offset, tensor.size))
    _check_coverage(path, tensors, base, length)
    return tuple(tensors)


def _parse_json(path: Path, text: bytes) -> Mapping[str, object]:
    def refuse_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
        names = dict(pairs)
        if len(names) != len(pairs):
            raise BadInputError(f"{path}: the header names a tensor or a field twice", hint=_DOWNLOAD_AGAIN)
        return names

    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=refuse_duplicates)
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"{path}: the header is not JSON ({error})", hint=_DOWNLOAD_AGAIN) from error
    if not isinstance(header, dict):
        raise BadInputError(f"{path}: the header is not a JSON object", hint=_DOWNLOAD_AGAIN)
    return header


def _entries(path: Path, header: Mapping[str, object], base: int) -> Iterator[StoredTensor]:
    for name, entry in header.items():
        if name != "__metadata__":
            yield _entry(path, name, entry, base)


def _entry(path: Path, name: str, entry: object, base: int) -> StoredTensor:
    place = f"{path}: tensor {name!r}"
    if not isinstance(entry, dict):
        raise BadInputError(f"{place}: expected an object", hint=_DOWNLOAD_AGAIN)
    dtype, shape, offsets = entry.get("dtype"), entry.get("shape"), entry.get("data_offsets")
    if not isinstance(dtype, str) or dtype not in _ELEMENT_BYTES:
        raise BadInputError(f"{place}: unknown dtype {dtype!r}", hint=_DOWNLOAD_AGAIN)
    dimensions = _naturals(shape)
    if dimensions is None:
        raise BadInputError(f"{place}: shape is not a list of sizes", hint=_DOWNLOAD_AGAIN)
    bounds = _naturals(offsets)
    if bounds is None or len(bounds) != 2:
        raise BadInputError(f"{place}: data_offsets are not two positions", hint=_DOWNLOAD_AGAIN)
    size = prod(dimensions) * _ELEMENT_BYTES[dtype]
    if bounds[1] - bounds[0] != size:
        raise BadInputError(
            f"{place}: {bounds[1] - bounds[0]} bytes do not hold {dtype} {list(dimensions)}",
            hint=_DOWNLOAD_AGAIN,
        )
    return StoredTensor(name=name, path=path, dtype=dtype, shape=dimensions, offset=base + bounds[0], size=size)


def _naturals(value: object) -> tuple[int, ...] | None:
    if not isinstance(value, list) or any(type(item) is not int or item < 0 for item in value):
        return None
    return tuple(value)


def _check_coverage(path: Path, tensors: list[StoredTensor], base: int, length: int) -> None:
    """Tensors lie one after the other, without holes or overlaps, to the file's last byte."""
    end = base
    for tensor in tensors:
        if tensor.offset != end:
            what = "overlaps the one before" if tensor.offset < end else "leaves a hole before it"
            raise BadInputError(f"{path}: tensor {tensor.name!r} {what}", hint=_DOWNLOAD_AGAIN)
        end += tensor.size
    if end != length:
        what = f"{end - length} bytes are missing" if end > length else f"{length - end} bytes belong to no tensor"
        raise BadInputError(f"{path}: {what} at the end", hint=_DOWNLOAD_AGAIN)


def read_bytes(file: int, buffer: npt.NDArray[np.uint8], offset: int) -> None:
    """Fill `buffer` from an open file; raises BadInputError where the file ends before."""
    view = buffer.data
    while view:
        count = os.preadv(file, [view], offset)
        if count == 0:
            raise BadInputError("a checkpoint file became shorter while it was read", hint="fetch it again")
        view, offset = view[count:], offset + count


def read_block(tensor: StoredTensor, file: int, rows: slice, columns: slice) -> npt.NDArray[np.float32]:
    """Some rows and columns of a matrix, as float32; its file is open as `file`."""
    width = tensor.shape[1]
    count, taken = rows.stop - rows.start, columns.stop - columns.start
    raw = np.empty((count, taken * tensor.element_bytes), np.uint8)
    start = tensor.offset + (rows.start * width + columns.start) * tensor.element_bytes
    if taken == width:
        read_bytes(file, raw.reshape(-1), start)
    else:
        for row in range(count):
            read_bytes(file, raw[row], start + row * width * tensor.element_bytes)
    return widened(raw, tensor.dtype)


def widened(raw: npt.NDArray[np.uint8], dtype: str) -> npt.NDArray[np.float32]:
    match dtype:
        case "BF16":
            return (raw.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
        case "F16":
            return raw.view(np.float16).astype(np.float32)
        case _:
            return raw.view(np.float32)

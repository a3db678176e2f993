"""Importance matrices with seeded values, in both of llama.cpp's forms; written plainly, not by the product."""

import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

Sums = Mapping[str, npt.NDArray[np.float32]]
CHUNKS, CHUNK_TOKENS = 7, 512


def seeded_sums(columns: Mapping[str, int]) -> dict[str, npt.NDArray[np.float32]]:
    """Sums of squares as a model gives them: a few columns outweigh the rest a thousandfold."""
    return {name: _sums(name, columns[name]) for name in sorted(columns)}


def _sums(name: str, columns: int) -> npt.NDArray[np.float32]:
    random = np.random.default_rng(seed=sum(name.encode()))
    return (random.lognormal(0, 2, columns) * CHUNKS * CHUNK_TOKENS).astype(np.float32)


def write_gguf_matrix(path: Path, sums: Sums, *, dataset: str = "calibration.txt") -> None:
    """llama-imatrix's form: `in_sum2` and `counts` for each tensor."""
    tensors = {}
    for name, values in sums.items():
        tensors[f"{name}.in_sum2"] = values.reshape(1, -1)
        tensors[f"{name}.counts"] = np.full((1, 1), CHUNKS * CHUNK_TOKENS, np.float32)
    keys = {
        "general.type": gguf_string("imatrix"),
        "imatrix.datasets": gguf_strings([dataset]),
        "imatrix.chunk_count": gguf_u32(CHUNKS),
        "imatrix.chunk_size": gguf_u32(CHUNK_TOKENS),
    }
    path.write_bytes(gguf_bytes(keys, tensors))


def gguf_bytes(keys: Mapping[str, bytes], tensors: Mapping[str, npt.NDArray[np.float32]]) -> bytes:
    """A GGUF of version 3 with float32 tensors; `keys` hold each value's type and bytes."""
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys))
    head += b"".join(_string(name) + value for name, value in keys.items())
    offset = 0
    for name, values in tensors.items():
        shape = values.shape[::-1]
        head += _string(name) + struct.pack(f"<I{len(shape)}Q", len(shape), *shape) + struct.pack("<IQ", 0, offset)
        offset += -(-values.nbytes // 32) * 32
    body = b"".join(_padded(values.tobytes()) for values in tensors.values())
    return _padded(head) + body


def gguf_u32(value: int) -> bytes:
    return struct.pack("<II", 4, value)


def gguf_string(text: str) -> bytes:
    return struct.pack("<I", 8) + _string(text)


def gguf_strings(texts: list[str]) -> bytes:
    return struct.pack("<IIQ", 9, 8, len(texts)) + b"".join(map(_string, texts))


def _string(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 32)


def write_legacy_matrix(path: Path, sums: Sums, *, dataset: str = "calibration.txt") -> None:
    """The older form: means times calls."""
    parts = [struct.pack("<i", len(sums))]
    for name, values in sums.items():
        parts += [struct.pack("<i", len(name)), name.encode(), struct.pack("<ii", CHUNKS, values.size)]
        parts += [(values / np.float32(CHUNK_TOKENS)).astype(np.float32).tobytes()]
    parts += [struct.pack("<ii", CHUNKS, len(dataset.encode())), dataset.encode()]
    path.write_bytes(b"".join(parts))

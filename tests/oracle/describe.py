"""A GGUF by digests of its raw parts, so that two can be compared, and told apart, without keeping either."""

import mmap
from hashlib import sha256
from pathlib import Path
from typing import Any

from tests.fakes.gguf_raw import RawGguf


def describe(path: Path) -> dict[str, Any]:
    """Keys in order with their raw values, tensors in order with their types, and the whole file's sha256."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        gguf = RawGguf(data)
        tensors = [
            [name, type.name, sha256(data[position : position + size]).hexdigest()[:16]]
            for name, type, position, size in gguf.tensors
        ]
        keys = [[name, _shown(raw)] for name, raw in gguf.raw.items()]
        return {"file": sha256(data).hexdigest(), "keys": keys, "tensors": tensors}


def _shown(raw: bytes) -> str:
    return raw.hex() if len(raw) <= 40 else sha256(raw).hexdigest()[:16]

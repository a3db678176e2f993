"""A GGUF by digests, so that two can be compared without keeping either."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import gguf


def describe(path: Path) -> dict[str, Any]:
    """Tensors in order with their types, keys in order, and the whole file's sha256."""
    reader = gguf.GGUFReader(path)
    tensors = [
        [tensor.name, tensor.tensor_type.name, sha256(tensor.data.tobytes()).hexdigest()[:16]]
        for tensor in reader.tensors
    ]
    keys = [[name, _key_digest(value)] for name, value in reader.fields.items() if not name.startswith("GGUF.")]
    return {"file": sha256(path.read_bytes()).hexdigest(), "keys": keys, "tensors": tensors}


def _key_digest(value: gguf.ReaderField) -> str:
    types = ",".join(type.name for type in value.types)
    content = json.dumps(value.contents(), ensure_ascii=True)
    return f"{types}:{content}" if len(content) < 80 else f"{types}:{sha256(content.encode()).hexdigest()[:16]}"

"""A checkpoint with what a converter gets wrong put into it: its GGUF is then that of a wrong converter."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.fakes.demo_copy import drop, edit_json, read_weights, write_weights

HEAD, TABLE = "lm_head.weight", "model.embed_tokens.weight"


def _config(directory: Path) -> dict[str, Any]:
    table: dict[str, Any] = json.loads((directory / "config.json").read_text())
    return table


def permuted(directory: Path) -> None:
    """Each head's query rows as if neighbours turned together: once too often, or where they never do."""
    header, data = read_weights(directory)
    config = _config(directory)
    heads = config["num_attention_heads"]
    width = config.get("head_dim") or config["hidden_size"] // heads
    for name, entry in header.items():
        if name.endswith("q_proj.weight"):
            begin, end = entry["data_offsets"]
            rows = np.frombuffer(bytes(data[begin:end]), np.uint8).reshape(heads, width // 2, 2, -1)
            data[begin:end] = rows.swapaxes(1, 2).tobytes()
    write_weights(directory, header, bytes(data))


def other_base(directory: Path) -> None:
    """What a config's silence means where it speaks, and the other way about."""
    said = _config(directory).get("rope_theta", 10000.0)
    edit_json(directory, "config.json", rope_theta=10000.0 if said > 10000.0 else 1000000.0)


def other_places(directory: Path) -> None:
    """Places a quarter as far apart."""
    edit_json(directory, "config.json", rope_scaling={"type": "linear", "factor": 4.0})


def other_head(directory: Path) -> None:
    """A head of its own where it is the table, by one row shifted; the table where it has one of its own."""
    header, data = read_weights(directory)
    if HEAD in header:
        edit_json(directory, "config.json", tie_word_embeddings=True)
        drop(directory, HEAD)
        return
    begin, end = header[TABLE]["data_offsets"]
    table = np.frombuffer(bytes(data[begin:end]), np.uint8).reshape(header[TABLE]["shape"][0], -1)
    header[HEAD] = {**header[TABLE], "data_offsets": [len(data), len(data) + end - begin]}
    write_weights(directory, header, bytes(data) + np.roll(table, 1, axis=0).tobytes())
    edit_json(directory, "config.json", tie_word_embeddings=False)


MISTAKES: dict[str, Callable[[Path], None]] = {
    "permutation": permuted, "rope-base": other_base, "rope-type": other_places, "head": other_head
}  # fmt: skip

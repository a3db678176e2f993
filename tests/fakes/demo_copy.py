"""The small demo checkpoint, copied and broken: a valid base on which one thing at a time is made wrong."""

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import edgepack

DEMO = Path(edgepack.__file__).parent / "data" / "demo-1m"
WEIGHTS = "model.safetensors"
EMBEDDING = "model.embed_tokens.weight"
Header = dict[str, Any]


def copy_demo(directory: Path) -> Path:
    """A copy of the demo checkpoint in the new `directory`."""
    shutil.copytree(DEMO, directory)
    return directory


def read_weights(directory: Path) -> tuple[Header, bytearray]:
    """The header without its metadata, and all tensors' bytes."""
    data = (directory / WEIGHTS).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header: Header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    return header, bytearray(data[8 + length :])


def header_bytes(text: bytes) -> bytes:
    return struct.pack("<Q", len(text)) + text


def write_weights(directory: Path, header: object, data: bytes, name: str = WEIGHTS) -> None:
    (directory / name).write_bytes(header_bytes(json.dumps(header).encode()) + data)


def edit_header(directory: Path, change: Callable[[Header], object]) -> None:
    """Let `change` work on the header; the tensors' bytes stay."""
    header, data = read_weights(directory)
    change(header)
    write_weights(directory, header, bytes(data))


def poke(directory: Path, tensor: str, element: int, bits: int) -> None:
    """Set one bfloat16 weight to these bits."""
    header, data = read_weights(directory)
    place = header[tensor]["data_offsets"][0] + 2 * element
    data[place : place + 2] = struct.pack("<H", bits)
    write_weights(directory, header, bytes(data))


def drop(directory: Path, tensor: str) -> None:
    """Take a tensor out, its bytes too."""
    header, data = read_weights(directory)
    keep = [name for name in header if name != tensor]
    write_weights(directory, *_packed(header, data, keep))


def add(directory: Path, tensor: str, dtype: str, shape: list[int], content: bytes) -> None:
    """Put a tensor behind the others."""
    header, data = read_weights(directory)
    header[tensor] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(content)]}
    write_weights(directory, header, bytes(data) + content)


def shard(directory: Path) -> list[str]:
    """Split the weights into two files and an index; the files' names."""
    header, data = read_weights(directory)
    names = list(header)
    files = {f"model-0000{part + 1}-of-00002.safetensors": names[part::2] for part in range(2)}
    for file, keep in files.items():
        write_weights(directory, *_packed(header, data, keep), name=file)
    weight_map = {tensor: file for file, keep in files.items() for tensor in keep}
    (directory / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    (directory / WEIGHTS).unlink()
    return list(files)


def edit_json(directory: Path, name: str, **values: object) -> None:
    """Set keys of a JSON file."""
    table = json.loads((directory / name).read_text())
    (directory / name).write_text(json.dumps({**table, **values}))


def _packed(header: Header, data: bytearray, keep: list[str]) -> tuple[Header, bytes]:
    packed, out = {}, bytearray()
    for name in keep:
        begin, end = header[name]["data_offsets"]
        packed[name] = {**header[name], "data_offsets": [len(out), len(out) + end - begin]}
        out += data[begin:end]
    return packed, bytes(out)

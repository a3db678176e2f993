"""Runs the pinned llama.cpp's converter on a checkpoint: with its data alone, offline, and none of its code."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from edgepack.convert.config import read_json
from edgepack.convert.tensors import stored_tensors
from edgepack.domain.checkpoint import Checkpoint
from edgepack.domain.errors import BadInputError, EdgepackError, NoSpaceError, UsageError
from edgepack.domain.progress import Bar, Progress
from edgepack.infra.pinned_source import SCRIPT
from edgepack.infra.process import Running, start
from edgepack.infra.store import require_space
from edgepack.infra.upstream_python import UpstreamPython

# Data, never code: transformers imports .py files of a model's directory, torch unpickles .bin and .pt.
_DATA = (".json", ".txt", ".model", ".safetensors", ".jinja", ".md")
# Settings of the caller's that would lead to code or files of others.
_FOREIGN = ("PYTHON", "HF_", "HUGGINGFACE_", "TRANSFORMERS_", "NO_LOCAL_GGUF")
_OUTTYPES = {frozenset({"BF16"}): "bf16", frozenset({"F16"}): "f16"}
_ELEMENT_BYTES = {"bf16": 2, "f16": 2, "f32": 4}
_LOOK = 0.2
"""Seconds between two looks at how far the file has grown."""
_GRACE = 60
"""Seconds for the interpreter to take itself apart after its last word."""


def outtype(directory: Path) -> str:
    """The precision that loses nothing of a checkpoint's matrices, by the script's name for it."""
    dtypes = frozenset(tensor.dtype for tensor in stored_tensors(directory).values() if len(tensor.shape) > 1)
    return _OUTTYPES.get(dtypes, "f32")


def write_full(
    path: Path, checkpoint: Checkpoint, name: str, *, python: UpstreamPython, scripts: Path, progress: Progress
) -> None:
    """Write the GGUF at full precision to `path`, which must not exist.

    `name` takes the place of the directory's, of which the script makes the model's. After an error nothing
    is left. Raises BadInputError with the script's own last words where it refuses the checkpoint.
    """
    tensors, type = stored_tensors(checkpoint.directory), outtype(checkpoint.directory)
    size = sum(tensor.size // tensor.element_bytes for tensor in tensors.values()) * _ELEMENT_BYTES[type]
    require_space(path.parent, size, f"{name} {type}")
    progress.step(f"upstream's converter on {name}: {type}, by {python.path}")
    with _scratch(path) as scratch, progress.bar(f"{name} {type}", size, "B") as bar:
        inputs = _data_alone(checkpoint, scratch / "inputs" / name)
        # -E and -s: neither the caller's settings nor a user's own packages change what the versions give.
        command: list[str | Path] = [python.path, "-E", "-s", "-B", "-X", "utf8", scripts / SCRIPT]
        running = start(
            [*command, inputs, "--outfile", path, "--outtype", type], environment=_environment(os.environ, scratch)
        )
        status = _watched(running, path, bar)
        if status or not path.is_file():
            raise _refusal(checkpoint, status, running.complaints)


@contextmanager
def _scratch(path: Path) -> Iterator[Path]:
    """A directory beside the file; the file goes with it where the script did not end well."""
    with TemporaryDirectory(prefix="upstream-", dir=path.parent) as place:
        try:
            yield Path(place)
        except BaseException:
            path.unlink(missing_ok=True)
            raise


def _data_alone(checkpoint: Checkpoint, place: Path) -> Path:
    """A directory of the checkpoint's known files that hold data; what else lies beside them stays out of sight."""
    place.mkdir(parents=True)
    for file in checkpoint.files:
        if file.name.endswith(_DATA):
            link = place / file.name
            link.parent.mkdir(exist_ok=True)
            link.symlink_to(checkpoint.path(file.name).resolve())
    return place


def _environment(outer: Mapping[str, str], scratch: Path) -> dict[str, str]:
    """The caller's, offline, and with an empty place for what the hub's libraries keep."""
    kept = {name: value for name, value in outer.items() if not name.startswith(_FOREIGN)}
    return {
        **kept, "HF_HOME": str(scratch / "hub"), "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }  # fmt: skip


def _watched(running: Running, path: Path, bar: Bar) -> int:
    """The script's exit status; an interruption ends the script first."""
    try:
        running.end_input()
        seen = 0
        while not running.ended:
            running.exchange(_LOOK)
            size = path.stat().st_size if path.is_file() else 0
            bar.advance(max(0, size - seen))
            seen = max(seen, size)
    except BaseException:
        running.finish(0)
        raise
    return running.finish(_GRACE)


def _refusal(checkpoint: Checkpoint, status: int, complaints: str) -> EdgepackError:
    """The error for a script that did not end well, with its own last words."""
    lines = [line.strip() for line in complaints.splitlines() if line.strip()]
    said = next((line for line in reversed(lines) if "Error" in line or "ERROR" in line), (lines or ["nothing"])[-1])
    if status == -9:
        return NoSpaceError(
            f"{checkpoint.origin}: upstream's converter was killed", hint="free some memory, and run it again"
        )
    if said.startswith(("ModuleNotFoundError", "ImportError")):
        return UsageError(f"upstream's converter: {said}", hint="pip install it where EDGEPACK_UPSTREAM_PYTHON is")
    if code := _tokenizer_code(checkpoint.directory, complaints):
        return BadInputError(
            f"{checkpoint.origin}: its tokenizer is code of the repository ({code}), which is never run",
            hint="choose a model whose tokenizer is data, or convert it with llama.cpp and give the GGUF",
        )
    return BadInputError(
        f"{checkpoint.origin}: upstream's converter refuses it: {said[:300]}",
        hint="choose another model, or see what llama.cpp's own convert_hf_to_gguf.py says of it",
    )


def _tokenizer_code(directory: Path, complaints: str) -> str | None:
    """The file of the repository's own that the script asked for as its tokenizer, if it was that."""
    for name in ("tokenizer_config.json", "config.json"):
        path = directory / name
        classes = read_json(path).get("auto_map") if path.is_file() else None
        for listed in re.findall(r"[\w-]+(?=\.\w+)", str(classes)):
            if f"{listed}.py" in complaints:
                return f"{listed}.py"
    return None

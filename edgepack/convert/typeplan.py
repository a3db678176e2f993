"""Which type each tensor gets: asked of the pinned llama-quantize itself, on a file with keys but no weights."""

import ctypes
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import gguf

from edgepack.convert.layout import add_tensors, write_head
from edgepack.convert.tensors import Source
from edgepack.domain.errors import BadInputError, EdgepackError
from edgepack.domain.quant import Quant, TensorType

# "[   1/ 146]  blk.0.attn_q.weight - [ 2048, …], type =   bf16, size = … (q4_K)"
_LINE = re.compile(r"^\[ *\d+/ *\d+\]\s+(\S+)\s+- \[[^]]*\], type =\s*(\S+),.*?(?:\((\w+)\))?$")
_TYPE_OF = {type.name.lower(): type for type in TensorType}
# What the oracle's first step always writes as float32 (ModelBase.prepare_tensors in its conversion/base.py).
_FLOAT32_ENDINGS = (
    "_norm.weight", "position_embd.weight", "token_types.weight", ".ssm_conv1d.weight", ".shortconv.conv.weight",
)  # fmt: skip
_STORED = {"BF16": TensorType.BF16, "F16": TensorType.F16, "F32": TensorType.F32}


def plan_types(
    architecture: str, write_keys: Callable[[gguf.GGUFWriter], None], sources: list[Source], quant: Quant
) -> list[tuple[Source, TensorType]]:
    """Each tensor with the type that `quant` gives it; takes about 0.1 s and no weights.

    `write_keys` adds the model's hyperparameters to the writer it is given.
    """
    stored = [(source, _stored_type(source)) for source in sources]
    with TemporaryDirectory(prefix="edgepack-") as scratch:
        skeleton = Path(scratch) / "skeleton.gguf"
        writer = gguf.GGUFWriter(None, architecture)
        add_tensors(writer, stored)
        write_keys(writer)
        _, size = write_head(writer, skeleton, stored)
        os.truncate(skeleton, size)
        types = dict(_dry_run(skeleton, quant))
    missing = [source.name for source in sources if source.name not in types]
    if missing:
        raise EdgepackError(f"llama.cpp planned no type for {missing[0]}", hint="report this with the model's name")
    return [(source, types[source.name]) for source in sources]


def _stored_type(source: Source) -> TensorType:
    """What the oracle's first step makes of it: vectors and norms are float32, the rest stays as stored."""
    if len(source.shape) == 1 or source.name.endswith(_FLOAT32_ENDINGS) or not source.name.endswith(".weight"):
        return TensorType.F32
    return _STORED[getattr(source.origin, "dtype", "F32")]


def _dry_run(skeleton: Path, quant: Quant) -> Iterator[tuple[str, TensorType]]:
    import llama_cpp

    settings = llama_cpp.llama_model_quantize_default_params()
    settings.ftype = quant.file_type
    settings.dry_run = True
    with _llama_log() as pieces:
        status = llama_cpp.llama_model_quantize(
            os.fsencode(skeleton), os.fsencode(skeleton.with_suffix(".out")), ctypes.byref(settings)
        )
    lines = "".join(pieces).splitlines()
    if status:
        reason = next((line for line in reversed(lines) if "failed" in line), "no reason given")
        raise BadInputError(f"llama.cpp refuses the model: {reason}", hint="check the checkpoint's config.json")
    for line in lines:
        found = _LINE.match(line)
        if found:
            yield found[1], _TYPE_OF[(found[3] or found[2]).lower()]


@contextmanager
def _llama_log() -> Iterator[list[str]]:
    """Collect what llama.cpp logs."""
    import llama_cpp

    pieces: list[str] = []

    @llama_cpp.llama_log_callback  # type: ignore[untyped-decorator, unused-ignore]
    def collect(_level: int, text: bytes, _data: object) -> None:
        pieces.append(text.decode("utf-8", errors="replace"))

    llama_cpp.llama_log_set(collect, ctypes.c_void_p(0))
    try:
        yield pieces
    finally:
        llama_cpp.llama_log_set(_silence(), ctypes.c_void_p(0))


@cache
def _silence() -> object:
    """A log listener that lives as long as the process: llama.cpp keeps calling the last one it was given."""
    import llama_cpp

    @llama_cpp.llama_log_callback  # type: ignore[untyped-decorator, unused-ignore]
    def ignore(_level: int, _text: bytes, _data: object) -> None:
        pass

    return ignore

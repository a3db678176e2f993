"""Which type each tensor gets: asked of the pinned llama-quantize itself, on a file with keys but no weights."""

import ctypes
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

import gguf

from edgepack.convert.layout import add_tensors, tensor_bytes, write_head
from edgepack.convert.tensors import Source
from edgepack.domain.errors import BadInputError, EdgepackError, UsageError
from edgepack.domain.fallback import Fallback, fallbacks_of
from edgepack.domain.quant import Quant, TensorType
from edgepack.domain.tuning import TypeOverride

# "[   1/ 146]  blk.0.attn_q.weight - [ 2048, …], type =   bf16, size = … (q4_K)"
_LINE = re.compile(r"^\[ *\d+/ *\d+\]\s+(\S+)\s+- \[[^]]*\], type =\s*(\S+),.*?(?:\((\w+)\))?$")
_TYPE_OF = {type.name.lower(): type for type in TensorType}
# What the oracle's first step always writes as float32 (ModelBase.prepare_tensors in its conversion/base.py).
_FLOAT32_ENDINGS = (
    "_norm.weight", "position_embd.weight", "token_types.weight", ".ssm_conv1d.weight", ".shortconv.conv.weight",
)  # fmt: skip
_STORED = {"BF16": TensorType.BF16, "F16": TensorType.F16, "F32": TensorType.F32}


# Every type's block divides it.
_LARGEST_BLOCK = 256

Typed: TypeAlias = tuple[Source, TensorType]
WriteKeys: TypeAlias = Callable[[gguf.GGUFWriter], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Mixture:
    """What decides the types of a model's tensors, beside the model."""

    quant: Quant
    overrides: tuple[TypeOverride, ...] = ()
    weighed: bool = False
    """Whether there is an importance matrix: that alone changes choices, whatever stands in it."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TypePlan:
    """The types that llama-quantize would give one model's tensors; each mixture is asked for once."""

    architecture: str
    write_keys: WriteKeys
    """Adds the model's hyperparameters to the writer that it is given."""
    sources: tuple[Source, ...]
    """In the GGUF's order."""
    _known: dict[Mixture, list[Typed]] = field(default_factory=dict, init=False)
    _fallbacks: dict[Mixture, tuple[Fallback, ...]] = field(default_factory=dict, init=False)

    def types(self, mixture: Mixture) -> list[Typed]:
        """Each tensor with its type; takes about 0.1 s the first time, and no weights."""
        if mixture not in self._known:
            self._known[mixture] = _plan_types(self.architecture, self.write_keys, self.sources, mixture)
        return self._known[mixture]

    def stored(self, type: TensorType) -> bool:
        """Whether the checkpoint holds any tensor of that type."""
        return any(stored_type(source) is type for source in self.sources)

    def size(self, mixture: Mixture) -> int:
        """Bytes of all tensors, without padding."""
        return sum(tensor_bytes(source, type) for source, type in self.types(mixture))

    def fallbacks(self, mixture: Mixture) -> tuple[Fallback, ...]:
        """The tensors whose rows do not fit the type that they would have if only they did."""
        if mixture not in self._fallbacks:
            self._fallbacks[mixture] = self._ask_fallbacks(mixture)
        return self._fallbacks[mixture]

    def _ask_fallbacks(self, mixture: Mixture) -> tuple[Fallback, ...]:
        whole = tuple(_padded(source) for source in self.sources)
        if whole == self.sources or mixture.quant.base.block[0] == 1:
            return ()
        wanted = _plan_types(self.architecture, self.write_keys, whole, mixture)
        return fallbacks_of(
            (source.shape, type, given)
            for (source, given), (_, type) in zip(self.types(mixture), wanted, strict=True)
        )


def _padded(source: Source) -> Source:
    """The same tensor with rows that fit every type."""
    columns = -(-source.shape[-1] // _LARGEST_BLOCK) * _LARGEST_BLOCK
    if len(source.shape) == 1 or columns == source.shape[-1]:
        return source
    return replace(source, shape=(*source.shape[:-1], columns))


def _plan_types(
    architecture: str, write_keys: WriteKeys, sources: tuple[Source, ...], mixture: Mixture
) -> list[Typed]:
    with TemporaryDirectory(prefix="edgepack-") as scratch:
        bare = Path(scratch) / "skeleton.gguf"
        skeleton(bare, architecture, write_keys, [(source, stored_type(source)) for source in sources])
        types = _asked(bare, mixture)
    missing = [source.name for source in sources if source.name not in types]
    if missing:
        raise EdgepackError(f"llama.cpp planned no type for {missing[0]}", hint="report this with the model's name")
    return [(source, types[source.name]) for source in sources]


def skeleton(path: Path, architecture: str, write_keys: WriteKeys, tensors: list[Typed]) -> None:
    """A GGUF with keys and a tensor table; where the weights would be, it has a hole."""
    writer = gguf.GGUFWriter(None, architecture)
    add_tensors(writer, tensors)
    write_keys(writer)
    _, size = write_head(writer, path, tensors)
    os.truncate(path, size)


def stored_type(source: Source) -> TensorType:
    """What the oracle's first step makes of it: vectors and norms are float32, the rest stays as stored."""
    if len(source.shape) == 1 or source.name.endswith(_FLOAT32_ENDINGS) or not source.name.endswith(".weight"):
        return TensorType.F32
    return _STORED[source.dtype]


def _asked(bare: Path, mixture: Mixture) -> dict[str, TensorType]:
    """Tensor -> type; raises UsageError where the overrides are what llama.cpp refuses."""
    try:
        return dict(_dry_run(bare, mixture))
    except BadInputError as error:
        if not mixture.overrides:
            raise
        _asked(bare, replace(mixture, overrides=()))
        said = " ".join(f"--tensor-type {override}" for override in mixture.overrides)
        raise UsageError(f"{said}: {error.what}", hint="correct the pattern, or choose another type") from error


def _dry_run(bare: Path, mixture: Mixture) -> Iterator[tuple[str, TensorType]]:
    import llama_cpp

    settings = llama_cpp.llama_model_quantize_default_params()
    settings.ftype = mixture.quant.file_type
    settings.dry_run = True
    settings.tt_overrides = _override_array(mixture.overrides)
    settings.imatrix = _some_matrix() if mixture.weighed else None
    with _llama_log() as pieces:
        status = llama_cpp.llama_model_quantize(
            os.fsencode(bare), os.fsencode(bare.with_suffix(".out")), ctypes.byref(settings)
        )
    lines = "".join(pieces).splitlines()
    if status:
        reason = next((line for line in reversed(lines) if "failed" in line), "no reason given")
        raise BadInputError(f"llama.cpp refuses the model: {reason}", hint="check the checkpoint's config.json")
    for line in lines:
        found = _LINE.match(line)
        if found:
            yield found[1], _TYPE_OF[(found[3] or found[2]).lower()]


def _override_array(overrides: tuple[TypeOverride, ...]) -> object:
    from llama_cpp import llama_cpp

    if not overrides:
        return None
    entries = [llama_cpp.llama_model_tensor_override(each.pattern.encode(), each.type) for each in overrides]
    end = llama_cpp.llama_model_tensor_override(None, 0)
    return (llama_cpp.llama_model_tensor_override * (len(entries) + 1))(*entries, end)


def _some_matrix() -> object:
    """A matrix of one entry, for a tensor that does not exist: choices ask whether there is one, not what it says."""
    from llama_cpp import llama_cpp

    one = (ctypes.c_float * 1)(1.0)
    entry = llama_cpp.llama_model_imatrix_data(b"-", one, 1)
    return (llama_cpp.llama_model_imatrix_data * 2)(entry, llama_cpp.llama_model_imatrix_data(None, None, 0))


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

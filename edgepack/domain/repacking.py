"""Which tensors llama.cpp copies when it loads them, laid out anew for a CPU's kernels (ggml-cpu/repack.cpp)."""

from collections.abc import Iterable, Mapping, Set
from typing import TypeAlias

from edgepack.domain.memory import LoadedWeights
from edgepack.domain.profile import Isa
from edgepack.domain.quant import TensorType

Repacks: TypeAlias = Mapping[TensorType, int]
"""Type -> the number that a matrix's rows must be a multiple of to be copied."""
NamedTensor: TypeAlias = tuple[str, tuple[int, ...], TensorType]
"""Name, shape with the slowest dimension first, type."""

NOTHING: Repacks = {}
_AVX2 = {TensorType.Q4_0: 8, TensorType.Q4_K: 8, TensorType.IQ4_NL: 8, TensorType.MXFP4: 8}
_DOTPROD = {
    TensorType.Q4_0: 4, TensorType.Q8_0: 4, TensorType.IQ4_NL: 4, TensorType.MXFP4: 4, TensorType.Q1_0: 4,
    TensorType.Q4_K: 8, TensorType.Q5_K: 8, TensorType.Q6_K: 8,
}  # fmt: skip
_EMBEDDING, _HEAD = "token_embd.weight", "output.weight"
# Rows of these are looked up; nothing is multiplied with them.
_LOOKED_UP = frozenset({_EMBEDDING, "position_embd.weight", "token_types.weight"})


def repacks_of(isa: Set[Isa]) -> Repacks:
    """What a build for these instructions copies; RISC-V depends on a vector length that no profile tells."""
    if Isa.AVX2 in isa:
        return {**_AVX2, TensorType.Q2_K: 8} if Isa.AVX512F in isa else _AVX2
    return _DOTPROD if {Isa.NEON, Isa.DOTPROD} <= isa else NOTHING


def loaded(
    tensors: Iterable[NamedTensor], repacks: Repacks, *, writes: bool = True, maps: bool = True
) -> LoadedWeights:
    """What becomes of tensors when they are loaded.

    A model that `writes` and has no head multiplies with its embedding, which is then both looked up and copied.
    Unless the runtime `maps` the file, tables are read into memory whole, and copies have no source there.
    """
    listed = list(tensors)
    tied = writes and all(name != _HEAD for name, _, _ in listed)
    mapped = repacked = evictable = tables = 0
    for name, shape, type in listed:
        size, looked_up = _bytes(shape, type), name in _LOOKED_UP
        multiplied = not looked_up or (tied and name == _EMBEDDING)
        copied = multiplied and _is_copied(shape, type, repacks)
        idle = copied or not multiplied  # of a table only the rows of the tokens at hand are read
        repacked, evictable, mapped = repacked + size * copied, evictable + size * idle, mapped + size * (not idle)
        tables += size * (looked_up and idle)
    if not maps:
        mapped, evictable = mapped + tables, 0
    widest = max(shape[-1] for _, shape, _ in listed)
    return LoadedWeights(mapped=mapped, repacked=repacked, evictable=evictable, widest=widest)


def _is_copied(shape: tuple[int, ...], type: TensorType, repacks: Repacks) -> bool:
    matrix = [size for size in shape if size > 1]
    return len(matrix) == 2 and type in repacks and matrix[0] % repacks[type] == 0


def _bytes(shape: tuple[int, ...], type: TensorType) -> int:
    rows = 1
    for size in shape[:-1]:
        rows *= size
    return type.row_bytes(shape[-1]) * rows

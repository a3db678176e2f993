"""Which tensors llama.cpp copies when it loads them, laid out anew for a CPU's kernels (ggml-cpu/repack.cpp)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import TypeAlias

from edgepack.domain.bundle import LoadMode, RuntimeFlags
from edgepack.domain.memory import LoadedWeights
from edgepack.domain.profile import Isa
from edgepack.domain.quant import TensorType
from edgepack.domain.work import EMBEDDING, HEAD, TABLES, NamedTensor, tensor_size

Repacks: TypeAlias = Mapping[TensorType, int]
"""Type -> the number that a matrix's rows must be a multiple of to be copied."""

NOTHING: Repacks = {}


@dataclass(frozen=True, kw_only=True, slots=True)
class Loading:
    """How a runtime brings weights into memory."""

    repacks: Repacks
    maps: bool = True
    """Whether it maps the file."""


_AVX2 = {TensorType.Q4_0: 8, TensorType.Q4_K: 8, TensorType.IQ4_NL: 8, TensorType.MXFP4: 8}
_DOTPROD = {
    TensorType.Q4_0: 4, TensorType.Q8_0: 4, TensorType.IQ4_NL: 4, TensorType.MXFP4: 4, TensorType.Q1_0: 4,
    TensorType.Q4_K: 8, TensorType.Q5_K: 8, TensorType.Q6_K: 8,
}  # fmt: skip
_OF_DELTA_NETS = ".ssm_beta.weight"
_LOOKED_UP = TABLES | {EMBEDDING}


def loading_of(isa: Set[Isa], flags: RuntimeFlags) -> Loading:
    """As a runtime built for these instructions does it under these flags."""
    maps = flags.load_mode not in (LoadMode.NONE, LoadMode.MLOCK)
    return Loading(repacks=repacks_of(isa) if flags.repack else NOTHING, maps=maps)


def repacks_of(isa: Set[Isa]) -> Repacks:
    """What a build for these instructions copies; RISC-V depends on a vector length that no profile tells."""
    if Isa.AVX2 in isa:
        return {**_AVX2, TensorType.Q2_K: 8} if Isa.AVX512F in isa else _AVX2
    return _DOTPROD if {Isa.NEON, Isa.DOTPROD} <= isa else NOTHING


def loaded(tensors: Iterable[NamedTensor], loading: Loading, *, writes: bool = True) -> LoadedWeights:
    """What becomes of a file's tensors, in its order, when they are loaded.

    A model that `writes` and has no head multiplies with its embedding, which is then both looked up and copied.
    Unless the file is mapped, tables are read into memory whole, and copies have no source there.
    """
    listed = list(_used(list(tensors)))
    tied = writes and all(name != HEAD for name, _, _ in listed)
    mapped = repacked = evictable = tables = last = 0
    for name, shape, type in listed:
        size, looked_up = tensor_size(shape, type), name in _LOOKED_UP
        multiplied = not looked_up or (tied and name == EMBEDDING)
        copied = multiplied and _is_copied(shape, type, loading.repacks)
        idle = copied or not multiplied  # of a table only the rows of the tokens at hand are read
        repacked, evictable, mapped = repacked + size * copied, evictable + size * idle, mapped + size * (not idle)
        tables += size * (looked_up and idle)
        # Behind the last tensor that is used where it lies, the map is given back.
        last = last + size if copied and not looked_up else 0
    if not loading.maps:
        mapped, evictable, last = mapped + tables, 0, 0
    return LoadedWeights(
        mapped=mapped, repacked=repacked, evictable=evictable - last, tensors=len(listed),
        widest=max((shape[-1] for _, shape, _ in listed if len(shape) > 1), default=0),
        unrolled=any(name.endswith(_OF_DELTA_NETS) for name, _, _ in listed),
    )  # fmt: skip


def _used(tensors: Sequence[NamedTensor]) -> Iterator[NamedTensor]:
    """Without layers that look a token further ahead, which no program here asks for: they are not loaded."""
    ahead = tuple(f"{name.partition('.nextn.')[0]}." for name, _, _ in tensors if ".nextn." in name)
    return (each for each in tensors if not each[0].startswith(ahead))


def _is_copied(shape: tuple[int, ...], type: TensorType, repacks: Repacks) -> bool:
    matrix = [size for size in shape if size > 1]
    return len(matrix) == 2 and type in repacks and matrix[0] % repacks[type] == 0

"""Sizes of the catalogue's models at each quantization, computed beforehand: what plans of memory and speed need.

Planning types asks llama.cpp for 0.1 s a model and quantization; a choice among all of them has 0.4 s in all.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from edgepack.domain.memory import CacheLayers, FeedForward, LoadedWeights, MemoryShape, Working
from edgepack.domain.profile import Isa
from edgepack.domain.quant import Quant, TensorType
from edgepack.domain.repacking import Repacks, repacks_of
from edgepack.domain.work import Work

SCHEMA = 1


class Repacking(StrEnum):
    """What a CPU copies when it loads weights: all that the sizes depend on beside model and quantization."""

    NOTHING = "nothing"
    DOTPROD = "dotprod"
    AVX2 = "avx2"
    AVX512 = "avx512"


_FEATURES = {
    Repacking.NOTHING: frozenset[Isa](),
    Repacking.DOTPROD: frozenset({Isa.NEON, Isa.DOTPROD}),
    Repacking.AVX2: frozenset({Isa.AVX2}),
    Repacking.AVX512: frozenset({Isa.AVX2, Isa.AVX512F}),
}


def repacks_for(repacking: Repacking) -> Repacks:
    return repacks_of(_FEATURES[repacking])


def repacking_of(isa: frozenset[Isa]) -> Repacking:
    """The one that a processor with these features does."""
    wanted = repacks_of(isa)
    return next((one for one in Repacking if repacks_for(one) == wanted), Repacking.NOTHING)


@dataclass(frozen=True, kw_only=True, slots=True)
class QuantSizes:
    """One quantization's."""

    size: int
    """Bytes of all tensors."""
    work: Work
    loaded: Mapping[Repacking, LoadedWeights]
    fallen: int
    """Bytes that it has more because shapes do not fit its blocks."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelSizes:
    """One model's."""

    memory: MemoryShape
    quants: Mapping[Quant, QuantSizes]


# What is read was written by `sizes_table` and is checked by a test against the models; it is no user's file.
Stored = dict[str, Any]


def sizes_table(sizes: ModelSizes) -> Stored:
    """The table that `parse_sizes` reads the same from."""
    first = next(iter(sizes.quants.values())).work
    shape = {**asdict(sizes.memory), "kind": sizes.memory.kind.name}
    return {
        "memory": shape,
        "work": {"products": first.products, "attention": first.attention, "state": first.state},
        "quants": {quant.value: _quant_table(one) for quant, one in sizes.quants.items()},
    }


def _quant_table(one: QuantSizes) -> Stored:
    return {
        "size": one.size,
        "fallen": one.fallen,
        "streamed": {type.name: size for type, size in one.work.streamed.items()},
        "multiplied": {type.name: weights for type, weights in one.work.multiplied.items()},
        "loaded": {repacking.value: asdict(found) for repacking, found in one.loaded.items()},
    }


def parse_sizes(table: Stored) -> ModelSizes:
    shape = table["memory"]
    memory = MemoryShape(**{
        **shape,
        "kind": FeedForward[shape["kind"]],
        "caches": tuple(CacheLayers(**layers) for layers in shape["caches"]),
        "working": Working(**shape["working"]),
    })  # fmt: skip
    return ModelSizes(
        memory=memory, quants={Quant(name): _quant_sizes(one, table["work"]) for name, one in table["quants"].items()}
    )


def _quant_sizes(one: Stored, work: Stored) -> QuantSizes:
    return QuantSizes(
        size=one["size"],
        fallen=one["fallen"],
        work=Work(
            streamed={TensorType[name]: size for name, size in one["streamed"].items()},
            multiplied={TensorType[name]: weights for name, weights in one["multiplied"].items()},
            **work,
        ),
        loaded={Repacking(name): LoadedWeights(**found) for name, found in one["loaded"].items()},
    )

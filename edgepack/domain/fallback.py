"""Tensors that get another type than their quantization's because of their shape, and what that costs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import prod

from edgepack.domain.quant import TensorType


@dataclass(frozen=True, kw_only=True, slots=True)
class Fallback:
    """Tensors of one row length that fell from one type to another."""

    tensors: int
    columns: int
    """Weights a row; no multiple of the wanted type's block."""
    wanted: TensorType
    given: TensorType
    extra_bytes: int
    """What they have more than they would at the wanted type."""


def fallbacks_of(tensors: Iterable[tuple[tuple[int, ...], TensorType, TensorType]]) -> tuple[Fallback, ...]:
    """The fallbacks among (shape, wanted type, given type), the most frequent first."""
    fallen = sorted((shape[-1], wanted, given, shape) for shape, wanted, given in tensors if wanted is not given)
    groups = groupby(fallen, key=lambda tensor: tensor[:3])
    found = (_fallback(columns, wanted, given, [shape for *_, shape in group])
             for (columns, wanted, given), group in groups)  # fmt: skip
    return tuple(sorted(found, key=lambda fallback: -fallback.tensors))


def _fallback(columns: int, wanted: TensorType, given: TensorType, shapes: list[tuple[int, ...]]) -> Fallback:
    weights = sum(map(prod, shapes))
    block, size = wanted.block
    # At the wanted type the rows would end within a block: there is no whole number of bytes to compare with.
    extra = given.row_bytes(columns) * (weights // columns) - weights * size // block
    return Fallback(tensors=len(shapes), columns=columns, wanted=wanted, given=given, extra_bytes=extra)


def explain(fallbacks: Sequence[Fallback], *, total: int) -> str:
    """One line for people: which rows do not fit, what they are instead, and what it costs of `total` bytes."""
    by_rows = sorted(fallbacks, key=lambda fallback: (fallback.columns, fallback.wanted.block[0]))
    parts = [
        f"rows of {columns} are no multiple of {block}: " + ", ".join(map(_said, group))
        for (columns, block), group in groupby(by_rows, key=lambda each: (each.columns, each.wanted.block[0]))
    ]
    return f"{'; '.join(parts)}; the file is {100 * larger_by(fallbacks, total=total):.1f} % larger"


def larger_by(fallbacks: Iterable[Fallback], *, total: int) -> float:
    """How much larger `total` bytes are than without the fallbacks, as a share."""
    extra = sum(fallback.extra_bytes for fallback in fallbacks)
    return extra / (total - extra)


def _said(fallback: Fallback) -> str:
    tensors = f"{fallback.tensors} tensors are" if fallback.tensors > 1 else "1 tensor is"
    return f"{tensors} {fallback.given.name} instead of {fallback.wanted.name}"

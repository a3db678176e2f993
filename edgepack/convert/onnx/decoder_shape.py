"""A decoder's numbers and weights, wherever they were read: what its graph is made of; it knows no file."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class DecoderShape:
    """Llama and its kin: a norm before each half of a layer, grouped heads, rotary places, a gated feed-forward."""

    architecture: str
    layers: int
    heads: int
    key_value_heads: int
    head_width: int
    epsilon: float
    context_length: int
    frequencies: Floats
    """Radians a place, of each pair of a head's numbers."""
    interleaved: bool
    """Whether the numbers of a pair are neighbours, as in llama.cpp's llama; else half a head apart."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Blocks:
    """Weights that share a scale: a weight is (code - half of the codes) * scale."""

    bits: int
    size: int

    @property
    def bytes(self) -> int:
        """Of a block's codes."""
        return self.size * self.bits // 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Slab:
    """Some rows of a matrix."""

    codes: npt.NDArray[np.uint8]
    """(rows, blocks, bytes), two codes of 4 bits a byte, the first in the lower half."""
    scales: Floats
    """(rows, blocks)."""


class Matrix(Protocol):
    """A matrix that is read when it is asked for."""

    @property
    def rows(self) -> int: ...

    @property
    def columns(self) -> int: ...

    @property
    def blocks(self) -> Blocks | None:
        """None: float32."""

    def slabs(self) -> Iterator[Slab]:
        """All rows, in order, of a matrix of blocks."""

    def floats(self) -> Iterator[Floats]:
        """All rows, in order, of a matrix that has none."""


class DecoderWeights(Protocol):
    """Weights by llama.cpp's names without `.weight`: `blk.0.attn_q`, and `blk.0.attn_q.bias`."""

    def __contains__(self, name: str) -> bool: ...

    def matrix(self, name: str) -> Matrix: ...

    def vector(self, name: str) -> Floats:
        """A norm or a bias."""

    def refuse_left_over(self) -> None:
        """Raise BadInputError for tensors that nobody asked for: the graph would leave out what they do."""

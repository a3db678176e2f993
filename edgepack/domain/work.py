"""What a model at one quantization does for one token: bytes streamed, products made. It knows no device."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from typing import TypeAlias

from edgepack.domain.quant import TensorType

NamedTensor: TypeAlias = tuple[str, tuple[int, ...], TensorType]
"""Name, shape with the slowest dimension first, type."""

EMBEDDING = "token_embd.weight"
HEAD = "output.weight"
TABLES = frozenset({"position_embd.weight", "token_types.weight"})
"""Rows of these are looked up, beside those of the embedding; nothing is multiplied with them."""


def tensor_size(shape: tuple[int, ...], type: TensorType) -> int:
    """Bytes of a tensor."""
    return prod(shape[:-1]) * type.row_bytes(shape[-1])


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """The sizes that decide a decoder's speed."""

    streamed: Mapping[TensorType, int]
    """Bytes of the matrices that each generated token is multiplied with, by type."""
    multiplied: Mapping[TensorType, int]
    """Weights that each token of a prompt is multiplied with: not the head, which only its last token needs."""
    products: int
    """Matrix products a token."""
    attention: int
    """Multiply-adds a token for each token before it."""
    state: int
    """Numbers that recurrent layers read and write for a token."""

    @property
    def bytes_a_token(self) -> int:
        return sum(self.streamed.values())


def work_of(tensors: Iterable[NamedTensor], *, attention: int, state: int) -> Work:
    """The work of a model whose GGUF has these tensors."""
    matrices = [tensor for tensor in tensors if len(tensor[1]) > 1 and tensor[0] not in TABLES]
    has_head = any(name == HEAD for name, _, _ in matrices)
    streamed: dict[TensorType, int] = {}
    multiplied: dict[TensorType, int] = {}
    products = 0
    for name, shape, type in matrices:
        if name == EMBEDDING and has_head:
            continue
        products += 1
        streamed[type] = streamed.get(type, 0) + tensor_size(shape, type)
        if name not in (EMBEDDING, HEAD):
            multiplied[type] = multiplied.get(type, 0) + prod(shape)
    return Work(streamed=streamed, multiplied=multiplied, products=products, attention=attention, state=state)

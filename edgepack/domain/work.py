"""What a model at one quantization does for one token: bytes streamed, products made. It knows no device."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod

from edgepack.domain.quant import TensorType

_EMBEDDING = "token_embd.weight"
_HEAD = "output.weight"
# Rows that are looked up, and those of encoders beside them: no product streams them whole.
_LOOKED_UP = frozenset({"position_embd.weight", "token_types.weight"})


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


def work_of(tensors: Iterable[tuple[str, tuple[int, ...], TensorType]], *, attention: int, state: int) -> Work:
    """The work of a model whose GGUF has these tensors: (name, shape with the slowest dimension first, type)."""
    matrices = [tensor for tensor in tensors if len(tensor[1]) > 1 and tensor[0] not in _LOOKED_UP]
    has_head = any(name == _HEAD for name, _, _ in matrices)
    streamed: dict[TensorType, int] = {}
    multiplied: dict[TensorType, int] = {}
    products = 0
    for name, shape, type in matrices:
        if name == _EMBEDDING and has_head:
            continue
        products += 1
        streamed[type] = streamed.get(type, 0) + prod(shape[:-1]) * type.row_bytes(shape[-1])
        if name not in (_EMBEDDING, _HEAD):
            multiplied[type] = multiplied.get(type, 0) + prod(shape)
    return Work(streamed=streamed, multiplied=multiplied, products=products, attention=attention, state=state)

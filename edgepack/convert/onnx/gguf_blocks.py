"""ggml's blocks as onnxruntime reads blocks: the same whole numbers and scales in another order, nothing rounded.

The layouts are ggml-common.h's: `block_q4_0`, `block_q8_0`, `block_q6_K`.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from edgepack.convert.onnx.decoder_shape import Blocks, Floats, Slab
from edgepack.domain.quant import TensorType

Raw: TypeAlias = npt.NDArray[np.uint8]

BLOCKS = {
    TensorType.Q4_0: Blocks(bits=4, size=32),
    TensorType.Q8_0: Blocks(bits=8, size=32),
    TensorType.Q6_K: Blocks(bits=8, size=16),  # a scale for 16 weights: 6 bits in 8
}
"""The types whose blocks MatMulNBits can hold as they are."""
_MIDDLE8 = 128
_MIDDLE6 = 32


def unpacked(raw: Raw, type: TensorType) -> Slab:
    """Rows of ggml's bytes; `type` is one of BLOCKS."""
    blocks = raw.reshape(raw.shape[0], -1, type.block[1])
    return _READERS[type](blocks)


def _scales(raw: Raw) -> Floats:
    """float16, wherever it stands."""
    return np.ascontiguousarray(raw).view("<f2")[..., 0].astype(np.float32)


def _q4_0(blocks: Raw) -> Slab:
    """Weight i and weight i + 16 share a byte there; here neighbours do."""
    halves = blocks[..., 2:]
    codes = np.concatenate([halves & 15, halves >> 4], axis=-1)
    return Slab(codes=codes[..., 0::2] | (codes[..., 1::2] << 4), scales=_scales(blocks[..., :2]))


def _q8_0(blocks: Raw) -> Slab:
    # Signed there, above the middle here: the highest bit turns.
    return Slab(codes=blocks[..., 2:] ^ np.uint8(_MIDDLE8), scales=_scales(blocks[..., :2]))


def _q6_k(blocks: Raw) -> Slab:
    """256 weights: 128 bytes of lower halves, 64 of upper quarters, 16 signed scales, and a float16 over all.

    The product of the scales has 19 bits at the most, which float32 holds.
    """
    rows, count, _ = blocks.shape
    low = blocks[..., :128].reshape(rows, count, 2, 2, 32)
    high = blocks[..., 128:192].reshape(rows, count, 2, 32)
    # Each half of 128 weights: four runs of 32, by the lower or upper half of two runs of bytes.
    runs = [(low[..., run % 2, :] >> (4 * (run // 2)) & 15) | ((high >> (2 * run) & 3) << 4) for run in range(4)]
    codes = np.stack(runs, axis=3).reshape(rows, count * 16, 16) + np.uint8(_MIDDLE8 - _MIDDLE6)
    small = np.ascontiguousarray(blocks[..., 192:208]).view(np.int8).astype(np.float32)
    scales = small * _scales(blocks[..., 208:])[..., None]
    return Slab(codes=codes, scales=scales.reshape(rows, count * 16))


_READERS: dict[TensorType, Callable[[Raw], Slab]] = {
    TensorType.Q4_0: _q4_0, TensorType.Q8_0: _q8_0, TensorType.Q6_K: _q6_k
}  # fmt: skip

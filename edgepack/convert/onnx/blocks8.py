"""8 bits in blocks, as MatMulNBits and GatherBlockQuantized read them; which matrices get them it does not know."""

import numpy as np
import numpy.typing as npt

from edgepack.domain.encoder import BLOCK

_MIDDLE = 128
_ROWS = 2048  # a slab at a time: temporaries stay small beside the matrix


def quantized(matrix: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """Codes (rows, blocks, 32) and scales (rows, blocks): a weight is (code - 128) * scale.

    The weight of a block that is farthest from zero becomes code 0 exactly; what fills the last block is 128, zero.
    """
    rows, columns = matrix.shape
    blocks = -(-columns // BLOCK)
    codes = np.empty((rows, blocks, BLOCK), np.uint8)
    scales = np.empty((rows, blocks), np.float32)
    for first in range(0, rows, _ROWS):
        part = slice(first, first + _ROWS)
        _quantize(matrix[part], codes[part], scales[part])
    return codes, scales


def _quantize(matrix: npt.NDArray[np.float32], codes: npt.NDArray[np.uint8], scales: npt.NDArray[np.float32]) -> None:
    rows, blocks, _ = codes.shape
    padded = np.zeros((rows, blocks * BLOCK), np.float32)
    padded[:, : matrix.shape[1]] = matrix
    parts = padded.reshape(rows, blocks, BLOCK)
    farthest = np.abs(parts).argmax(axis=2)[..., None]
    scales[:] = np.take_along_axis(parts, farthest, axis=2)[..., 0] / np.float32(-_MIDDLE)
    divisors = np.where(scales == 0, np.float32(1), scales)[..., None]
    codes[:] = np.clip(np.rint(parts / divisors) + _MIDDLE, 0, 2 * _MIDDLE - 1).astype(np.uint8)

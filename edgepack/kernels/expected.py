"""What the kernels must make of a sample on every processor: a compiler's mistake is found before weights are made.

The sample is whole numbers until its last step, so that no library of mathematics has a part in it.
"""

from hashlib import sha256
from typing import Protocol

import numpy as np
import numpy.typing as npt

from edgepack.domain.quant import TensorType

ROWS, COLUMNS = 19, 256
"""No number of lanes divides the rows."""
EXPECTED = {
    TensorType.Q4_0: "0ccd44499af6fe56e296279e9ebce56a",
    TensorType.Q4_1: "a79db8c9915ba06c3b8ffb085164701e",
    TensorType.Q5_0: "ab1ef83e9bf345392c4e3c64e2bb743f",
    TensorType.Q5_1: "b7c8acc7a5c0cbdf245f48ea9db560d6",
    TensorType.Q8_0: "23d6d7038547342fed146892f51d6eee",
    TensorType.Q2_K: "3efcd481a186370138c6643f69c1f311",
    TensorType.Q3_K: "37a05eec0224d6a14e07f5ead1ca918f",
    TensorType.Q4_K: "2d396f700eac923aeeb6d27984d7d756",
    TensorType.Q5_K: "f62c05f763439f37975043daf1e53f25",
    TensorType.Q6_K: "ac593cee1a4c23ca19661ac81e30c4f4",
    TensorType.IQ4_NL: "2b02dba4a4f32f7fdb05e4233449a497",
    TensorType.IQ4_XS: "f798a20284d08d2134824feb826c5ac1",
}
"""What the pinned ggml makes of it on x86-64, where it fuses no multiplication and addition: the tests ask it."""


class Quantizes(Protocol):
    """Whoever makes blocks: the kernels, or ggml."""

    def quantize(
        self,
        type: TensorType,
        source: npt.NDArray[np.float32],
        target: npt.NDArray[np.uint8],
        rows: int,
        importance: npt.NDArray[np.float32] | None = None,
    ) -> int:
        """As `Kernels.quantize`."""


def digest(by: Quantizes, type: TensorType) -> str:
    """Of the blocks that it makes of the sample, without and with importance: 32 hexadecimal digits."""
    weights, importance = sample()
    running = sha256()
    for given in (None, importance):
        blocks = np.zeros(ROWS * type.row_bytes(COLUMNS), np.uint8)
        by.quantize(type, weights, blocks, ROWS, given)
        running.update(blocks.tobytes())
    return running.hexdigest()[:32]


def sample() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Rows of weights of all sizes, some zero, and a positive importance for each column."""
    words = _words(ROWS * COLUMNS + COLUMNS)
    exponents = 100 + (words >> np.uint32(8)) % np.uint32(28)  # 2^-27 to 1
    sizes = (exponents << np.uint32(23)) | (words & np.uint32(0x7FFFFF))
    weights = (sizes | (words & np.uint32(0x80000000)))[: ROWS * COLUMNS].view(np.float32).copy()
    weights[COLUMNS : COLUMNS + 64] = 0
    return weights, sizes[ROWS * COLUMNS :].view(np.float32).copy()


def _words(count: int) -> npt.NDArray[np.uint32]:
    """Numbers without a pattern: multiplied and folded, as a hash does it."""
    words = np.arange(1, count + 1, dtype=np.uint32)
    for multiplier in (0x85EBCA6B, 0xC2B2AE35):
        words = (words ^ (words >> np.uint32(16))) * np.uint32(multiplier)
    return words ^ (words >> np.uint32(13))

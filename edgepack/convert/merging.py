"""An adapter's update added to some rows of its matrix, with the same bits on every machine."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from edgepack.convert.adapter import LowRank, read_values
from edgepack.convert.safetensors import StoredTensor


def add_update(
    update: LowRank, weights: npt.NDArray[np.float32], rows: npt.NDArray[np.int64], files: Mapping[str, int]
) -> None:
    """Add scale * B @ A in float32, as PEFT's merge does.

    `weights` are (rows, columns) and hold the matrix's rows `rows`; `files` are open, by path. Raises BadInputError
    where the adapter holds no finite numbers.
    """
    left, right = _factors(update, rows, files)
    # What grows beyond float32 is found with what was beyond it before.
    with np.errstate(over="ignore", invalid="ignore"):
        weights += product(left, right) * np.float32(update.scale)


def product(left: npt.NDArray[np.float32], right: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """left @ right, term by term, each added by one rounding as a fused multiply-add does.

    Float32 kernels of BLAS do the same where a processor has that instruction, in the same order, but none
    promises it. A product of two float32 is exact in float64.
    """
    total = np.zeros((left.shape[0], right.shape[1]), np.float32)
    term = np.empty(total.shape, np.float64)
    columns, rows = left.T.astype(np.float64), right.astype(np.float64)
    for column, row in zip(columns, rows, strict=True):
        np.multiply(column[:, None], row, out=term)
        np.add(total, term, out=total, casting="unsafe")
    return total


def _factors(
    update: LowRank, rows: npt.NDArray[np.int64], files: Mapping[str, int]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """(taken rows, rank) and (rank, columns)."""
    first, ranks = int(rows.min()), slice(0, update.rank)
    taken = slice(first, int(rows.max()) + 1)
    if update.embedding:
        left = _block(update.a, files, ranks, taken).T
        right = _block(update.b, files, slice(0, update.b.shape[0]), ranks).T
    else:
        left = _block(update.b, files, taken, ranks)
        right = _block(update.a, files, ranks, slice(0, update.a.shape[1]))
    return left[rows - first], right


def _block(tensor: StoredTensor, files: Mapping[str, int], rows: slice, columns: slice) -> npt.NDArray[np.float32]:
    return read_values(tensor, files[str(tensor.path)], rows, columns)

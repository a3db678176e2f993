"""The compiled variants, and how two quantizers are compared."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgepack.convert.ggml import Ggml
from edgepack.convert.quantizer import Quantizer
from edgepack.domain.quant import TensorType
from edgepack.kernels.building import compile_library
from edgepack.kernels.library import Kernels, open_kernels
from edgepack.kernels.recipe import Variant, packaged
from tests.kernels.samples import Weights


def opened(variant: Variant, scratch: Path) -> Kernels:
    """The package's, or compiled for this run."""
    ready = packaged(variant)
    if not ready.is_file():
        ready = scratch / f"{variant}.so"
        if not ready.is_file():
            compile_library(variant, ready)
    return open_kernels(variant, ready)


def made(
    by: Ggml | Kernels | Quantizer, type: TensorType, weights: Weights, rows: int, importance: Weights | None
) -> npt.NDArray[np.uint8]:
    """The blocks, one a row of the array."""
    target = np.zeros(rows * type.row_bytes(weights.size // rows), np.uint8)
    assert by.quantize(type, weights, target, rows, importance) == target.nbytes
    return target.reshape(-1, type.block[1])


def differing(ggml: Ggml, type: TensorType, ours: npt.NDArray[np.uint8], theirs: npt.NDArray[np.uint8]) -> list[int]:
    """The blocks that are not the same; where ggml itself calls a block damaged, and ours too, none is used."""
    found = np.flatnonzero((ours != theirs).any(axis=1)).tolist()
    return [at for at in found if ggml.is_valid(type, theirs[at].copy()) or ggml.is_valid(type, ours[at].copy())]

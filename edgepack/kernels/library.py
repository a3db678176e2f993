"""A variant's library, called through ctypes without the GIL; which variant this machine runs best."""

import ctypes
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgepack.domain.profile import Isa
from edgepack.domain.quant import TensorType
from edgepack.infra.cpuinfo import parse_cpuinfo
from edgepack.kernels.recipe import Variant, variants

_CPUINFO = Path("/proc/cpuinfo")
_NEEDS = {Variant.AVX512: Isa.AVX512F, Variant.AVX2: Isa.AVX2}

MADE = frozenset({
    TensorType.Q4_0, TensorType.Q4_1, TensorType.Q5_0, TensorType.Q5_1, TensorType.Q8_0, TensorType.Q2_K,
    TensorType.Q3_K, TensorType.Q4_K, TensorType.Q5_K, TensorType.Q6_K, TensorType.IQ4_NL, TensorType.IQ4_XS,
})  # fmt: skip
"""The types that the kernels make."""
# Where four lanes gain nothing over what compilers make of ggml's short loops (on x86-64).
_NO_GAIN = {Variant.BASELINE: frozenset({TensorType.Q4_0, TensorType.Q4_1})}


STORED = ("F32", "BF16", "F16")
"""What weights may be stored as, by the numbers that the C has for them."""


class NotFinite(Exception):
    """A weight is infinite, or no number."""


@dataclass(frozen=True, slots=True)
class StoredRows:
    """Rows of weights as a checkpoint has them."""

    data: npt.NDArray[np.uint8]
    dtype: str
    """One of STORED."""
    rows: int
    """That are taken."""
    columns: int
    order: npt.NDArray[np.int64] | None = None
    """Which row of `data` is taken first, second, …; None: as they are stored."""


@dataclass(frozen=True, slots=True)
class Kernels:
    """One variant's functions. Each call works on the caller's buffers and may run on any thread."""

    variant: Variant
    library: ctypes.CDLL

    @property
    def gains(self) -> frozenset[TensorType]:
        """What it is worth while for: types that it makes sooner than ggml; where ggml fuses, all, for their bits."""
        only_bits = Variant.AVX2 not in variants()
        return MADE if only_bits else MADE - _NO_GAIN.get(self.variant, frozenset())

    def quantize(
        self,
        type: TensorType,
        source: npt.NDArray[np.float32],
        target: npt.NDArray[np.uint8],
        rows: int,
        importance: npt.NDArray[np.float32] | None = None,
    ) -> int:
        """Quantize `rows` rows of float32 from `source` into `target`; returns the bytes written."""
        columns = source.size // rows
        written = self._made(type, StoredRows(source.view(np.uint8), "F32", rows, columns), target, importance)
        # What is not finite is the caller's business here, as it is with ggml.
        return written if written >= 0 else rows * type.row_bytes(columns)

    def convert(
        self,
        type: TensorType,
        source: "StoredRows",
        target: npt.NDArray[np.uint8],
        importance: npt.NDArray[np.float32] | None = None,
    ) -> int:
        """Quantize rows as they are stored, widened on the way. Raises NotFinite where one holds NaN or infinity."""
        written = self._made(type, source, target, importance)
        if written < 0:
            raise NotFinite
        return written

    def _made(
        self,
        type: TensorType,
        source: "StoredRows",
        target: npt.NDArray[np.uint8],
        importance: npt.NDArray[np.float32] | None,
    ) -> int:
        order = source.order
        last = source.rows - 1 if order is None else int(order.max())
        assert source.data.nbytes >= (last + 1) * source.columns * (4 if source.dtype == "F32" else 2)
        assert order is None or (order.dtype == np.int64 and len(order) == source.rows and order.min() >= 0)
        assert target.nbytes >= source.rows * type.row_bytes(source.columns)
        assert importance is None or importance.size == source.columns
        places = [None if array is None else array.ctypes.data for array in (order, importance)]
        stored, weights = STORED.index(source.dtype), source.data.ctypes.data
        written = self.library.edgepack_quantize(
            type, stored, weights, places[0], target.ctypes.data, source.rows, source.columns, places[1]
        )
        return int(written)


def open_kernels(variant: Variant, path: Path) -> Kernels:
    """Load a library that `edgepack.kernels.building` gave."""
    library = ctypes.CDLL(str(path))
    pointer, number = ctypes.c_void_p, ctypes.c_int64
    library.edgepack_quantize.argtypes = [
        ctypes.c_int, ctypes.c_int, pointer, pointer, pointer, number, number, pointer,
    ]  # fmt: skip
    library.edgepack_quantize.restype = number
    return Kernels(variant, library)


def runnable() -> tuple[Variant, ...]:
    """The variants whose instructions every processor here has, the widest first."""
    text = _CPUINFO.read_text(encoding="ascii", errors="replace") if _CPUINFO.is_file() else ""
    processors = parse_cpuinfo(text)
    features = frozenset.intersection(*(each.features for each in processors)) if processors else frozenset()
    return tuple(each for each in variants() if each not in _NEEDS or _NEEDS[each] in features)

"""The quantizer's own functions in the pinned llama.cpp, called through ctypes without the GIL."""

import ctypes
import sys
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgepack.domain.errors import EdgepackError
from edgepack.domain.quant import TensorType


@dataclass(frozen=True, slots=True)
class Ggml:
    """`libggml-base`, typed. Each call works on the caller's buffers and may run on any thread."""

    library: ctypes.CDLL

    def prepare(self, type: TensorType) -> None:
        """Build the tables that some types search; once, before threads start."""
        self.library.ggml_quantize_init(type)

    def quantize(
        self,
        type: TensorType,
        source: npt.NDArray[np.float32],
        target: npt.NDArray[np.uint8],
        rows: int,
        importance: npt.NDArray[np.float32] | None = None,
    ) -> int:
        """Quantize `rows` rows of float32 from `source` into `target`; returns the bytes written.

        `importance` has a weight for each column of a row.
        """
        columns = source.size // rows
        assert importance is None or importance.size == columns
        weights = None if importance is None else importance.ctypes.data
        written = self.library.ggml_quantize_chunk(
            type, source.ctypes.data, target.ctypes.data, 0, rows, columns, weights
        )
        return int(written)

    def is_valid(self, type: TensorType, data: npt.NDArray[np.uint8]) -> bool:
        """Whether the blocks hold finite scales; the library says why not on stderr."""
        return bool(self.library.ggml_validate_row_data(type, data.ctypes.data, data.nbytes))

    def widen_bf16(self, source: npt.NDArray[np.uint16], target: npt.NDArray[np.float32]) -> None:
        """bfloat16 bits to float32."""
        self.library.ggml_bf16_to_fp32_row(source.ctypes.data, target.ctypes.data, source.size)

    def widen_f16(self, source: npt.NDArray[np.uint16], target: npt.NDArray[np.float32]) -> None:
        """IEEE half bits to float32."""
        self.library.ggml_fp16_to_fp32_row(source.ctypes.data, target.ctypes.data, source.size)


def ggml_path() -> Path:
    """The library that llama-cpp-python installed: the same source gives other bits from another compiler."""
    spec = find_spec("llama_cpp")
    if spec is None or spec.origin is None:
        raise EdgepackError("llama-cpp-python is not installed", hint="run: make install")
    suffix = "dylib" if sys.platform == "darwin" else "so"
    return Path(spec.origin).parent / "lib" / f"libggml-base.{suffix}"


@cache
def load_ggml() -> Ggml:
    """The quantizer, ready; the package it came with is not imported."""
    library = ctypes.CDLL(str(ggml_path()))
    pointer, rows = ctypes.c_void_p, ctypes.c_int64
    library.ggml_quantize_chunk.argtypes = [ctypes.c_int, pointer, pointer, rows, rows, rows, pointer]
    library.ggml_quantize_chunk.restype = ctypes.c_size_t
    library.ggml_quantize_init.argtypes = [ctypes.c_int]
    library.ggml_quantize_init.restype = None
    for widen in (library.ggml_bf16_to_fp32_row, library.ggml_fp16_to_fp32_row):
        widen.argtypes = [pointer, pointer, rows]
        widen.restype = None
    library.ggml_validate_row_data.argtypes = [ctypes.c_int, pointer, ctypes.c_size_t]
    library.ggml_validate_row_data.restype = ctypes.c_bool
    return Ggml(library)

"""The file of weights beside a graph: written once, front to back, its digest made meanwhile."""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

_ALIGNMENT = 64
"""Of each tensor, in bytes: what kernels read at once, and they read it where it is mapped."""

Bytes = npt.NDArray[np.uint8] | npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """Where some bytes of the file lie."""

    offset: int
    size: int


class DataFile:
    """An open file that tensors are added to."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = sha256()
        self.size = 0

    def add(self, pieces: Iterable[Bytes]) -> Part:
        """One tensor, piece by piece."""
        self._write(bytes(-self.size % _ALIGNMENT))
        offset = self.size
        for piece in pieces:
            little = piece.astype(piece.dtype.newbyteorder("<"), copy=False)
            self._write(np.ascontiguousarray(little).data.cast("B"))
        return Part(offset=offset, size=self.size - offset)

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def _write(self, data: Any) -> None:  # bytes or a memoryview
        self._file.write(data)
        self._digest.update(data)
        self.size += len(data)

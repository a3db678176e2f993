"""A checkpoint's weights as float32, by the names that its family writes them under, read when asked for."""

import os
from collections.abc import Sequence
from math import prod

import numpy as np
import numpy.typing as npt

from edgepack.convert.safetensors import StoredTensor, read_bytes, widened
from edgepack.convert.tensors import Source
from edgepack.domain.errors import BadInputError


class StoredWeights:
    """The tensors that a family was matched with."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = {source.name: source for source in sources}

    def __contains__(self, name: str) -> bool:
        return name in self._sources

    def values(self, name: str) -> npt.NDArray[np.float32]:
        """All of a tensor; raises BadInputError for NaN and infinity."""
        source = self._sources[name]
        origin = source.origin
        assert isinstance(origin, StoredTensor), "encoders compute no tensors"
        raw = np.empty(origin.size, np.uint8)
        file = os.open(origin.path, os.O_RDONLY)
        try:
            read_bytes(file, raw, origin.offset)
        finally:
            os.close(file)
        values = widened(raw, origin.dtype).reshape(origin.shape)
        _check_finite(origin, values)
        taken = values[source.order.rows] if source.order else values
        return taken.reshape(source.shape)

    @property
    def parameters(self) -> int:
        """Weights, counted."""
        return sum(prod(source.shape) for source in self._sources.values())


def _check_finite(origin: StoredTensor, values: npt.NDArray[np.float32]) -> None:
    if not np.isfinite(values).all():
        raise BadInputError(
            f"{origin.path}: tensor {origin.name!r} holds NaN or infinity",
            hint="the checkpoint is damaged or its training diverged: fetch it again, or use another revision",
        )

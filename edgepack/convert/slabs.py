"""The hot path: slabs of whole rows, read, widened, reordered, quantized and written on all cores."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from threading import Event, local

import numpy as np
import numpy.typing as npt

from edgepack.convert.family import GeneratedTensor
from edgepack.convert.ggml import Ggml
from edgepack.convert.layout import Placed
from edgepack.convert.safetensors import StoredTensor
from edgepack.domain.errors import BadInputError
from edgepack.domain.progress import Bar
from edgepack.domain.quant import TensorType

# Weights a slab: bf16 in, float32 between and blocks out stay together in a core's L2 (about 2 MB).
_SLAB = 1 << 18


@dataclass(frozen=True, kw_only=True, slots=True)
class Slab:
    """Some rows of one stored tensor."""

    tensor: Placed
    origin: StoredTensor
    first_row: int
    rows: int

    @property
    def bytes_read(self) -> int:
        """Bytes that it has in the checkpoint."""
        return self.origin.size // self.tensor.rows * self.rows

    @property
    def start(self) -> int:
        """Where its bytes begin in the GGUF."""
        return self.tensor.offset + self.first_row * self.tensor.type.row_bytes(self.tensor.columns)


def cut(tensor: Placed) -> Iterator[Slab]:
    """A stored tensor's slabs; a row change keeps its unit of rows together."""
    origin = tensor.source.origin
    assert isinstance(origin, StoredTensor)
    unit = tensor.source.change.unit if tensor.source.change and len(tensor.source.shape) > 1 else 1
    if tensor.source.change and len(tensor.source.shape) == 1:
        unit = tensor.rows
    step = max(unit, _SLAB // tensor.columns // unit * unit)
    for first in range(0, tensor.rows, step):
        yield Slab(tensor=tensor, origin=origin, first_row=first, rows=min(step, tensor.rows - first))


class _Buffers(local):
    """Each thread's own arrays, grown to the largest slab it has seen."""

    def __init__(self) -> None:
        self.raw = np.empty(0, np.uint8)
        self.wide = np.empty(0, np.float32)
        self.blocks = np.empty(0, np.uint8)

    def fit(self, raw: int, weights: int, blocks: int) -> None:
        if self.raw.size < raw:
            self.raw = np.empty(raw, np.uint8)
        if self.wide.size < weights:
            self.wide = np.empty(weights, np.float32)
        if self.blocks.size < blocks:
            self.blocks = np.empty(blocks, np.uint8)


class SlabWriter:
    """Fills the tensors of one GGUF, slab by slab; `fill` may run on many threads at once."""

    def __init__(self, ggml: Ggml, target: int, sources: dict[str, int]) -> None:
        """`target` and `sources` (by the origin's path) are open file descriptors, owned by the caller."""
        self._ggml = ggml
        self._target = target
        self._sources = sources
        self._buffers = _Buffers()

    def fill_generated(self, tensor: Placed) -> None:
        """Write a tensor that was computed, not stored."""
        assert isinstance(tensor.source.origin, GeneratedTensor)
        _write(self._target, tensor.source.origin.values.view(np.uint8), tensor.offset)

    def fill(self, slab: Slab) -> int:
        """Bring one slab from the checkpoint to the GGUF; returns the bytes read."""
        tensor, columns = slab.tensor, slab.tensor.columns
        weights = slab.rows * columns
        row_bytes = tensor.type.row_bytes(columns)
        self._buffers.fit(slab.bytes_read, weights, slab.rows * row_bytes)
        raw = self._buffers.raw[: slab.bytes_read]
        row_read = slab.bytes_read // slab.rows
        _read(self._sources[str(slab.origin.path)], raw, slab.origin.offset + slab.first_row * row_read)
        wide = self._widen(slab, self._reorder(slab, raw))
        _check_finite(slab, wide)
        blocks = self._quantize(slab, wide, self._buffers.blocks[: slab.rows * row_bytes])
        _write(self._target, blocks, slab.start)
        return raw.nbytes

    def _reorder(self, slab: Slab, raw: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        change = slab.tensor.source.change
        if change is None:
            return raw
        elements = raw.view(np.uint32 if slab.origin.dtype == "F32" else np.uint16)
        vector = len(slab.tensor.source.shape) == 1
        rows = elements.reshape((-1, 1) if vector else (slab.rows, slab.tensor.columns))
        return np.ascontiguousarray(change.apply(rows)).reshape(-1).view(np.uint8)

    def _widen(self, slab: Slab, raw: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        wide = self._buffers.wide[: slab.rows * slab.tensor.columns]
        match slab.origin.dtype:
            case "BF16":
                self._ggml.widen_bf16(raw.view(np.uint16), wide)
            case "F16":
                self._ggml.widen_f16(raw.view(np.uint16), wide)
            case _:
                return raw.view(np.float32)
        return wide

    def _quantize(
        self, slab: Slab, wide: npt.NDArray[np.float32], blocks: npt.NDArray[np.uint8]
    ) -> npt.NDArray[np.uint8]:
        type = slab.tensor.type
        if type is TensorType.F32:
            return wide.view(np.uint8)
        written = self._ggml.quantize(type, wide, blocks, slab.rows)
        assert written == blocks.nbytes, f"{type.name}: {written} bytes for {blocks.nbytes}"
        if not self._ggml.is_valid(type, blocks):
            raise BadInputError(
                f"{slab.origin.path}: tensor {slab.origin.name!r} has weights too large for {type.name}",
                hint="choose another quantization: --quant BF16 holds them",
            )
        return blocks


def fill_all(writer: SlabWriter, slabs: list[Slab], *, threads: int, done: Callable[[int], None], bar: Bar) -> None:
    """Fill all slabs on `threads` threads, telling `done` each one's index.

    The first error stops the rest, and is raised.
    """
    stop, queue = Event(), iter(enumerate(slabs))

    def work() -> None:
        # next() on a built-in iterator is atomic under the GIL: threads share the queue without a lock.
        for index, slab in queue:
            if stop.is_set():
                return
            bar.advance(writer.fill(slab))
            done(index)

    with ThreadPoolExecutor(threads) as pool:
        workers: list[Future[None]] = [pool.submit(work) for _ in range(threads)]
        try:
            wait(workers, return_when=FIRST_EXCEPTION)
        finally:
            stop.set()
    for worker in workers:
        worker.result()


def _check_finite(slab: Slab, wide: npt.NDArray[np.float32]) -> None:
    """A NaN or an infinity makes the sum one too: one cheap pass instead of a test of each weight."""
    with np.errstate(over="ignore", invalid="ignore"):
        suspicious = not np.isfinite(wide.sum())
    if suspicious and not np.isfinite(wide).all():
        raise BadInputError(
            f"{slab.origin.path}: tensor {slab.origin.name!r} holds NaN or infinity",
            hint="the checkpoint is damaged or its training diverged: fetch it again, or use another revision",
        )


def _read(file: int, buffer: npt.NDArray[np.uint8], offset: int) -> None:
    view = buffer.data
    while view:
        count = os.preadv(file, [view], offset)
        if count == 0:
            raise BadInputError("a checkpoint file became shorter while it was read", hint="fetch it again")
        view, offset = view[count:], offset + count


def _write(file: int, data: npt.NDArray[np.uint8], offset: int) -> None:
    view = data.data
    while view:
        count = os.pwrite(file, view, offset)
        view, offset = view[count:], offset + count

"""The hot path: slabs of whole rows, read, widened, reordered, quantized and written on all cores."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from threading import Event, local

import numpy as np
import numpy.typing as npt

from edgepack.convert.family import GeneratedTensor, Weights
from edgepack.convert.layout import Placed
from edgepack.convert.merging import add_update
from edgepack.convert.quantizer import Quantizer
from edgepack.convert.safetensors import StoredTensor, read_bytes
from edgepack.domain.errors import BadInputError
from edgepack.domain.progress import Bar
from edgepack.domain.quant import TensorType
from edgepack.kernels.library import Kernels, NotFinite, StoredRows

# Weights a slab: bf16 in, float32 between and blocks out stay together in a core's L2 (about 2 MB).
_SLAB = 1 << 18
# Slabs a thread that the disk is asked for before their turn: some megabytes, a few hundredths of a second of work.
_AHEAD = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Slab:
    """Some rows of a tensor whose weights the checkpoint holds; a vector that changes is one column, whole."""

    tensor: Placed
    origin: StoredTensor
    first_row: int
    rows: int
    columns: int

    @property
    def stored_row(self) -> int:
        """Bytes of a row in the checkpoint."""
        return self.columns * self.origin.element_bytes

    @property
    def bytes_read(self) -> int:
        """Bytes that its weights have in the checkpoint."""
        return self.rows * self.stored_row

    @property
    def bytes_written(self) -> int:
        """Bytes that its weights have in the GGUF."""
        return self.tensor.type.row_bytes(self.tensor.columns) * (self.rows * self.columns // self.tensor.columns)

    @property
    def start(self) -> int:
        """Where its bytes begin in the GGUF."""
        return self.tensor.offset + self.first_row * self.tensor.type.row_bytes(self.tensor.columns)


def cut(tensor: Placed) -> Iterator[Slab]:
    """A stored tensor's slabs; an order's units stay together."""
    source, origin = tensor.source, tensor.source.origin
    assert isinstance(origin, StoredTensor)
    if len(source.shape) == 1 and (source.order or source.change):
        yield Slab(tensor=tensor, origin=origin, first_row=0, rows=tensor.columns, columns=1)
        return
    unit = source.order.unit if source.order else 1
    step = max(unit, _SLAB // tensor.columns // unit * unit)
    for first in range(0, tensor.rows, step):
        rows = min(step, tensor.rows - first)
        yield Slab(tensor=tensor, origin=origin, first_row=first, rows=rows, columns=tensor.columns)


class _Buffers(local):
    """Each thread's own arrays, grown to the largest slab it has seen."""

    def __init__(self) -> None:
        self._raw = np.empty(0, np.uint8)
        self._wide = np.empty(0, np.float32)
        self._blocks = np.empty(0, np.uint8)

    def raw(self, size: int) -> npt.NDArray[np.uint8]:
        """Room for `size` stored bytes."""
        if self._raw.size < size:
            self._raw = np.empty(size, np.uint8)
        return self._raw[:size]

    def wide(self, weights: int) -> npt.NDArray[np.float32]:
        """Room for as many weights."""
        if self._wide.size < weights:
            self._wide = np.empty(weights, np.float32)
        return self._wide[:weights]

    def blocks(self, size: int) -> npt.NDArray[np.uint8]:
        """Room for `size` bytes of blocks."""
        if self._blocks.size < size:
            self._blocks = np.empty(size, np.uint8)
        return self._blocks[:size]


class SlabWriter:
    """Fills the tensors of one GGUF, slab by slab; `fill` may run on many threads at once."""

    def __init__(
        self,
        quantizer: Quantizer,
        target: int,
        sources: dict[str, int],
        importances: Mapping[str, npt.NDArray[np.float32]] | None = None,
    ) -> None:
        """`target` and `sources` (by the origin's path) are open file descriptors, owned by the caller.

        `importances` are (stacked matrices, columns), by tensor, for those that have any.
        """
        self._quantizer = quantizer
        self._ggml = quantizer.ggml
        self._target = target
        self._sources = sources
        self._importances = importances or {}
        self._buffers = _Buffers()

    def fill_generated(self, tensor: Placed) -> None:
        """Write a tensor that was computed, not stored."""
        assert isinstance(tensor.source.origin, GeneratedTensor)
        values, data = tensor.source.origin.values.reshape(-1), np.empty(tensor.size, np.uint8)
        if tensor.type is TensorType.F32:
            data = values.view(np.uint8)
        else:
            self._quantizer.quantize(tensor.type, values, data, tensor.rows)
        write_at(self._target, data, tensor.offset)

    def expect(self, slab: Slab) -> None:
        """Have the kernel read a slab whose turn comes soon, so that no thread waits for the disk then."""
        if sys.platform == "linux":
            start = slab.origin.offset + slab.first_row * slab.stored_row
            os.posix_fadvise(self._sources[str(slab.origin.path)], start, slab.bytes_read, os.POSIX_FADV_WILLNEED)

    def fill(self, slab: Slab) -> int:
        """Bring one slab from the checkpoint to the GGUF; returns the bytes its weights have there."""
        source, type = slab.tensor.source, slab.tensor.type
        kernels = self._quantizer.at_once(type)
        if kernels and not (source.update or source.change) and slab.columns == slab.tensor.columns:
            write_at(self._target, self._convert(slab, kernels), slab.start)
            return slab.bytes_read
        wide = self._widen(slab, self._read(slab))
        self._merge(slab, wide)
        wide = self._change(slab, wide)
        _check_finite(slab, wide)
        write_at(self._target, self._quantize(slab, wide), slab.start)
        return slab.bytes_read

    def _read(self, slab: Slab) -> npt.NDArray[np.uint8]:
        """The slab's stored rows, in the order in which they are written."""
        raw, order = self._read_stored(slab)
        if order is None:
            return raw
        elements = raw.view(np.uint32 if slab.origin.element_bytes == 4 else np.uint16)
        return elements.reshape(-1, slab.columns)[order].reshape(-1).view(np.uint8)

    def _read_stored(self, slab: Slab) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64] | None]:
        """The slab's rows as they lie in the checkpoint; which of them comes first, second, … where that differs."""
        first, count, taken = slab.first_row, slab.rows, None
        if slab.tensor.source.order:
            rows = slab.tensor.source.order.rows[first : first + count]
            first, count = int(rows.min()), int(rows.max() - rows.min()) + 1
            taken = (rows - first).astype(np.int64)
        raw = self._buffers.raw(count * slab.stored_row)
        read_bytes(self._sources[str(slab.origin.path)], raw, slab.origin.offset + first * slab.stored_row)
        return raw, taken

    def _convert(self, slab: Slab, kernels: Kernels) -> npt.NDArray[np.uint8]:
        """From stored rows to blocks in one go: widened, reordered, looked at and quantized while in the cache."""
        raw, order = self._read_stored(slab)
        blocks = self._buffers.blocks(slab.bytes_written)
        row = slab.tensor.type.row_bytes(slab.columns)
        try:
            for start, end, importance in self._spans(slab):
                data = raw[start * slab.stored_row : end * slab.stored_row] if order is None else raw
                taken = None if order is None else order[start:end]
                rows = StoredRows(data, slab.origin.dtype, end - start, slab.columns, taken)
                kernels.convert(slab.tensor.type, rows, blocks[start * row : end * row], importance)
        except NotFinite as error:
            raise _not_finite(slab) from error
        self._check_blocks(slab, blocks)
        return blocks

    def _widen(self, slab: Slab, raw: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        wide = self._buffers.wide(slab.rows * slab.columns)
        match slab.origin.dtype:
            case "BF16":
                self._ggml.widen_bf16(raw.view(np.uint16), wide)
            case "F16":
                self._ggml.widen_f16(raw.view(np.uint16), wide)
            case _:
                return raw.view(np.float32)
        return wide

    def _merge(self, slab: Slab, wide: npt.NDArray[np.float32]) -> None:
        source, first, count = slab.tensor.source, slab.first_row, slab.rows
        if source.update:
            rows = source.order.rows[first : first + count] if source.order else np.arange(first, first + count)
            add_update(source.update, wide.reshape(count, slab.columns), rows, self._sources)

    def _change(self, slab: Slab, wide: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        change = slab.tensor.source.change
        if change is None:
            return wide
        rows: Weights = wide.reshape(slab.rows, slab.columns)
        if slab.tensor.source.dtype == "F16":
            # The oracle computes in the checkpoint's float16, but in float32 where it holds bfloat16.
            rows = rows.astype(np.float16)
        changed = change(rows, slab.first_row).astype(rows.dtype)
        return np.ascontiguousarray(changed, dtype=np.float32).reshape(-1)

    def _quantize(self, slab: Slab, wide: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
        type = slab.tensor.type
        if type is TensorType.F32:
            return wide.view(np.uint8)
        blocks = self._buffers.blocks(slab.bytes_written)
        columns, row, written = slab.tensor.columns, type.row_bytes(slab.tensor.columns), 0
        for start, end, importance in self._spans(slab):
            part, made = wide[start * columns : end * columns], blocks[start * row : end * row]
            written += self._quantizer.quantize(type, part, made, end - start, importance)
        assert written == blocks.nbytes, f"{type.name}: {written} bytes for {blocks.nbytes}"
        self._check_blocks(slab, blocks)
        return blocks

    def _check_blocks(self, slab: Slab, blocks: npt.NDArray[np.uint8]) -> None:
        if not self._ggml.is_valid(slab.tensor.type, blocks):
            raise BadInputError(
                f"{slab.origin.path}: tensor {slab.origin.name!r} has weights too large for {slab.tensor.type.name}",
                hint="choose a type that holds them, as BF16 does, or leave --imatrix away",
            )

    def _spans(self, slab: Slab) -> Iterator[tuple[int, int, npt.NDArray[np.float32] | None]]:
        """The slab's written rows as they share importances: from, to, importance; nearly always all at once."""
        importances = self._importances.get(slab.tensor.source.name)
        rows = slab.rows * slab.columns // slab.tensor.columns
        if importances is None or len(importances) == 1:
            yield 0, rows, None if importances is None else importances[0]
            return
        each, first = slab.tensor.rows // len(importances), slab.first_row
        for matrix in range(first // each, (first + rows - 1) // each + 1):
            yield max(0, matrix * each - first), min(rows, (matrix + 1) * each - first), importances[matrix]


def fill_all(writer: SlabWriter, slabs: list[Slab], *, threads: int, done: Callable[[int], None], bar: Bar) -> None:
    """Fill all slabs on `threads` threads, telling `done` each one's index.

    The first error stops the rest, and is raised.
    """
    stop, queue, ahead = Event(), iter(enumerate(slabs)), _AHEAD * threads

    def work() -> None:
        # next() on a built-in iterator is atomic under the GIL: threads share the queue without a lock.
        for index, slab in queue:
            if stop.is_set():
                return
            if index + ahead < len(slabs):
                writer.expect(slabs[index + ahead])
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
        raise _not_finite(slab)


def _not_finite(slab: Slab) -> BadInputError:
    updated = " with the adapter's update" if slab.tensor.source.update else ""
    return BadInputError(
        f"{slab.origin.path}: tensor {slab.origin.name!r}{updated} holds NaN or infinity",
        hint="the checkpoint is damaged or its training diverged: fetch it again, or use another revision",
    )


def write_at(file: int, data: npt.NDArray[np.uint8], offset: int) -> None:
    view = data.data
    while view:
        count = os.pwrite(file, view, offset)
        view, offset = view[count:], offset + count

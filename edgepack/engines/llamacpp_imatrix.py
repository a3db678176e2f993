"""What a model multiplies its weights with while it reads a text: sums of squares, as llama-imatrix adds them up.

Dense models only: edgepack converts no mixture of experts.
"""

import ctypes
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import numpy.typing as npt

from edgepack.domain.errors import BadInputError
from edgepack.domain.progress import Bar, Progress
from edgepack.engines.llamacpp import tokens_of
from edgepack.engines.llamacpp_library import OpenModel, attends_both_ways, context, opened, refused

# llama-imatrix's own: tokens a chunk (-c), and a batch (-b), which so takes four chunks side by side.
CHUNK_TOKENS = 512
_BATCH = 2048
_SIDE_BY_SIDE = _BATCH // CHUNK_TOKENS
_FEWEST_ROWS = 16
_FLOAT32 = 0  # GGML_TYPE_F32
_POOLING_LAST = 3  # LLAMA_POOLING_TYPE_LAST
_MOST_OPERATIONS = 101  # ggml.h: GGML_OP_COUNT


@dataclass(frozen=True, kw_only=True, slots=True)
class Activations:
    """What was added up, by tensor."""

    sums: Mapping[str, npt.NDArray[np.float32]]
    """(stacked matrices, columns)"""
    counts: Mapping[str, int]
    """Rows that were added up."""

    @property
    def chunks(self) -> int:
        """Pieces of text that were read."""
        return max(self.counts.values()) // CHUNK_TOKENS


class _Tensor(ctypes.Structure):
    """ggml.h: struct ggml_tensor, as far as its name."""


_Tensor._fields_ = (
    ("type", ctypes.c_int),
    ("buffer", ctypes.c_void_p),
    ("ne", ctypes.c_int64 * 4),
    ("nb", ctypes.c_size_t * 4),
    ("op", ctypes.c_int),
    ("op_params", ctypes.c_int32 * 16),
    ("flags", ctypes.c_int32),
    ("src", ctypes.POINTER(_Tensor) * 10),
    ("view_src", ctypes.c_void_p),
    ("view_offs", ctypes.c_size_t),
    ("data", ctypes.c_void_p),
    ("name", ctypes.c_char * 64),
)


def collect(weights: Path, text: str, *, threads: int, progress: Progress) -> Activations:
    """Let the model of a GGUF read `text` in chunks of 512 tokens, and add up what its layers multiply.

    Raises BadInputError for a text of less than two chunks, and for a model that llama-imatrix cannot run.
    """
    with opened(weights) as model:
        if attends_both_ways(model):
            raise _cannot_run(model, "an encoder looks at whole texts, and makes no next token")
        chunks = _chunked(model, text)
        collector = _Collector(multiply=_multiply(model))
        callback = model.native.ggml_backend_sched_eval_callback(collector.on_node)
        with (
            context(
                model,
                tokens=_BATCH,
                threads=threads,
                cpus=None,
                batch=_BATCH,
                sequences=_SIDE_BY_SIDE,
                on_node=callback,
            ) as handle,
            progress.bar("importance matrix", len(chunks), "chunks") as bar,
        ):
            _refuse_endings(model, handle)
            _read(model, handle, chunks, collector, bar)
    return Activations(sums=collector.sums, counts=collector.counts)


def _refuse_endings(model: OpenModel, handle: int) -> None:
    native = model.native
    if native.llama_vocab_get_add_eos(model.vocabulary) and native.llama_pooling_type(handle) != _POOLING_LAST:
        raise _cannot_run(model, "its vocabulary ends every text by itself")


def _cannot_run(model: OpenModel, why: str) -> BadInputError:
    return BadInputError(
        f"{model.path.name}: no importance matrix can be computed: {why}",
        hint="quantize this model without one: leave --imatrix away",
    )


def _chunked(model: OpenModel, text: str) -> npt.NDArray[np.int32]:
    """(chunks, 512) tokens; the beginning-of-text token stands first in each where the vocabulary wants one."""
    native, vocabulary = model.native, model.vocabulary
    # llama-imatrix drops a final newline when it reads the file.
    tokens = np.array(tokens_of(model, text.removesuffix("\n"), add_special=True), np.int32)
    chunks = len(tokens) // CHUNK_TOKENS
    if chunks < 2:
        raise BadInputError(
            f"the calibration text has {len(tokens)} tokens; {2 * CHUNK_TOKENS} are the fewest",
            hint="give a longer text with --calibration, or none: edgepack brings one",
        )
    parts = tokens[: chunks * CHUNK_TOKENS].reshape(chunks, CHUNK_TOKENS)
    if native.llama_vocab_get_add_bos(vocabulary):
        parts[:, 0] = native.llama_vocab_bos(vocabulary)
    return parts


def _read(model: OpenModel, handle: int, chunks: npt.NDArray[np.int32], collector: "_Collector", bar: Bar) -> None:
    """Decode on a thread of its own: ^C is raised in the main one, and would be lost within a callback."""
    memory = model.native.llama_get_memory(handle)
    with _batch(model) as batch, ThreadPoolExecutor(1, thread_name_prefix="imatrix") as pool:
        # A ^C while the pool starts its thread would leave that thread unknown to the pool, and so at work on a
        # context that is freed: it is started with nothing to do.
        pool.submit(int).result()
        for first in range(0, len(chunks), _SIDE_BY_SIDE):
            part = chunks[first : first + _SIDE_BY_SIDE]
            model.native.llama_memory_clear(memory, True)
            _fill(batch, part)
            try:
                status = pool.submit(model.native.llama_decode, handle, batch).result()
            except BaseException:
                collector.stop.set()
                raise
            if collector.errors:
                raise collector.errors[0]
            if status:
                raise refused(status, part.size)
            bar.advance(len(part))


@contextmanager
def _batch(model: OpenModel) -> Iterator[Any]:
    batch = model.native.llama_batch_init(_BATCH, 0, 1)
    try:
        yield batch
    finally:
        model.native.llama_batch_free(batch)


def _fill(batch: Any, part: npt.NDArray[np.int32]) -> None:
    """Each chunk a text of its own; all give logits, or the last layer would leave out what it need not compute."""
    batch.n_tokens = part.size
    for place, ((chunk, position), token) in enumerate(np.ndenumerate(part)):
        batch.token[place], batch.pos[place], batch.logits[place] = token, position, True
        batch.n_seq_id[place], batch.seq_id[place][0] = 1, chunk


def _multiply(model: OpenModel) -> int:
    """The number of the matrix multiplication among this library's operations."""
    name_of = model.native._lib.ggml_op_name
    name_of.restype = ctypes.c_char_p
    return next(number for number in range(_MOST_OPERATIONS) if name_of(number) == b"MUL_MAT")


@dataclass(kw_only=True, slots=True)
class _Collector:
    """Hears of each node before and after it is computed; adds up the squares of what weights are multiplied with."""

    multiply: int
    sums: dict[str, npt.NDArray[np.float32]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    errors: list[Exception] = field(default_factory=list)
    stop: Event = field(default_factory=Event)

    def on_node(self, address: int, before: bool, _data: object) -> bool:
        """Before: whether to be called again after this node. After: whether to go on."""
        if self.stop.is_set():
            return before
        try:
            node = _Tensor.from_address(address)
            if before:
                return self._wanted(node)
            self._add(node.src[0].contents, node.src[1].contents)
        except Exception as error:  # noqa: BLE001 - ctypes would print it and go on; raised again after the decode
            self.errors.append(error)
            self.stop.set()
        return not self.errors

    def _wanted(self, node: _Tensor) -> bool:
        if node.op != self.multiply:
            return False
        weights, given = node.src[0].contents, node.src[1].contents
        return given.ne[1] >= _FEWEST_ROWS and given.type == _FLOAT32 and bool(weights.name.startswith(b"blk."))

    def _add(self, weights: _Tensor, given: _Tensor) -> None:
        name, stacked = weights.name.decode(), weights.ne[2] * weights.ne[3]
        values = _values(given)
        sums = self.sums.setdefault(name, np.zeros((stacked, given.ne[0]), np.float32))
        with np.errstate(over="ignore"):
            for (last, other), _ in np.ndenumerate(values[:, :, 0, 0]):
                matrix = sums[(last % weights.ne[3]) * weights.ne[2] + other % weights.ne[2]]
                # One row after the other, as llama-imatrix does: float32 rounds each sum.
                for squares in np.square(values[last, other]):
                    matrix += squares
        if not np.isfinite(sums).all():
            raise BadInputError(
                f"{name}: the model computes values beyond float32",
                hint="leave --imatrix away, or check the checkpoint",
            )
        self.counts[name] = self.counts.get(name, 0) + given.ne[1] * given.ne[2] * given.ne[3] // stacked


def _values(tensor: _Tensor) -> npt.NDArray[np.float32]:
    """The tensor's values where they lie, slowest dimension first."""
    shape, strides = tuple(tensor.ne)[::-1], tuple(tensor.nb)[::-1]
    size = 4 + sum((count - 1) * stride for count, stride in zip(shape, strides, strict=True))
    return np.ndarray(shape, np.float32, (ctypes.c_char * size).from_address(tensor.data), 0, strides)

"""llama-bench's loop through the bindings, every sample kept; not what else the machine does."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from time import perf_counter
from types import ModuleType

from edgepack.domain.measurement import Phase, Series, Workload
from edgepack.engines.llamacpp_library import OpenModel, context, decode, opened, refuse_encoder, refused
from edgepack.engines.timed import Busy, Once, OnSample, nobody, repeated, unknown


def measure(
    weights: Path,
    *,
    workload: Workload,
    threads: int,
    cpus: tuple[int, ...] | None = None,
    on_sample: OnSample = nobody,
    busy: Busy = unknown,
) -> tuple[Series, ...]:
    """Load a GGUF and time each phase of `workload`; raises what `opened` and `context` raise.

    `busy` is asked before the first and after every sample for the load of others since it was last asked.
    """
    with opened(weights) as model:
        return tuple(
            measure_phase(model, phase, workload=workload, threads=threads, cpus=cpus, on_sample=on_sample, busy=busy)
            for phase in workload.phases
        )


def measure_phase(
    model: OpenModel,
    phase: Phase,
    *,
    workload: Workload,
    threads: int,
    cpus: tuple[int, ...] | None = None,
    on_sample: OnSample = nobody,
    busy: Busy = unknown,
) -> Series:
    """Time one phase, repeated as the workload says; refuses an encoder."""
    with timed_phase(model, phase, workload=workload, threads=threads, cpus=cpus) as once:
        return repeated(once, phase, workload=workload, threads=threads, on_sample=on_sample, busy=busy)


@contextmanager
def timed_phase(
    model: OpenModel, phase: Phase, *, workload: Workload, threads: int, cpus: tuple[int, ...] | None
) -> Iterator[Once]:
    """One phase in a context of its own, as llama-bench does for each of its tests; refuses an encoder."""
    refuse_encoder(model)
    count = workload.tokens(phase)
    run = _prefill if phase is Phase.PREFILL else _generate
    with context(
        model,
        tokens=count,
        threads=threads,
        cpus=cpus,
        batch=workload.batch,
        micro_batch=workload.micro_batch,
    ) as handle:
        memory = model.native.llama_get_memory(handle)
        if workload.warm_up:
            # A whole prompt, but a single generated token: what llama-bench runs.
            warm = count if phase is Phase.PREFILL else 1
            run(model.native, handle, _tokens(model, warm), workload.batch)

        def once() -> float:
            model.native.llama_memory_clear(memory, False)
            tokens = _tokens(model, count)
            began = perf_counter()
            run(model.native, handle, tokens, workload.batch)
            return perf_counter() - began

        yield once


@dataclass(frozen=True, kw_only=True, slots=True)
class TimedModel:
    """A GGUF in memory, to be timed."""

    model: OpenModel

    @contextmanager
    def phase(
        self, phase: Phase, *, workload: Workload, threads: int, cpus: tuple[int, ...] | None
    ) -> Iterator[Once]:
        with timed_phase(self.model, phase, workload=workload, threads=threads, cpus=cpus) as once:
            yield once


@contextmanager
def opened_timed(weights: Path, *, adapter: Path | None = None) -> Iterator[TimedModel]:
    """Raises what `opened` raises."""
    with opened(weights, adapter=adapter) as model:
        yield TimedModel(model=model)


def _tokens(model: OpenModel, count: int) -> "ctypes.Array[ctypes.c_int32]":
    """The same random tokens each time, after the beginning-of-text token where the vocabulary wants one."""
    native, vocabulary = model.native, model.vocabulary
    random = Random(1)
    size = native.llama_vocab_n_tokens(vocabulary)
    tokens = (ctypes.c_int32 * count)(*(random.randrange(size) for _ in range(count)))
    if native.llama_vocab_get_add_bos(vocabulary):
        tokens[0] = native.llama_vocab_bos(vocabulary)
    return tokens


def _prefill(native: ModuleType, handle: int, tokens: "ctypes.Array[ctypes.c_int32]", batch: int) -> None:
    for start in range(0, len(tokens), batch):
        part = tokens[start : start + batch]
        decode(native, handle, (ctypes.c_int32 * len(part))(*part), len(part))
    native.llama_synchronize(handle)


def _generate(native: ModuleType, handle: int, tokens: "ctypes.Array[ctypes.c_int32]", _batch: int) -> None:
    token = (ctypes.c_int32 * 1)()
    # One batch that points at `token` serves them all: a tiny model's token takes but 0.1 ms.
    batch = native.llama_batch_get_one(token, 1)
    run, wait = native.llama_decode, native.llama_synchronize
    for token[0] in tokens:
        status = run(handle, batch)
        wait(handle)
        if status != 0:
            raise refused(status, 1)

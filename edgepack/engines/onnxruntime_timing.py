"""llama-bench's loop through onnxruntime, with the same prompt and steps; not what else the machine does."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random
from time import perf_counter

from edgepack.domain.measurement import Phase, Workload
from edgepack.engines.onnxruntime_decoder import OpenDecoder, Reader, opened_decoder
from edgepack.engines.timed import Once
from edgepack.infra.load import on_cpus


class TimedDecoder:
    """An ONNX decoder, to be timed. A session has its threads for good: it is kept until others are asked for."""

    def __init__(self, path: Path, stack: ExitStack, *, spinning: bool) -> None:
        self._path = path
        self._spinning = spinning
        self._stack = stack
        self._decoder: OpenDecoder | None = None
        self._with: tuple[int, tuple[int, ...] | None] | None = None

    @contextmanager
    def phase(
        self, phase: Phase, *, workload: Workload, threads: int, cpus: tuple[int, ...] | None
    ) -> Iterator[Once]:
        count = workload.tokens(phase)
        with on_cpus(cpus):
            decoder = self._opened(threads, cpus)
            reader, tokens = Reader(decoder, places=count), _tokens(decoder, count)
            run = _prefill if phase is Phase.PREFILL else _generate
            if workload.warm_up:
                run(reader, tokens if phase is Phase.PREFILL else tokens[:1])

            def once() -> float:
                reader.forget()
                began = perf_counter()
                run(reader, tokens)
                return perf_counter() - began

            yield once

    def _opened(self, threads: int, cpus: tuple[int, ...] | None) -> OpenDecoder:
        if self._decoder is None or self._with != (threads, cpus):
            self._decoder = None
            self._stack.close()
            opening = opened_decoder(self._path, threads=threads, spinning=self._spinning)
            self._decoder, self._with = self._stack.enter_context(opening), (threads, cpus)
        return self._decoder


@contextmanager
def opened_timed(path: Path, *, spinning: bool) -> Iterator[TimedDecoder]:
    """Raises what `opened_decoder` raises when a phase begins.

    Threads that wait spin with `spinning`, as llama.cpp's do: not where others work, who would have to wait for it.
    """
    with ExitStack() as stack:
        yield TimedDecoder(path, stack, spinning=spinning)


def _tokens(decoder: OpenDecoder, count: int) -> list[int]:
    """Random ones, the same each time: as many as llama.cpp gets, out of as many."""
    random = Random(1)
    return [random.randrange(decoder.said.vocabulary) for _ in range(count)]


def _prefill(reader: Reader, tokens: Sequence[int]) -> None:
    reader.read(tokens)


def _generate(reader: Reader, tokens: Sequence[int]) -> None:
    for token in tokens:
        reader.read([token])

"""llama-bench's loop through onnxruntime, with the same prompt and steps; not what else the machine does."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from time import perf_counter

from edgepack.domain.measurement import Phase, Workload
from edgepack.engines.onnxruntime_decoder import OpenDecoder, Reader, opened_decoder
from edgepack.engines.timed import Once
from edgepack.infra.load import on_cpus


@dataclass(frozen=True, kw_only=True, slots=True)
class TimedDecoder:
    """An ONNX decoder, to be timed: a session has its threads for good, so that each phase opens its own."""

    path: Path

    @contextmanager
    def phase(
        self, phase: Phase, *, workload: Workload, threads: int, cpus: tuple[int, ...] | None
    ) -> Iterator[Once]:
        """Threads spin while they wait, as llama.cpp's poll: nobody else is to be let to work."""
        count = workload.tokens(phase)
        with on_cpus(cpus), opened_decoder(self.path, threads=threads, spinning=True) as decoder:
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


@contextmanager
def opened_timed(path: Path) -> Iterator[TimedDecoder]:
    """Raises what `opened_decoder` raises when a phase begins."""
    yield TimedDecoder(path=path)


def _tokens(decoder: OpenDecoder, count: int) -> list[int]:
    """Random ones, the same each time: as many as llama.cpp gets, out of as many."""
    random = Random(1)
    return [random.randrange(decoder.said.vocabulary) for _ in range(count)]


def _prefill(reader: Reader, tokens: Sequence[int]) -> None:
    reader.read(tokens)


def _generate(reader: Reader, tokens: Sequence[int]) -> None:
    for token in tokens:
        reader.read([token])

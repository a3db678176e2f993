"""A GGUF measured under an engine of choice, or under both, and left to one of them."""

from edgepack.domain.engine import Engine
from edgepack.domain.engine_choice import EngineChoice, choose_engine
from edgepack.domain.measurement import Measurement, Workload
from edgepack.domain.progress import Progress
from edgepack.domain.weights import Weights
from edgepack.infra.store import Store, home
from edgepack.stages.bench import bench
from edgepack.stages.decoder import decoder_of
from edgepack.stages.engines import bench_engines, same_logits


def bench_onnx(
    weights: Weights, *, workload: Workload, threads: tuple[int, ...] | None, strict: bool, progress: Progress
) -> Measurement:
    """Of a GGUF's decoder in ONNX, made for it if the store has none; raises what `decoder_of` raises."""
    decoder = decoder_of(weights, store=Store(home()), progress=progress)
    return bench(decoder, workload=workload, threads=threads, strict=strict, progress=progress)


def bench_both(
    weights: Weights, *, workload: Workload, threads: int | None, strict: bool, progress: Progress
) -> EngineChoice:
    """Of a GGUF and its decoder in ONNX, in alternation; raises what `decoder_of` raises."""
    decoder = decoder_of(weights, store=Store(home()), progress=progress)
    files = {Engine.LLAMA_CPP: weights, Engine.ONNX: decoder}
    cosine = same_logits(files, threads=threads, progress=progress)
    measured = bench_engines(files, workload=workload, threads=threads, strict=strict, progress=progress)
    return choose_engine(measured, cosine=cosine)

"""An encoder's latency by onnxruntime against llama.cpp: the same trained weights, sentences and thread, in turn.

    python -m tests.bench.bench_encoders [--sentences 100]

Needs what `make real-weights` brings. The engines take turns in one process, one thread each; in a turn an engine
runs all sentences one by one, as it does on a device that runs nothing else. A sentence's time is the least of its
rounds, so that what else the machine does counts for little.
"""

import argparse
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from edgepack.convert.onepass import open_conversion, write_gguf
from edgepack.convert.onnx.encoder import open_encoder, write_onnx
from edgepack.domain.progress import Silent
from edgepack.domain.quant import OnnxQuant, Quant
from edgepack.engines import llamacpp_embedding, onnxruntime_embedding, onnxruntime_library
from edgepack.engines.embedding import EmbedEach
from edgepack.engines.llamacpp import opened
from tests.convert.test_real_minilm import MODEL, sentences

_ROUNDS = 7
_WANTED = 0.6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sentences", type=int, default=100)
    texts = [text for text in sentences() if len(text) < 120][-parser.parse_args().sentences :]
    with TemporaryDirectory(prefix="edgepack-") as scratch:
        files = _files(Path(scratch))
        with opened(files["llama.cpp Q8_0"]) as gguf, opened(files["llama.cpp F16"]) as half:
            engines: dict[str, EmbedEach] = {
                "llama.cpp F16": partial(llamacpp_embedding.embed_each, half, threads=1),
                "llama.cpp Q8_0": partial(llamacpp_embedding.embed_each, gguf, threads=1),
                **{name: _onnx(files[name]) for name in ("onnxruntime f32", "onnxruntime q8")},
            }
            times = _measured(engines, texts)
            sizes = {name: path.stat().st_size for name, path in files.items()}
    base = times["llama.cpp Q8_0"]
    print(f"\n{len(texts)} sentences, one thread, the least of {_ROUNDS} alternating rounds each\n")
    for name, seconds in times.items():
        ratio = median(mine / theirs for mine, theirs in zip(seconds, base, strict=True))
        print(
            f"  {name:16} {median(seconds) * 1e3:6.2f} ms median  {ratio:5.2f} of Q8_0  {sizes[name] / 1e6:6.1f} MB"
        )
    print(f"\n  wanted: onnxruntime q8 at {_WANTED} of llama.cpp Q8_0 or less")


def _files(directory: Path) -> dict[str, Path]:
    found = {}
    for quant in (Quant.F16, Quant.Q8_0):
        found[f"llama.cpp {quant}"] = path = directory / f"{quant}.gguf"
        write_gguf(open_conversion(MODEL, "model"), quant, path, threads=2, progress=Silent())
    for precision in OnnxQuant:
        found[f"onnxruntime {precision}"] = path = directory / f"{precision}.onnx"
        write_onnx(open_encoder(MODEL, "model"), precision, path)
    return found


def _onnx(path: Path) -> EmbedEach:
    return partial(onnxruntime_embedding.embed_each, onnxruntime_library.open_encoder(path, threads=1))


def _measured(engines: dict[str, EmbedEach], texts: list[str]) -> dict[str, list[float]]:
    """Seconds of each engine for each text: the tokens are there, the vector is not."""
    found: dict[str, list[float]] = {name: [float("inf")] * len(texts) for name in engines}
    for _ in range(_ROUNDS):
        for name, embed_each in engines.items():
            for number, text in enumerate(texts):
                found[name][number] = min(found[name][number], _seconds(embed_each, text))
    return found


def _seconds(embed_each: EmbedEach, text: str) -> float:
    (embedded,) = embed_each([text])
    return embedded.seconds


if __name__ == "__main__":
    main()

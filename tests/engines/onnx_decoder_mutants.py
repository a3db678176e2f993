"""Run alone: reads a text with mutants of a decoder's graph, or of its weights, and says how each one ended.

    python -m tests.engines.onnx_decoder_mutants FILE FIRST COUNT

Of seven mutants one has other bytes in the file of weights, the others are those of `onnx_mutants`. A line for each:
`error`, or `logits`.
"""

import sys
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from edgepack.domain.decoder import DATA_SUFFIX
from edgepack.domain.errors import BadInputError
from edgepack.engines.onnxruntime_decoder import Reader, opened_decoder
from tests.engines.onnx_mutants import mutant, mutated


def main() -> None:
    file, first, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    graph, weights = file.read_bytes(), file.with_name(file.name + DATA_SUFFIX).read_bytes()
    with TemporaryDirectory() as scratch:
        path = Path(scratch) / file.name
        beside = path.with_name(path.name + DATA_SUFFIX)
        for number in range(first, first + count):
            of_weights = number % 7 == 6
            path.write_bytes(graph if of_weights else mutant(graph, number))
            beside.write_bytes(_other(weights, Random(number)) if of_weights else weights)
            print(_ending(path), flush=True)


def _other(weights: bytes, random: Random) -> bytes:
    """As long as before, or not."""
    changed = mutated(weights, random)
    return changed if random.randrange(4) == 0 else (changed + weights)[: len(weights)]


def _ending(path: Path) -> str:
    try:
        with opened_decoder(path, threads=1) as decoder:
            reader = Reader(decoder, places=16)
            reader.read([5, 6, 7])
            reader.read([8])
    except BadInputError:
        return "error"
    return "logits"


if __name__ == "__main__":
    main()

"""Run alone, with ulimits of its own: bundles of encoders spoilt in ways that digests do not find, and how each ends.

    python -m tests.encoders.encoder_bundle_mutants BUNDLE CHECKPOINT FIRST COUNT

A mutant is a bundle with one file changed, its manifest and sums made to fit: the model, the tokenizer, the texts,
the outputs, or weights said to lie elsewhere; or a ready file that is built or asked, or a checkpoint's tokenizer
that is converted. A line for each: the exit code of what refused it, or `done`.
"""

import json
import shutil
import sys
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import onnx

from edgepack.domain.bundle import TOKENIZER
from edgepack.domain.errors import EdgepackError
from edgepack.domain.golden import GOLDEN_TEXTS
from edgepack.domain.progress import Silent
from edgepack.domain.quant import OnnxQuant
from edgepack.engines.identifying import identify
from edgepack.infra.store import home
from edgepack.infra.tasks import load_task
from edgepack.pipeline import Order, build
from edgepack.stages.encoder import encoder_to, open_encoder_directory
from edgepack.stages.eval import evaluate
from edgepack.stages.fetch import find_source
from edgepack.stages.verify import verify
from tests.engines.onnx_mutants import mutant, mutated
from tests.fakes.resummed import resum

_OUTPUTS = "evidence/golden.json"
_WAYS = 7
_PLACES = ("..", "../../../etc/passwd", "/etc/passwd", "data.bin", "tokenizer.json", "", "\0", "*/_ORT_MEM_ADDR_/*")
_NUMBERS = ("0", "-1", "64", "1e9", "999999999999", "18446744073709551616", "", "x")


def tried(number: int, bundle: Path, checkpoint: Path, scratch: Path) -> None:
    """One mutant through the verb that it is for; raises EdgepackError where it is refused."""
    random = Random(number)
    model = json.loads((bundle / "manifest.json").read_text())["weights"]["path"]
    match number % _WAYS:
        case 0:
            _verified(bundle, scratch, model, mutant((bundle / model).read_bytes(), random.randrange(1 << 30)))
        case 1:
            path = random.choice((TOKENIZER, GOLDEN_TEXTS, _OUTPUTS))
            _verified(bundle, scratch, path, mutated((bundle / path).read_bytes(), random))
        case 2:
            _verified(bundle, scratch, model, _moved((bundle / model).read_bytes(), random))
        case 3:
            path = scratch / "ready.onnx"
            path.write_bytes(mutant((bundle / model).read_bytes(), random.randrange(1 << 30)))
            source = find_source(str(path))
            build(Order(profile="rpi5", source=source, out=scratch / "out", measure=False), Silent())
        case 4:
            _verified(bundle, scratch, "manifest.json", mutated((bundle / "manifest.json").read_bytes(), random))
        case 5:
            path = scratch / "asked.onnx"
            path.write_bytes(mutant((bundle / model).read_bytes(), random.randrange(1 << 30)))
            _asked(path)
        case _:
            _converted(checkpoint, scratch, random)


def _asked(path: Path) -> None:
    task = load_task("sentiment")
    evaluate(identify(path), task, home=home(), progress=Silent(), limit=2, threads=1, fresh=True)


def _verified(bundle: Path, scratch: Path, path: str, content: bytes) -> None:
    copy = Path(shutil.copytree(bundle, scratch / "bundle"))
    (copy / "model" / "data.bin").write_bytes(bytes(4096))
    if path == "manifest.json":
        resum(copy, {"model/data.bin": bytes(4096)})
        (copy / path).write_bytes(content)
    else:
        resum(copy, {path: content, "model/data.bin": bytes(4096)})
    verify(copy, run_model=True, progress=Silent())


def _moved(data: bytes, random: Random) -> bytes:
    """A model whose tensor lies elsewhere, it is said."""
    model = onnx.load_model_from_string(data)
    tensor = random.choice(model.graph.initializer)
    if random.random() < 0.8:
        tensor.ClearField("raw_data")
    tensor.data_location = random.choice((0, 1))
    for key in random.sample(("location", "offset", "length", "checksum"), random.randint(1, 4)):
        tensor.external_data.add(key=key, value=random.choice(_PLACES if key == "location" else _NUMBERS))
    return bytes(model.SerializeToString())


def _converted(checkpoint: Path, scratch: Path, random: Random) -> None:
    copy = Path(shutil.copytree(checkpoint, scratch / "checkpoint"))
    path = copy / random.choice(("tokenizer.json", "tokenizer.json", "tokenizer_config.json", "config.json"))
    path.write_bytes(mutated(path.read_bytes(), random))
    conversion = open_encoder_directory(copy, "mutant", allow_over_3b=False)
    encoder_to(scratch / "made.onnx", conversion, OnnxQuant.Q8, progress=Silent())
    source = find_source(str(scratch / "made.onnx"))
    build(Order(profile="rpi5", source=source, out=scratch / "out", measure=False), Silent())


def main() -> None:
    bundle, checkpoint, first, count = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    for number in range(first, first + count):
        with TemporaryDirectory() as scratch:
            try:
                tried(number, bundle, checkpoint, Path(scratch))
                print("done", flush=True)
            except EdgepackError as error:
                print(int(error.exit_code), flush=True)


if __name__ == "__main__":
    main()

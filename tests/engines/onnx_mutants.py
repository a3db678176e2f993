"""Run alone, with ulimits of its own: asks mutants of an encoder's file two texts, and says how each one ended.

    python -m tests.engines.onnx_mutants FILE FIRST COUNT

A mutant is the file with some bytes changed, cut or repeated, anywhere or in one of its parts: what it says of
itself, its tokenizer, a node, a tensor's head; or a whole graph with numbers, names, operators or shapes exchanged.
A line for each: `error`, or `answer`.
"""

import struct
import sys
from dataclasses import replace
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import onnx

from edgepack.domain.encoder import OPERATORS, EncoderDescription, Gives
from edgepack.domain.errors import BadInputError
from edgepack.domain.tagging import kinds_of
from edgepack.domain.task import Entities, Labels
from edgepack.engines.onnxruntime_embedding import embed
from edgepack.engines.onnxruntime_library import describe
from edgepack.engines.onnxruntime_respondent import onnxruntime_respondent
from edgepack.infra.tasks import load_task

_WORDS = (b"\x00", b"\xff", b"\x7f", b"\x80", b"\xff\xff\xff\xff\x0f", b"\xc3\x28", b'"', b"}", b"-1", b"9" * 20)


def mutated(data: bytes, random: Random) -> bytes:
    """One to four changes."""
    changed = bytearray(data)
    for _ in range(random.randint(1, 4)):
        place = random.randrange(len(changed) or 1)
        match random.randrange(5):
            case 0:
                changed[place : place + 1] = bytes([random.randrange(256)])
            case 1:
                word = random.choice(_WORDS)
                changed[place : place + len(word)] = word
            case 2:
                del changed[place : place + random.randint(1, 64)]
            case 3:
                changed[place:place] = changed[place : place + random.randint(1, 64)]
            case _:
                del changed[place:]
    return bytes(changed)


def mutant(data: bytes, number: int) -> bytes:
    """The same each time: the bytes anywhere, the graph without its weights, or the metadata."""
    random = Random(number)
    kind = number % 6
    if kind == 0:
        return mutated(data, random)
    model = onnx.load_model_from_string(data)
    if kind == 1:
        entry = random.choice(model.metadata_props)
        entry.value = mutated(entry.value.encode(), random).decode(errors="replace")
    elif kind == 2:
        _replace(random.choice(model.graph.node), random)
    elif kind > 3:
        _twist(model.graph, random)
    else:
        tensor = random.choice(model.graph.initializer)
        values, tensor.raw_data = tensor.raw_data, b""
        _replace(tensor, random)
        tensor.raw_data = values
    return bytes(model.SerializeToString())


def _twist(graph: onnx.GraphProto, random: Random) -> None:
    """Another whole graph, which only says what it should not: where onnxruntime is alone with it."""
    node = random.choice(graph.node)
    match random.randrange(5):
        case 0:
            numbers = [attribute for node in graph.node for attribute in node.attribute if attribute.type == 2]
            number = random.choice(numbers)
            number.i = random.choice((0, -1, 1, number.i + 1, number.i * 2, -number.i, 1 << 31, (1 << 63) - 1))
        case 1:
            place = random.randrange(len(node.input))
            names = [*(other.output[0] for other in graph.node), *(tensor.name for tensor in graph.initializer)]
            node.input[place] = random.choice(names)
        case 2:
            node.op_type = random.choice(sorted(OPERATORS))
        case 3:
            tensor = random.choice(graph.initializer)
            tensor.dims[:] = random.choice((tensor.dims[::-1], [*tensor.dims, 1], [1, *tensor.dims]))
        case _:
            tensor = random.choice([tensor for tensor in graph.initializer if tensor.data_type == 7])
            count = len(tensor.raw_data) // 8
            values = [random.choice((0, -1, 7, -(1 << 63), (1 << 63) - 1, 1 << 40)) for _ in range(count)]
            tensor.raw_data = struct.pack(f"<{count}q", *values)


def _replace(message: onnx.NodeProto | onnx.TensorProto, random: Random) -> None:
    """`message` with changed bytes, if these are a message still."""
    while True:
        try:
            message.ParseFromString(mutated(message.SerializeToString(), random))
        except Exception:  # noqa: BLE001 - not a message: protobuf's own error, whatever its version calls it
            continue
        return


_TEXTS = ("dim the kitchen lamp to 30", "déjà vu")


def _ask(path: Path, said: EncoderDescription) -> None:
    """For vectors, labels or entities: whatever the file gave before it was changed."""
    if said.gives is Gives.VECTOR:
        embed(path, _TEXTS, threads=1)
        return
    form = Labels(labels=said.labels) if said.gives is Gives.CLASSES else Entities(kinds=tuple(kinds_of(said.labels)))
    task = replace(load_task("sentiment"), form=form, shown=())
    with onnxruntime_respondent(path, task, threads=1, cpus=None) as respondent:
        assert len(list(respondent.answer_each(_TEXTS))) == len(_TEXTS)


def main() -> None:
    file, first, count = Path(sys.argv[1]).read_bytes(), int(sys.argv[2]), int(sys.argv[3])
    said = describe(Path(sys.argv[1]))
    with TemporaryDirectory() as scratch:
        path = Path(scratch) / "mutant.onnx"
        for number in range(first, first + count):
            path.write_bytes(mutant(file, number))
            try:
                _ask(path, said)
                print("answer", flush=True)
            except BadInputError:
                print("error", flush=True)


if __name__ == "__main__":
    main()

"""A decoder's ONNX file, distrusted: where its weights lie, and all that onnxruntime would believe of them."""

from collections.abc import Iterator, Sequence
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.domain.decoder import (
    ATTENTION,
    DATA_SUFFIX,
    DECODER_KEY,
    DECODER_OPERATORS,
    HINT,
    DecoderDescription,
    parse_decoder,
)
from edgepack.domain.encoder import EMBED_BLOCKS, IDS, MULTIPLY_BLOCKS
from edgepack.domain.errors import BadInputError
from edgepack.engines.onnxruntime_checking import parsed

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

_DOMAINS = frozenset({"", "com.microsoft"})
_ELEMENT_BYTES = {1: 4, 2: 1, 7: 8}  # TensorProto.DataType: FLOAT, UINT8, INT64
_FLOAT, _UINT8 = 1, 2
_WITHIN = frozenset({"f", "i", "s", "ints", "floats"})
"""What attributes may hold: numbers and words, no graphs and no tensors."""


def checked_decoder(path: Path, data: bytes) -> DecoderDescription:
    """What the file says of itself; raises BadInputError for what no conversion here gives."""
    model = parsed(path, data)
    said = {entry.key: entry.value for entry in model.metadata_props}.get(DECODER_KEY)
    if said is None:
        raise BadInputError(f"{path}: its metadata lack {DECODER_KEY}", hint=HINT)
    description = parse_decoder(said, subject=str(path))
    for mistake in _mistakes(model, description, path.name + DATA_SUFFIX):
        raise BadInputError(f"{path}: {mistake}", hint=HINT)
    return description


def _place(tensor: "TensorProto") -> tuple[int, int]:
    """Offset and length of a tensor that lies beside the graph; -1 where they are no numbers."""
    said = {entry.key: entry.value for entry in tensor.external_data}
    offset, length = (said.get(key, "") for key in ("offset", "length"))
    return (int(offset), int(length)) if _plain(offset) and _plain(length) else (-1, -1)


def _plain(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 16


def _mistakes(model: "ModelProto", description: DecoderDescription, location: str) -> Iterator[str]:
    graph = model.graph
    if model.functions or model.training_info or graph.sparse_initializer:
        yield "holds functions, training or sparse weights"
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    if len(tensors) != len(graph.initializer):
        yield "names a tensor twice"
    yield from _tensor_mistakes(graph, description, location)
    if tuple(given.name for given in graph.input[:2]) != description.inputs[:2]:
        yield f"expected the inputs {', '.join(description.inputs[:2])} first"
    for values, wanted in ((graph.input, description.inputs), (graph.output, description.outputs)):
        if sorted(value.name for value in values) != sorted(wanted):
            yield f"inputs and outputs are not those of {description.layers} layers"
    for node in graph.node:
        yield from _node_mistakes(node, tensors, description)
    if sum(_looks_up(node) for node in graph.node) != 1:
        yield "tokens are not looked up once"


def _tensor_mistakes(graph: "GraphProto", description: DecoderDescription, location: str) -> Iterator[str]:
    for tensor in graph.initializer:
        name, size = tensor.name[:60], _ELEMENT_BYTES.get(tensor.data_type)
        if size is None or min(tensor.dims, default=0) < 0:
            yield f"tensor {name!r}: of a type or shape that no conversion gives"
            continue
        if not tensor.data_location:
            if tensor.external_data or len(tensor.raw_data) != prod(tensor.dims) * size:
                yield f"tensor {name!r}: {len(tensor.raw_data)} bytes are not what its type and shape need"
            continue
        said = {entry.key: entry.value for entry in tensor.external_data}
        if said.keys() != {"location", "offset", "length"} or said["location"] != location:
            yield f"tensor {name!r} lies in another file than {location}, which is never opened"
        offset, length = _place(tensor)
        if offset < 0 or offset % size or length != prod(tensor.dims) * size or tensor.raw_data:
            yield f"tensor {name!r}: the place of its bytes is not what its type and shape need"
        if offset + length > description.data_size:
            yield f"tensor {name!r} lies behind the end of {location}"


def _looks_up(node: "NodeProto") -> bool:
    return IDS in node.input and node.op_type in ("Gather", EMBED_BLOCKS)


def _node_mistakes(
    node: "NodeProto", tensors: "dict[str, TensorProto]", description: DecoderDescription
) -> Iterator[str]:
    if node.op_type not in DECODER_OPERATORS or node.domain not in _DOMAINS:
        yield f"operator {node.domain[:40]}:{node.op_type[:40]} is none that decoders are made of"
    for attribute in node.attribute:
        if {field.name for field, _ in attribute.ListFields()} - {"name", "type"} - _WITHIN:
            yield f"node {node.name[:60]!r} holds a graph or a tensor"
    if not _fits(node, tensors, description):
        yield f"node {node.name[:60]!r}: its weights are not what it says of them"


def _fits(node: "NodeProto", tensors: "dict[str, TensorProto]", description: DecoderDescription) -> bool:
    said = {attribute.name: attribute.i for attribute in node.attribute}
    match node.op_type:
        case str(kind) if kind == MULTIPLY_BLOCKS:
            return _multiplies(node, said, tensors)
        case str(kind) if kind == EMBED_BLOCKS:
            return _embeds(node, said, tensors, description.vocabulary)
        case "Gather" if IDS in node.input:
            kinds = _kinds(node.input[:1], tensors)
            return list(node.input[1:]) == [IDS] and bool(kinds) and kinds[0][1][:1] == [description.vocabulary]
        case str(kind) if kind == ATTENTION:
            angles = (_FLOAT, [description.context_length, description.head_width // 2])
            kept = said.get("kv_num_heads") == description.key_value_heads
            return kept and len(node.input) == 9 and _kinds(node.input[7:9], tensors) == [angles, angles]
        case _:
            return IDS not in node.input


def _block(said: dict[str, int]) -> tuple[int, int] | None:
    """Weights and bytes of a block, of those that there are."""
    bits, size = said.get("bits"), said.get("block_size")
    return (size, size * bits // 8) if bits in (4, 8) and size in (16, 32) else None


def _multiplies(node: "NodeProto", said: dict[str, int], tensors: "dict[str, TensorProto]") -> bool:
    block, rows, columns = _block(said), said.get("N", 0), said.get("K", 0)
    if block is None or rows < 1 or columns < 1 or columns % block[0]:
        return False
    count = columns // block[0]
    wanted = [(_UINT8, [rows, count, block[1]]), (_FLOAT, [rows * count])]
    given = [name for name in node.input[1:] if name]
    if len(given) == 3 and list(node.input[3:5]) == ["", ""]:
        wanted.append((_FLOAT, [rows]))
    return _kinds(given, tensors) == wanted


def _embeds(node: "NodeProto", said: dict[str, int], tensors: "dict[str, TensorProto]", vocabulary: int) -> bool:
    block = _block(said)
    if block is None or len(node.input) != 3 or node.input[1] != IDS:
        return False
    kinds = _kinds([node.input[0], node.input[2]], tensors)
    if len(kinds) != 2 or len(kinds[1][1]) != 2:
        return False
    count = kinds[1][1][1]
    axes = (said.get("gather_axis"), said.get("quantize_axis"))
    return axes == (0, 1) and kinds == [(_UINT8, [vocabulary, count * block[1]]), (_FLOAT, [vocabulary, count])]


def _kinds(names: Sequence[str], tensors: "dict[str, TensorProto]") -> list[tuple[int, list[int]]]:
    found = [tensors[name] for name in names if name in tensors]
    return [(tensor.data_type, list(tensor.dims)) for tensor in found] if len(found) == len(names) else []

"""An encoder's ONNX file, distrusted: all that onnxruntime itself would run, read or follow unchecked is refused."""

from collections.abc import Iterator
from math import prod
from pathlib import Path
from struct import unpack
from typing import TYPE_CHECKING

from edgepack.domain.decoder import DECODER_KEY
from edgepack.domain.encoder import (
    BLOCK,
    DESCRIPTION_KEY,
    EMBED_BLOCKS,
    HINT,
    IDS,
    MASK,
    MULTIPLY_BLOCKS,
    OPERATORS,
    TOKEN_TABLE,
    TOKENIZER_KEY,
    TYPES,
    EncoderDescription,
    parse_description,
)
from edgepack.domain.errors import BadInputError
from edgepack.domain.onnx_memory import BASE, EncoderShape
from edgepack.infra.extras import onnx_extra

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

_DOMAINS = frozenset({"", "com.microsoft"})
_ELEMENT_BYTES = {1: 4, 2: 1, 7: 8}  # TensorProto.DataType: FLOAT, UINT8, INT64
_FLOAT, _UINT8 = 1, 2
_MOST_HEADS = 1024
_GRAPHS = frozenset({5, 10})  # AttributeProto.AttributeType: GRAPH, GRAPHS
_ATTRIBUTES = {"bits": 8, "block_size": BLOCK}


def checked(path: Path, data: bytes) -> tuple[EncoderDescription, str]:
    """What the file says of itself, and its tokenizer; raises BadInputError for what no conversion here gives."""
    model = parsed(path, data)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    if DECODER_KEY in metadata:
        raise BadInputError(
            f"{path}: a decoder, which holds no tokenizer", hint="give the GGUF that it was made from"
        )
    for key in (DESCRIPTION_KEY, TOKENIZER_KEY):
        if key not in metadata:
            raise _bad(path, f"its metadata lack {key}")
    description = parse_description(metadata[DESCRIPTION_KEY], subject=str(path))
    for mistake in _mistakes(model, description):
        raise _bad(path, mistake)
    return description, metadata[TOKENIZER_KEY]


def shape_of(path: Path) -> EncoderShape:
    """What activations grow with, read off a checked file: how heads are laid apart, and the widest matrix."""
    graph = parsed(path, path.read_bytes()).graph
    tables = [tensor for tensor in graph.initializer if tensor.name != TOKEN_TABLE]
    apart = (
        unpack("<4q", tensor.raw_data) for tensor in tables if list(tensor.dims) == [4] and len(tensor.raw_data) == 32
    )
    widths = [
        tensor.dims[0] if tensor.data_type == _UINT8 else tensor.dims[1] for tensor in tables if len(tensor.dims) > 1
    ]
    heads = [heads for texts, tokens, heads, _ in apart if texts == tokens == 0 and 0 < heads <= _MOST_HEADS]
    return EncoderShape(heads=max(heads, default=BASE.heads), feed_forward=max(widths, default=BASE.feed_forward))


def _bad(path: Path, what: str) -> BadInputError:
    return BadInputError(f"{path}: {what}", hint=HINT)


def parsed(path: Path, data: bytes) -> "ModelProto":
    """The graph; raises BadInputError for what is none."""
    with onnx_extra():
        import onnx
        from google.protobuf.message import DecodeError
    try:
        return onnx.load_model_from_string(data)
    except (DecodeError, UnicodeDecodeError) as error:
        raise _bad(path, "not an ONNX file, or a damaged one") from error


def _mistakes(model: "ModelProto", description: EncoderDescription) -> Iterator[str]:
    graph = model.graph
    if model.functions or model.training_info or graph.sparse_initializer:
        yield "holds functions, training or sparse weights"
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    if len(tensors) != len(graph.initializer):
        yield "names a tensor twice"
    yield from _tensor_mistakes(graph)
    names = {given.name for given in graph.input}
    if not {IDS, MASK} <= names <= {IDS, MASK, TYPES} or len(names) != len(graph.input) or len(graph.output) != 1:
        yield f"expected the inputs {IDS}, {MASK} and perhaps {TYPES}, and one output"
    for node in graph.node:
        yield from _node_mistakes(node, tensors)
    table = tensors.get(TOKEN_TABLE)
    if table is None or list(table.dims[:1]) != [description.vocabulary]:
        yield f"{TOKEN_TABLE} has no row for each of {description.vocabulary} tokens"


def _tensor_mistakes(graph: "GraphProto") -> Iterator[str]:
    for tensor in graph.initializer:
        if tensor.data_location or tensor.external_data:
            yield f"tensor {tensor.name[:60]!r} lies in another file, which is never opened"
        size = _ELEMENT_BYTES.get(tensor.data_type)
        if size is None or min(tensor.dims, default=0) < 0 or prod(tensor.dims) * size != len(tensor.raw_data):
            yield f"tensor {tensor.name[:60]!r}: {len(tensor.raw_data)} bytes are not what its type and shape need"


def _node_mistakes(node: "NodeProto", tensors: "dict[str, TensorProto]") -> Iterator[str]:
    if node.op_type not in OPERATORS or node.domain not in _DOMAINS:
        yield f"operator {node.domain[:40]}:{node.op_type[:40]} is none that encoders are made of"
    for attribute in node.attribute:
        if attribute.type in _GRAPHS or attribute.HasField("t") or attribute.tensors or attribute.HasField("g"):
            yield f"node {node.name[:60]!r} holds a graph or a tensor"
    match node.op_type:
        case str(kind) if kind == MULTIPLY_BLOCKS:
            fits = _multiplies(node, tensors)
        case str(kind) if kind == EMBED_BLOCKS:
            fits = _embeds(node, tensors)
        case _:
            return
    if not fits:
        yield f"node {node.name[:60]!r}: its blocks are not what it says of them"


def _multiplies(node: "NodeProto", tensors: "dict[str, TensorProto]") -> bool:
    """Whether blocks, scales and bias are as large as onnxruntime believes them to be when it packs them."""
    said = {attribute.name: attribute.i for attribute in node.attribute}
    rows, columns = said.pop("N", 0), said.pop("K", 0)
    blocks = -(-columns // BLOCK)
    wanted = [(_UINT8, [rows, blocks, BLOCK]), (_FLOAT, [rows * blocks])]
    given = [name for name in node.input[1:] if name]
    if len(given) == 3 and list(node.input[3:5]) == ["", ""]:
        wanted.append((_FLOAT, [rows]))
    return said.items() >= _ATTRIBUTES.items() and _kinds(given, tensors) == wanted and rows > 0 and columns > 0


def _embeds(node: "NodeProto", tensors: "dict[str, TensorProto]") -> bool:
    """Whether its table is the one whose rows are counted, and its rows are those that a text's tokens name."""
    said = {attribute.name: attribute.i for attribute in node.attribute}
    if list(node.input[:2]) != [TOKEN_TABLE, IDS] or len(node.input) != 3 or TOKEN_TABLE not in tensors:
        return False
    rows, *width = tensors[TOKEN_TABLE].dims
    blocks = -(-prod(width) // BLOCK)
    wanted = [(_UINT8, [rows, *width]), (_FLOAT, [rows, blocks])]
    ways = {**_ATTRIBUTES, "gather_axis": 0, "quantize_axis": 1}
    kinds = _kinds([TOKEN_TABLE, node.input[2]], tensors)
    return said.items() >= ways.items() and len(width) == 1 and kinds == wanted


def _kinds(names: list[str], tensors: "dict[str, TensorProto]") -> list[tuple[int, list[int]]]:
    found = [tensors[name] for name in names if name in tensors]
    return [(tensor.data_type, list(tensor.dims)) for tensor in found] if len(found) == len(names) else []

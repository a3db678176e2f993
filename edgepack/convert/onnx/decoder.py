"""Llama and its kin as an ONNX graph, weights beside it; keys and values are kept by whoever runs it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

from edgepack.convert.onnx.decoder_data import DataFile
from edgepack.convert.onnx.decoder_graph import DecoderGraph
from edgepack.convert.onnx.decoder_parts import DecoderParts
from edgepack.convert.onnx.decoder_shape import DecoderShape, DecoderWeights
from edgepack.convert.onnx.graph import CONTRIB
from edgepack.domain.decoder import (
    ATTENTION,
    DATA_SUFFIX,
    DECODER_KEY,
    LOGITS,
    DecoderDescription,
    decoder_json,
    past,
    present,
)
from edgepack.domain.encoder import IDS, MASK
from edgepack.domain.quant import OnnxQuant, Quant

_FLOAT, _INT32, _INT64 = 1, 6, 7  # TensorProto.DataType
_LONGEST = 32_768
"""Places that have an angle in the file, 8 to 16 MB of them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Naming:
    """What a decoder is called, beside what it computes."""

    name: str
    quant: Quant | OnnxQuant | None
    parameters: int
    ends: tuple[int, ...]


def write_decoder(
    path: Path, shape: DecoderShape, weights: DecoderWeights, naming: Naming, *, location: str, every: bool = False
) -> str:
    """Write the graph to `path` and the weights behind DATA_SUFFIX; returns the graph's sha256, which knows theirs.

    `location` is the name that the weights' file will have. With `every` it gives logits of each token. Memory
    stays at a slab and the scales of one matrix.
    """
    with _beside(path) as data:
        graph = DecoderGraph(data, location)
        _declare(graph, shape, weights.matrix("token_embd").rows, every=every)
        _compute(DecoderParts(graph, weights, shape.epsilon), shape, every=every)
    description = _description(shape, weights, naming, data, every=every)
    written = graph.serialized(shape.architecture, {DECODER_KEY: decoder_json(description)})
    path.write_bytes(written)
    return sha256(written).hexdigest()


@contextmanager
def _beside(path: Path) -> Iterator[DataFile]:
    with path.with_name(path.name + DATA_SUFFIX).open("wb") as file:
        yield DataFile(file)


def _description(
    shape: DecoderShape, weights: DecoderWeights, naming: Naming, data: DataFile, *, every: bool
) -> DecoderDescription:
    return DecoderDescription(
        name=naming.name, architecture=shape.architecture, quant=naming.quant, parameters=naming.parameters,
        context_length=min(shape.context_length, _LONGEST), vocabulary=weights.matrix("token_embd").rows,
        layers=shape.layers, key_value_heads=shape.key_value_heads, head_width=shape.head_width, ends=naming.ends,
        every=every, data_size=data.size, data_sha256=data.sha256,
    )  # fmt: skip


def _declare(graph: DecoderGraph, shape: DecoderShape, vocabulary: int, *, every: bool) -> None:
    graph.add_value(IDS, _INT64, ["texts", "tokens"], given=True)
    graph.add_value(MASK, _INT64, ["texts", "places"], given=True)
    graph.add_value(LOGITS, _FLOAT, ["texts", "tokens" if every else 1, vocabulary], given=False)
    for layer in range(shape.layers):
        for before, after in zip(past(layer), present(layer), strict=True):
            kept: list[str | int] = ["texts", shape.key_value_heads]
            graph.add_value(before, _FLOAT, [*kept, "past", shape.head_width], given=True)
            graph.add_value(after, _FLOAT, [*kept, "present", shape.head_width], given=False)


def _compute(parts: DecoderParts, shape: DecoderShape, *, every: bool) -> None:
    graph = parts.graph
    places = (*_lengths(graph), *_angles(graph, shape))
    states = parts.embedding(IDS)
    normed = parts.norm(states, "blk.0.attn_norm")
    for layer in range(shape.layers):
        mixed = _attention(parts, shape, layer, normed, places)
        normed, states = parts.norm_of_sum(states, mixed, f"blk.{layer}.ffn_norm")
        wide = parts.gated(parts.linear(normed, f"blk.{layer}.ffn_gate"), parts.linear(normed, f"blk.{layer}.ffn_up"))
        after = f"blk.{layer + 1}.attn_norm" if layer + 1 < shape.layers else "output_norm"
        normed, states = parts.norm_of_sum(states, parts.linear(wide, f"blk.{layer}.ffn_down"), after)
    last = normed if every else graph.node("Gather", normed, graph.wholes(-1), axis=1)
    graph.ending("Identity", [LOGITS], parts.head(last))


def _lengths(graph: DecoderGraph) -> tuple[str, str]:
    """What attention asks of the mask: each text's last place, and how many places there are."""
    count = graph.node("ReduceSum", MASK, graph.wholes(1), keepdims=0)
    last = graph.node("Cast", graph.node("Sub", count, graph.whole(1)), to=_INT32)
    total = graph.node("Gather", graph.node("Shape", MASK), graph.whole(1), axis=0)
    return last, graph.node("Cast", total, to=_INT32)


def _angles(graph: DecoderGraph, shape: DecoderShape) -> tuple[str, str]:
    places = np.arange(min(shape.context_length, _LONGEST), dtype=np.float64)
    angles = np.outer(places, shape.frequencies.astype(np.float64))
    kinds = (("cosines", np.cos(angles)), ("sines", np.sin(angles)))
    first, second = (
        graph.large(name, values.shape, np.dtype(np.float32), [values.astype(np.float32)]) for name, values in kinds
    )
    return first, second


def _attention(parts: DecoderParts, shape: DecoderShape, layer: int, x: str, places: tuple[str, ...]) -> str:
    before, after = past(layer), present(layer)
    last, total, cosines, sines = places
    mixed = f"attention.{layer}"
    parts.graph.ending(
        ATTENTION, [mixed, *after], *_heads(parts, shape, layer, x), *before, last, total, cosines, sines,
        domain=CONTRIB, num_heads=shape.heads, kv_num_heads=shape.key_value_heads,
        scale=float(shape.head_width**-0.5), do_rotary=1, rotary_interleaved=int(shape.interleaved),
    )  # fmt: skip
    return parts.linear(mixed, f"blk.{layer}.attn_output")


def _heads(parts: DecoderParts, shape: DecoderShape, layer: int, x: str) -> tuple[str, str, str]:
    """Queries, keys and values: all in the first where nothing comes between."""
    graph, names = parts.graph, [f"blk.{layer}.attn_{kind}" for kind in "qkv"]
    normed = f"blk.{layer}.attn_q_norm" in parts.weights
    widths = [heads * shape.head_width for heads in (shape.heads, shape.key_value_heads, shape.key_value_heads)]
    if not parts.alike(*names):
        q, k, v = (parts.linear(x, name) for name in names)
    elif not normed:
        return parts.linear(x, *names), "", ""
    else:
        q, k, v = graph.nodes("Split", parts.linear(x, *names), graph.wholes(*widths), count=3, axis=-1)
    if normed:
        q = _head_norm(parts, q, f"blk.{layer}.attn_q_norm", shape.heads, shape.head_width)
        k = _head_norm(parts, k, f"blk.{layer}.attn_k_norm", shape.key_value_heads, shape.head_width)
    return q, k, v


def _head_norm(parts: DecoderParts, x: str, name: str, heads: int, width: int) -> str:
    graph = parts.graph
    apart = graph.node("Reshape", x, graph.wholes(0, 0, heads, width))
    return graph.node("Reshape", parts.norm(apart, name), graph.wholes(0, 0, heads * width))

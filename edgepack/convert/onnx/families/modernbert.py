"""ModernBERT: norms before each half, rotary positions, gated layers; most layers look no farther than a window."""

import re
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from edgepack.convert import blocks
from edgepack.convert.blocks import hidden
from edgepack.convert.config import Config
from edgepack.convert.encoders import linear, positions
from edgepack.convert.family import Default, Family, Key, KeyType, Row, Size
from edgepack.convert.onnx.family import EncoderFamily, Inputs
from edgepack.convert.onnx.heads import first, label_count, mean, pooled
from edgepack.convert.onnx.parts import FAR, Parts
from edgepack.convert.onnx.requirements import ACTIVATIONS, graphed, whole_heads
from edgepack.domain.encoder import Gives

_CLASS: Mapping[str, Default] = {
    "vocab_size": 50368, "hidden_size": 768, "intermediate_size": 1152, "num_hidden_layers": 22,
    "num_attention_heads": 12, "max_position_embeddings": 8192, "norm_eps": 1e-5, "hidden_activation": "gelu",
    "classifier_activation": "gelu", "global_rope_theta": 160000.0, "local_rope_theta": 10000.0,
    "global_attn_every_n_layers": 3, "local_attention": 128, "classifier_pooling": "cls",
}  # fmt: skip
_MOST_POSITIONS = 1 << 16
_TRAINING = re.compile(r"(head\.(dense|norm)|decoder)\..*")


def _name(name: str) -> str | None:
    """Without the class that the encoder was trained in, and None for the head that its training had."""
    return None if _TRAINING.fullmatch(name) else name.removeprefix("model.")


def _name_with_head(name: str) -> str | None:
    return None if name.startswith("decoder.") else name.removeprefix("model.")


def _gated(config: Config) -> int:
    return 2 * blocks.feed_forward(config)


def _threefold(config: Config) -> int:
    return 3 * hidden(config)


def _few_positions(config: Config) -> None:
    if positions(config) > _MOST_POSITIONS:
        raise config.wrong("max_position_embeddings", f"at most {_MOST_POSITIONS}", positions(config))


def _matrix(stored: str, written: str, rows: Size, columns: Size) -> tuple[Row, Row]:
    """A matrix, and a bias that configs may ask for."""
    weight, bias = linear(stored, written, rows, columns)
    return weight, replace(bias, optional=True)


def _norm(stored: str, written: str, *, everywhere: bool = True) -> tuple[Row, Row]:
    """A norm, with a bias where the config asks for it; the first layer has none before its attention."""
    layers = None if everywhere else _behind_first
    return (
        Row(stored=f"{stored}.weight", written=f"{written}.weight", shape=(hidden,), layers=layers),
        Row(stored=f"{stored}.bias", written=f"{written}.bias", shape=(hidden,), layers=layers, optional=True),
    )


def _behind_first(_config: Config, number: int) -> bool:
    return number > 0


_ROWS = (
    Row(stored="embeddings.tok_embeddings.weight", written="token_embd.weight", shape=(blocks.vocabulary, hidden)),
    *_norm("embeddings.norm", "token_embd_norm"),
    *_norm("layers.{n}.attn_norm", "blk.{n}.attn_norm", everywhere=False),
    *_matrix("layers.{n}.attn.Wqkv", "blk.{n}.attn_qkv", _threefold, hidden),
    *_matrix("layers.{n}.attn.Wo", "blk.{n}.attn_output", hidden, hidden),
    *_norm("layers.{n}.mlp_norm", "blk.{n}.ffn_norm"),
    *_matrix("layers.{n}.mlp.Wi", "blk.{n}.ffn_up", _gated, hidden),
    *_matrix("layers.{n}.mlp.Wo", "blk.{n}.ffn_down", hidden, blocks.feed_forward),
    *_norm("final_norm", "output_norm"),
)


def _body(parts: Parts, config: Config, inputs: Inputs) -> str:
    epsilon = config.positive("norm_eps")
    states = parts.norm(parts.embedding(inputs.ids, "token_embd"), "token_embd_norm", epsilon)
    everywhere = parts.masked(inputs.mask)
    length = parts.length(inputs.ids)
    near = parts.graph.node("Add", everywhere, _beyond(parts, config, length))
    turns = {key: _turns(parts, config, key, length) for key in ("global_rope_theta", "local_rope_theta")}
    for number in range(blocks.layers(config)):
        whole = number % config.count("global_attn_every_n_layers") == 0
        turn = turns["global_rope_theta" if whole else "local_rope_theta"]
        states = _layer(parts, config, states, everywhere if whole else near, turn, f"blk.{number}")
    return parts.norm(states, "output_norm", epsilon)


def _layer(parts: Parts, config: Config, states: str, added: str, turn: tuple[str, str], name: str) -> str:
    graph, heads, epsilon = parts.graph, blocks.heads(config), config.positive("norm_eps")
    width = hidden(config) // heads
    seen = parts.norm(states, f"{name}.attn_norm", epsilon) if f"{name}.attn_norm.weight" in parts.weights else states
    three = graph.nodes("Split", parts.linear(seen, f"{name}.attn_qkv"), count=3, axis=-1, num_outputs=3)
    queries, keys, values = (parts.split(part, heads, width) for part in three)
    mixed = parts.attended(
        _turned(parts, queries, turn), _turned(parts, keys, turn), values, added, heads=heads, width=width
    )
    states = graph.node("Add", states, parts.linear(mixed, f"{name}.attn_output"))
    both = parts.linear(parts.norm(states, f"{name}.ffn_norm", epsilon), f"{name}.ffn_up")
    wide, gate = graph.nodes("Split", both, count=2, axis=-1, num_outputs=2)
    gated = graph.node("Mul", parts.activation(wide, str(config.table["hidden_activation"])), gate)
    return graph.node("Add", states, parts.linear(gated, f"{name}.ffn_down"))


def _beyond(parts: Parts, config: Config, length: str) -> str:
    """What is added to scores so that a token looks no farther than half the window: (tokens, tokens)."""
    graph = parts.graph
    places = graph.tensor("places", np.arange(positions(config), dtype=np.int64))
    taken = graph.node("Slice", places, graph.wholes(0), length)
    down, across = (graph.node("Unsqueeze", taken, graph.wholes(axis)) for axis in (1, 0))
    apart = graph.node("Abs", graph.node("Sub", down, across))
    near = graph.node("LessOrEqual", apart, graph.whole(config.count("local_attention") // 2))
    return graph.node("Where", near, graph.number(0.0), graph.number(FAR))


def _turns(parts: Parts, config: Config, key: str, length: str) -> tuple[str, str]:
    """Cosines and sines of each token's rotation: (tokens, width of a head) each."""
    width = hidden(config) // blocks.heads(config)
    # As torch computes them: frequencies and angles in float32.
    speeds = 1 / config.positive(key) ** (np.arange(0, width, 2, dtype=np.float32) / np.float32(width))
    angles = np.arange(positions(config), dtype=np.float32)[:, None] * speeds.astype(np.float32)
    found = []
    for name, wave in (("cos", np.cos), ("sin", np.sin)):
        table = parts.graph.tensor(f"{key}.{name}", np.tile(wave(angles), 2).astype(np.float32))
        found.append(parts.graph.node("Slice", table, parts.graph.wholes(0), length))
    return found[0], found[1]


def _turned(parts: Parts, x: str, turn: tuple[str, str]) -> str:
    """x * cos + (-second half, first half) * sin."""
    graph = parts.graph
    first_half, second_half = graph.nodes("Split", x, count=2, axis=-1, num_outputs=2)
    crossed = graph.node("Concat", graph.node("Neg", second_half), first_half, axis=-1)
    return graph.node("Add", graph.node("Mul", x, turn[0]), graph.node("Mul", crossed, turn[1]))


def _headed(parts: Parts, config: Config, states: str) -> str:
    seen = parts.activation(parts.linear(states, "cls"), str(config.table["classifier_activation"]))
    return parts.linear(parts.norm(seen, "cls_norm", config.positive("norm_eps")), "cls.output")


def _classified(parts: Parts, config: Config, inputs: Inputs, states: str) -> str:
    by_mean = config.table["classifier_pooling"] == "mean"
    return _headed(parts, config, mean(parts, inputs, states) if by_mean else first(parts, states))


def _token_classes(parts: Parts, config: Config, _inputs: Inputs, states: str) -> str:
    return _headed(parts, config, states)


_FAMILY = Family(
    architecture="modernbert", classes={"ModernBertModel": _CLASS, "ModernBertForMaskedLM": _CLASS},
    vocabularies=(), rows=_ROWS, keys=(Key("context_length", KeyType.UINT32, positions),), known_as=_name,
    requires=(
        graphed("hidden_activation", *ACTIVATIONS), graphed("classifier_activation", *ACTIVATIONS),
        graphed("classifier_pooling", "cls", "mean"), graphed("rope_scaling"), graphed("layer_types"),
        graphed("rope_parameters"), whole_heads, _few_positions,
    ),
)  # fmt: skip
_HEAD = (
    *_matrix("head.dense", "cls", hidden, hidden),
    *_norm("head.norm", "cls_norm"),
    *linear("classifier", "cls.output", label_count, hidden),
)


def _with_head(kind: str) -> Family:
    return replace(_FAMILY, classes={kind: _CLASS}, rows=(*_ROWS, *_HEAD), known_as=_name_with_head)


MODERNBERT_VECTORS = EncoderFamily(family=_FAMILY, body=_body, head=pooled, gives=Gives.VECTOR)
MODERNBERT_CLASSES = EncoderFamily(
    family=_with_head("ModernBertForSequenceClassification"), body=_body, head=_classified, gives=Gives.CLASSES
)
MODERNBERT_TOKEN_CLASSES = EncoderFamily(
    family=_with_head("ModernBertForTokenClassification"), body=_body, head=_token_classes, gives=Gives.TOKEN_CLASSES
)

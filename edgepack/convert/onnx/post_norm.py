"""BERT's layers, with a norm behind each half, which its kin have too; tensors' stored names are a family's."""

from edgepack.convert import blocks
from edgepack.convert.config import Config
from edgepack.convert.onnx.family import Inputs
from edgepack.convert.onnx.parts import Parts


def post_norm_body(parts: Parts, config: Config, inputs: Inputs) -> str:
    """Embeddings and layers; the tensors are those that `encoders.encoder` writes."""
    epsilon = config.positive("layer_norm_eps")
    states = parts.norm(_embedded(parts, inputs), "token_embd_norm", epsilon)
    added = parts.masked(inputs.mask)
    for number in range(blocks.layers(config)):
        states = _layer(parts, config, states, added, f"blk.{number}", epsilon)
    return states


def _embedded(parts: Parts, inputs: Inputs) -> str:
    graph = parts.graph
    tokens = parts.embedding(inputs.ids, "token_embd")
    if "token_types.weight" in parts.weights:
        kinds = parts.table("token_types")
        # Where a text has one type only, its embedding is the same for every token.
        kind = graph.node("Gather", kinds, inputs.types or graph.wholes(0))
        tokens = graph.node("Add", tokens, kind)
    places = graph.node("Slice", parts.table("position_embd"), graph.wholes(0), parts.length(inputs.ids))
    return graph.node("Add", tokens, places)


def _layer(parts: Parts, config: Config, states: str, added: str, name: str, epsilon: float) -> str:
    graph, heads = parts.graph, blocks.heads(config)
    width = blocks.hidden(config) // heads
    both = parts.linear(states, f"{name}.attn_q", f"{name}.attn_k", f"{name}.attn_v")
    queries, keys, values = graph.nodes("Split", both, count=3, axis=-1, num_outputs=3)
    mixed = parts.attention(queries, keys, values, added, heads=heads, width=width)
    states = graph.node("Add", parts.linear(mixed, f"{name}.attn_output"), states)
    states = parts.norm(states, f"{name}.attn_output_norm", epsilon)
    wide = parts.activation(parts.linear(states, f"{name}.ffn_up"), str(config.table["hidden_act"]))
    states = graph.node("Add", parts.linear(wide, f"{name}.ffn_down"), states)
    return parts.norm(states, f"{name}.layer_output_norm", epsilon)

"""InternLM2 and 2.5: as LLaMA under other names, with q, k and v in one tensor, group by group of heads."""

from collections.abc import Callable

import numpy as np

from edgepack.convert import blocks
from edgepack.convert.blocks import feed_forward, head_width, hidden, key_value_heads, layer, query, vocabulary
from edgepack.convert.config import Config
from edgepack.convert.family import Family, Key, KeyType, Row, RowOrder
from edgepack.convert.hyperparameters import DECODER_KEYS
from edgepack.convert.requirements import SILU, heads_fill_hidden, only, rope_types, stated
from edgepack.convert.vocabularies.internlm2 import end_of_turn, internlm2


def _fused(config: Config) -> int:
    return query(config) + 2 * blocks.key_value(config)


_QUERIES, _KEY, _VALUE = slice(-2), slice(-2, -1), slice(-1, None)
"""The heads of a group."""


def _of_groups(part: slice, *, rotary: bool = True) -> Callable[[Config], RowOrder]:
    def order(config: Config) -> RowOrder:
        width, groups = head_width(config), key_value_heads(config)
        rows = np.arange(_fused(config)).reshape(groups, -1, width)[:, part]
        # Rotary halves become llama.cpp's interleaved pairs.
        pairs = rows.reshape(-1, 2, width // 2).swapaxes(1, 2) if rotary else rows
        return RowOrder(rows=pairs.reshape(-1), unit=width)

    return order


INTERNLM2 = Family(
    architecture="internlm2",
    # Its class is none of transformers' own: nothing is assumed.
    classes={"InternLM2ForCausalLM": {}},
    requires=(
        SILU, heads_fill_hidden, only("bias", False), rope_types("dynamic", "linear", "yarn"),
        stated("rms_norm_eps", "num_key_value_heads"),
    ),
    keys=DECODER_KEYS,
    keys_after=(Key("tokenizer.ggml.eos_token_id", KeyType.UINT32, end_of_turn),),
    vocabularies=(internlm2,),
    rows=(
        Row(stored="model.tok_embeddings.weight", written="token_embd.weight", shape=(vocabulary, hidden)),
        Row(stored="model.norm.weight", written="output_norm.weight", shape=(hidden,)),
        Row(stored="output.weight", written="output.weight", shape=(vocabulary, hidden)),
        layer("attention_norm.weight", "attn_norm.weight", hidden),
        layer("attention.wqkv.weight", "attn_q.weight", _fused, hidden, order=_of_groups(_QUERIES)),
        layer("attention.wqkv.weight", "attn_k.weight", _fused, hidden, order=_of_groups(_KEY)),
        layer("attention.wqkv.weight", "attn_v.weight", _fused, hidden, order=_of_groups(_VALUE, rotary=False)),
        layer("attention.wo.weight", "attn_output.weight", hidden, query),
        layer("ffn_norm.weight", "ffn_norm.weight", hidden),
        layer("feed_forward.w1.weight", "ffn_gate.weight", feed_forward, hidden),
        layer("feed_forward.w3.weight", "ffn_up.weight", feed_forward, hidden),
        layer("feed_forward.w2.weight", "ffn_down.weight", hidden, feed_forward),
    ),
)  # fmt: skip

"""LFM2 and LFM2.5: short convolutions in most layers, attention with a norm over each head in the others."""

from edgepack.convert import blocks
from edgepack.convert.blocks import head_width, hidden, key_value, layer, layer_kinds, query, vocabulary
from edgepack.convert.config import Config
from edgepack.convert.family import Default, Family, Key, KeyType, Row
from edgepack.convert.hyperparameters import DECODER_KEYS, first
from edgepack.convert.requirements import heads_fill_hidden, only, rope_types
from edgepack.convert.vocabularies.byte_level import byte_level
from edgepack.domain.memory import Working

_kernel = blocks.size("conv_L_cache")


def _attends(config: Config, number: int) -> bool:
    return layer_kinds(config, "conv", "full_attention")[number] == "full_attention"


def _convolves(config: Config, number: int) -> bool:
    return not _attends(config, number)


def _listed_kinds(config: Config) -> list[str]:
    """As older checkpoints list them: by the numbers of the layers that attend."""
    count, key = blocks.layers(config), "full_attn_idxs"
    attending = config.reals(key) if config.has(key) else range(count)
    return ["full_attention" if number in attending else "conv" for number in range(count)]


def _key_value_heads(config: Config) -> tuple[int, ...]:
    return tuple(blocks.key_value_heads(config) * _attends(config, number) for number in range(blocks.layers(config)))


def _feed_forward(config: Config) -> int:
    """A SwiGLU keeps two thirds of the width of the block it stands for, rounded up."""
    width = config.count("block_ff_dim" if config.has("block_ff_dim") else "intermediate_size")
    if not config.flag("block_auto_adjust_ff_dim"):
        return width
    multiple = config.count("block_multiple_of")
    return -(-int(config.positive("block_ffn_dim_multiplier") * int(2 * width / 3)) // multiple) * multiple


def _state(config: Config) -> int:
    """What the kernels see of the tokens before."""
    recurrent = sum(_convolves(config, number) for number in range(blocks.layers(config)))
    return recurrent * (_kernel(config) - 1) * hidden(config)


def _kernel_reaches_back(config: Config) -> None:
    """llama.cpp ends the process where a convolution sees one token alone."""
    if _kernel(config) < 2:
        raise config.wrong("conv_L_cache", "at least 2", _kernel(config))


_CLASS: dict[str, Default] = {
    "max_position_embeddings": 128000, "norm_eps": 1e-5, "vocab_size": 65536, "num_attention_heads": 32,
    "num_key_value_heads": 8, "conv_L_cache": 3, "layer_types": _listed_kinds, "block_multiple_of": 256,
    "block_ffn_dim_multiplier": 1.0, "block_auto_adjust_ff_dim": True,
    "intermediate_size": lambda config: config.table.get("block_ff_dim", 12288),
    "rope_theta": lambda config: config.table.get("theta", 1e6),
    "tie_word_embeddings": lambda config: config.table.get("tie_embedding", True),
}  # fmt: skip

LFM2 = Family(
    architecture="lfm2",
    classes={"Lfm2ForCausalLM": _CLASS, "LFM2ForCausalLM": _CLASS},
    requires=(
        heads_fill_hidden, _kernel_reaches_back, rope_types("linear", "yarn"),
        lambda config: only("theta", config.table.get("rope_theta"))(config),
    ),
    keys=(
        *DECODER_KEYS,
        Key("attention.head_count_kv", KeyType.INT32, _key_value_heads),
        first("vocab_size", KeyType.UINT32, ("vocab_size",)),
        first("shortconv.l_cache", KeyType.UINT32, ("conv_L_cache",)),
        first("attention.layer_norm_rms_epsilon", KeyType.FLOAT32, ("norm_eps",)),
        Key("feed_forward_length", KeyType.UINT32, _feed_forward),
    ),
    caching=_attends,
    state=_state,
    working=lambda config: Working(per_token=7 * hidden(config)),
    vocabularies=(byte_level,),
    rows=(
        Row(stored="model.embed_tokens.weight", written="token_embd.weight", shape=(vocabulary, hidden)),
        Row(stored="model.embedding_norm.weight", written="token_embd_norm.weight", shape=(hidden,)),
        Row(stored="lm_head.weight", written="output.weight", shape=(vocabulary, hidden), optional=True),
        layer("operator_norm.weight", "attn_norm.weight", hidden),
        layer("self_attn.q_proj.weight", "attn_q.weight", query, hidden, layers=_attends),
        layer("self_attn.k_proj.weight", "attn_k.weight", key_value, hidden, layers=_attends),
        layer("self_attn.v_proj.weight", "attn_v.weight", key_value, hidden, layers=_attends),
        layer("self_attn.out_proj.weight", "attn_output.weight", hidden, query, layers=_attends),
        layer("self_attn.q_layernorm.weight", "attn_q_norm.weight", head_width, layers=_attends),
        layer("self_attn.k_layernorm.weight", "attn_k_norm.weight", head_width, layers=_attends),
        layer("conv.in_proj.weight", "shortconv.in_proj.weight", lambda config: 3 * hidden(config), hidden,
              layers=_convolves),
        layer("conv.conv.weight", "shortconv.conv.weight", hidden, lambda _config: 1, _kernel,
              layers=_convolves, becomes=(hidden, _kernel)),
        layer("conv.out_proj.weight", "shortconv.out_proj.weight", hidden, hidden, layers=_convolves),
        layer("ffn_norm.weight", "ffn_norm.weight", hidden),
        layer("feed_forward.w1.weight", "ffn_gate.weight", _feed_forward, hidden),
        layer("feed_forward.w3.weight", "ffn_up.weight", _feed_forward, hidden),
        layer("feed_forward.w2.weight", "ffn_down.weight", hidden, _feed_forward),
    ),
)  # fmt: skip

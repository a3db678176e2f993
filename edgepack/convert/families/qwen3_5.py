"""Qwen 3.5's text part: gated delta nets in most layers, gated attention in the others, one that looks ahead."""

from collections.abc import Callable, Collection
from dataclasses import replace

import numpy as np

from edgepack.convert import blocks
from edgepack.convert.blocks import decoder, head_width, hidden, key_value, layer, one_more, query
from edgepack.convert.config import Config
from edgepack.convert.family import Change, Family, Key, KeyType, RowOrder, Size, text_part_name
from edgepack.convert.hyperparameters import DECODER_KEYS, rope_table_list
from edgepack.convert.requirements import SILU, only, rope_types, stated, unable
from edgepack.convert.vocabularies.byte_level import byte_level
from edgepack.domain.memory import Working

_key_heads, _value_heads = blocks.size("linear_num_key_heads"), blocks.size("linear_num_value_heads")
_head, _kernel = blocks.size("linear_key_head_dim"), blocks.size("linear_conv_kernel_dim")


def _recurs(config: Config, number: int) -> bool:
    kinds = ("linear_attention", "full_attention")
    if not config.has("layer_types"):
        listed = [kinds[n % _interval(config) == 0] for n in range(1, blocks.layers(config) + 1)]
        config = config.over(Config(path=config.path, table={"layer_types": listed}))
    return blocks.layer_kinds(config, *kinds)[number] == kinds[0]


def _attends(config: Config, number: int) -> bool:
    return not _recurs(config, number)


def _interval(config: Config) -> int:
    """Layers from one that attends to the next."""
    return config.count("full_attention_interval") if config.has("full_attention_interval") else 4


def _ahead(config: Config) -> int:
    """Layers behind the others that predict the token after the next."""
    return config.count("mtp_num_hidden_layers") if config.table.get("mtp_num_hidden_layers") else 0


def _as_stored(config: Config, stored: Collection[str]) -> Config:
    """Fine-tuning loses the layer that looks ahead, and keeps the config's word for it."""
    count = int(any(name.startswith("mtp.") for name in stored))
    return config.over(Config(path=config.path, table={"mtp_num_hidden_layers": count}))


def _all_layers(config: Config) -> int:
    count = blocks.layers(config) + _ahead(config)
    return blocks.layers(config.over(Config(path=config.path, table={"num_hidden_layers": count})))


def _recurrent_layers(config: Config) -> tuple[bool, ...] | None:
    if not config.has("layer_types"):
        return None
    return (*(_recurs(config, number) for number in range(blocks.layers(config))), *(False,) * _ahead(config))


def _key_width(config: Config) -> int:
    return _key_heads(config) * _head(config)


def _value_width(config: Config) -> int:
    return _value_heads(config) * _head(config)


def _mixed_width(config: Config) -> int:
    """Queries, keys and values."""
    return 2 * _key_width(config) + _value_width(config)


def _state(config: Config) -> int:
    """A matrix a value head, and what the kernels see of the tokens before."""
    recurrent = sum(_recurs(config, number) for number in range(blocks.layers(config)))
    return recurrent * (_value_width(config) * _head(config) + (_kernel(config) - 1) * _mixed_width(config))


def _working(config: Config) -> Working:
    """Queries, keys and values before and behind their convolution, and half of a layer's matrices again."""
    return Working(
        per_token=3 * hidden(config) + 6 * _key_width(config) + 3 * _value_width(config),
        besides=_value_width(config) * _head(config) // 2,
    )


def _rounds(
    *, before: Size = lambda _config: 0, width: Size = lambda _config: 1
) -> Callable[[Config], RowOrder | None]:
    """Value heads in rounds over the key heads, as llama.cpp repeats these, instead of in groups that share one."""

    def order(config: Config) -> RowOrder | None:
        groups, first, each = _key_heads(config), before(config), width(config)
        if groups == _value_heads(config):
            return None
        rows = np.arange(_value_heads(config) * each).reshape(groups, -1, each).swapaxes(0, 1).reshape(-1)
        return RowOrder(rows=np.concatenate([np.arange(first), first + rows]), unit=each)

    return order


def _columns_in_rounds(config: Config) -> Change | None:
    order = _rounds(width=_head)(config)
    return (lambda rows, _first: rows[:, order.rows]) if order else None


def _rotary_width(config: Config) -> int:
    rope = blocks.rope_settings(config)
    part = rope.positive("partial_rotary_factor") if rope.has("partial_rotary_factor") else 0.25
    width = int(min(part, 2) * head_width(config))
    if width % 2 or not 0 < width <= head_width(config):
        raise rope.wrong("partial_rotary_factor", f"an even part of head_dim {head_width(config)}", part)
    return width


def _sections(config: Config) -> tuple[int, ...]:
    return (*(rope_table_list(config, "mrope_section") or (11, 11, 10)), 0, 0, 0, 0)[:4]


def _sections_suit_text(config: Config) -> None:
    """A text's position is three numbers, all the same, and a zero, which must turn no pair of weights."""
    sections = _sections(config)
    pairs = range(min(_rotary_width(config) // 2, sum(sections)))
    if not 0 < sum(sections) <= head_width(config) or any(pair >= 3 * sections[pair % 3] for pair in pairs):
        raise unable(config, "mrope_section", f"thirds of a head's {head_width(config)} weights", sections)


def _nets_suit(config: Config) -> None:
    """llama.cpp has one width for all heads, and ends the process where a kernel sees one token alone."""
    if _value_heads(config) % _key_heads(config):
        raise config.wrong("linear_num_value_heads", f"a multiple of {_key_heads(config)}", _value_heads(config))
    if _kernel(config) < 2:
        raise config.wrong("linear_conv_kernel_dim", "at least 2", _kernel(config))
    only("linear_value_head_dim", _head(config))(config)


_ATTENTION = (
    layer("self_attn.q_proj.weight", "attn_q.weight", lambda config: 2 * query(config), hidden, layers=_attends),
    layer("self_attn.k_proj.weight", "attn_k.weight", key_value, hidden, layers=_attends),
    layer("self_attn.v_proj.weight", "attn_v.weight", key_value, hidden, layers=_attends),
    layer("self_attn.o_proj.weight", "attn_output.weight", hidden, query, layers=_attends),
    layer("self_attn.q_norm.weight", "attn_q_norm.weight", head_width, layers=_attends, change=one_more),
    layer("self_attn.k_norm.weight", "attn_k_norm.weight", head_width, layers=_attends, change=one_more),
)  # fmt: skip
_FEED_FORWARD = (
    layer("post_attention_layernorm.weight", "post_attention_norm.weight", hidden, change=one_more),
    *blocks.gated_feed_forward()[1:],
)
_AHEAD = tuple(
    replace(row, stored=stored, layers=lambda config, _number: _ahead(config) > 0, block=blocks.layers)
    for row, stored in (
        *((row, row.stored.replace("model.layers.{n}.", "mtp.layers.0.")) for row in (
            layer("input_layernorm.weight", "attn_norm.weight", hidden, change=one_more), *_ATTENTION, *_FEED_FORWARD,
        )),
        (layer("", "nextn.eh_proj.weight", hidden, lambda config: 2 * hidden(config)), "mtp.fc.weight"),
        (layer("", "nextn.enorm.weight", hidden, change=one_more), "mtp.pre_fc_norm_embedding.weight"),
        (layer("", "nextn.hnorm.weight", hidden, change=one_more), "mtp.pre_fc_norm_hidden.weight"),
        (layer("", "nextn.shared_head_norm.weight", hidden, change=one_more), "mtp.norm.weight"),
    )
)  # fmt: skip

QWEN3_5 = Family(
    architecture="qwen35",
    classes={"Qwen3_5ForCausalLM": {}, "Qwen3_5ForConditionalGeneration": {}},
    requires=(
        stated("rms_norm_eps", "num_key_value_heads"), SILU, only("mtp_num_hidden_layers", 0, 1), _nets_suit,
        _sections_suit_text, rope_types("linear", "yarn"),
    ),
    noticed=_as_stored,
    caching=_attends,
    state=_state,
    working=_working,
    known_as=text_part_name,
    keys=(
        *DECODER_KEYS,
        Key("block_count", KeyType.UINT32, _all_layers),
        Key("nextn_predict_layers", KeyType.UINT32, lambda config: _ahead(config) or None),
        Key("ssm.conv_kernel", KeyType.UINT32, _kernel),
        Key("ssm.state_size", KeyType.UINT32, _head),
        Key("ssm.group_count", KeyType.UINT32, _key_heads),
        Key("ssm.time_step_rank", KeyType.UINT32, _value_heads),
        Key("ssm.inner_size", KeyType.UINT32, _value_width),
        Key("attention.recurrent_layers", KeyType.BOOL, _recurrent_layers),
        Key("full_attention_interval", KeyType.UINT32, _interval),
        Key("rope.dimension_count", KeyType.UINT32, _rotary_width),
        Key("rope.dimension_sections", KeyType.INT32, _sections),
    ),
    vocabularies=(byte_level,),
    rows=(
        *decoder(*_ATTENTION, *_FEED_FORWARD, norm_change=one_more),
        layer("linear_attn.in_proj_qkv.weight", "attn_qkv.weight", _mixed_width, hidden, layers=_recurs,
              order=_rounds(before=lambda config: 2 * _key_width(config), width=_head)),
        layer("linear_attn.in_proj_z.weight", "attn_gate.weight", _value_width, hidden, layers=_recurs,
              order=_rounds(width=_head)),
        layer("linear_attn.in_proj_a.weight", "ssm_alpha.weight", _value_heads, hidden, layers=_recurs,
              order=_rounds()),
        layer("linear_attn.in_proj_b.weight", "ssm_beta.weight", _value_heads, hidden, layers=_recurs,
              order=_rounds()),
        layer("linear_attn.conv1d.weight", "ssm_conv1d.weight", _mixed_width, lambda _config: 1, _kernel,
              layers=_recurs, becomes=(_mixed_width, _kernel),
              order=_rounds(before=lambda config: 2 * _key_width(config), width=_head)),
        layer("linear_attn.A_log", "ssm_a", _value_heads, layers=_recurs, order=_rounds(), change=blocks.decay),
        layer("linear_attn.dt_bias", "ssm_dt.bias", _value_heads, layers=_recurs, order=_rounds()),
        layer("linear_attn.norm.weight", "ssm_norm.weight", _head, layers=_recurs),
        layer("linear_attn.out_proj.weight", "ssm_out.weight", hidden, _value_width, layers=_recurs,
              change=_columns_in_rounds),
        *_AHEAD,
    ),
)  # fmt: skip

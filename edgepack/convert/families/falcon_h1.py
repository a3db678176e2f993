"""Falcon-H1: Mamba 2 beside attention in every layer, and multipliers that the weights take in."""

from collections.abc import Callable, Collection
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from edgepack.convert import blocks
from edgepack.convert.blocks import feed_forward, hidden, key_value, layer, query, size, vocabulary
from edgepack.convert.config import Config
from edgepack.convert.family import Change, Family, Key, KeyType, Row, Weights
from edgepack.convert.hyperparameters import HEAD_WIDTHS, first
from edgepack.convert.requirements import SILU, only, rope_types, stated, unable
from edgepack.convert.vocabularies.byte_level import byte_level
from edgepack.domain.memory import Working

_UINT32 = KeyType.UINT32
_inner, _state, _groups = size("mamba_d_ssm"), size("mamba_d_state"), size("mamba_n_groups")
_kernel, _heads = size("mamba_d_conv"), size("mamba_n_heads")
_RowFactors: TypeAlias = Callable[[npt.NDArray[np.int64]], npt.NDArray[np.float32]]
"""By what rows of these numbers are multiplied: one factor a row, or one for all."""
_Factors: TypeAlias = Callable[[Config], _RowFactors]


def _one(_config: Config) -> int:
    return 1


def _parts(config: Config) -> tuple[int, ...]:
    """Rows of Mamba's input: the gate, what goes through, B, C, and the time steps."""
    shared = _groups(config) * _state(config)
    return _inner(config), _inner(config), shared, shared, _heads(config)


def _convolved(config: Config) -> int:
    return sum(_parts(config)[1:4])


def _memory(config: Config) -> int:
    """A matrix a head of Mamba, and what the kernels see of the tokens before."""
    return blocks.layers(config) * (_inner(config) * _state(config) + (_kernel(config) - 1) * _convolved(config))


def _working(config: Config) -> Working:
    """While Mamba scans, its input, the convolved twice and the scanned are alive, and attention's share waits."""
    mamba = sum(_parts(config)) + 2 * _convolved(config) + _inner(config)
    return Working(per_token=3 * hidden(config) + query(config) + mamba, besides=_inner(config) * _state(config))


def _one_for_all(factor: float) -> _RowFactors:
    return lambda _numbers: np.array(factor, np.float32)


def _said(key: str) -> _Factors:
    return lambda config: _one_for_all(config.real(key))


def _listed(config: Config, key: str, count: int) -> tuple[float, ...]:
    factors = config.reals(key)
    if len(factors) != count:
        raise config.wrong(key, f"{count} numbers", list(factors))
    return factors


def _of_mlp(place: int) -> _Factors:
    return lambda config: _one_for_all(_listed(config, "mlp_multipliers", 2)[place])


def _of_parts(config: Config) -> _RowFactors:
    factors, ends = np.array(_listed(config, "ssm_multipliers", 5), np.float32), np.cumsum(_parts(config))
    return lambda numbers: factors[np.searchsorted(ends, numbers, side="right")][:, None]


def _times(*factors: _Factors) -> Callable[[Config], Change]:
    """Weights by one factor after the other, each product rounded."""

    def change(config: Config) -> Change:
        each = [factor(config) for factor in factors]

        def multiplied(rows: Weights, first: int) -> Weights:
            for of_rows in each:
                product = rows.astype(np.float32) * of_rows(np.arange(first, first + len(rows)))
                rows = product.astype(np.float16) if rows.dtype == np.float16 else product
            return rows

        return multiplied

    return change


def _mamba_suits(config: Config) -> None:
    heads, groups, width = _heads(config), _groups(config), config.count("mamba_d_head")
    if heads * width != _inner(config) or heads % groups:
        raise config.wrong("mamba_n_heads", f"heads of {width} weights, in {groups} groups, fill mamba_d_ssm", heads)
    if _kernel(config) < 2:
        raise config.wrong("mamba_d_conv", "at least 2", _kernel(config))
    if config.flag("mamba_rms_norm"):
        only("mamba_norm_before_gate", False)(config.with_defaults({"mamba_norm_before_gate": True}))


def _head_is_scaled(config: Config, stored: Collection[str]) -> Config:
    """llama.cpp takes a tied head from the embedding, multiplied as that is."""
    embedding, head = (config.real(f"{part}_multiplier") for part in ("embedding", "lm_head"))
    if embedding != head and "lm_head.weight" not in stored:
        raise unable(
            config, "lm_head_multiplier", f"embedding_multiplier's {embedding:g}, where the head is tied,", head
        )
    return config


_ATTENTION_IN = _said("attention_in_multiplier")

FALCON_H1 = Family(
    architecture="falcon-h1",
    classes={"FalconH1ForCausalLM": {}},
    requires=(
        stated("head_dim", "num_key_value_heads", "rms_norm_eps"), SILU, rope_types(), only("mamba_conv_bias", True),
        _mamba_suits,
    ),
    noticed=_head_is_scaled,
    state=_memory,
    working=_working,
    keys=(
        first("context_length", _UINT32, ("max_position_embeddings",)),
        Key("embedding_length", _UINT32, hidden),
        Key("feed_forward_length", _UINT32, feed_forward),
        Key("attention.head_count", _UINT32, blocks.heads),
        Key("block_count", _UINT32, blocks.layers),
        Key("ssm.conv_kernel", _UINT32, _kernel),
        Key("ssm.inner_size", _UINT32, _inner),
        Key("ssm.state_size", _UINT32, _state),
        Key("ssm.time_step_rank", _UINT32, _heads),
        Key("ssm.group_count", _UINT32, _groups),
        first("attention.layer_norm_rms_epsilon", KeyType.FLOAT32, ("layer_norm_epsilon", "rms_norm_eps")),
        Key("vocab_size", _UINT32, vocabulary),
        Key("attention.head_count_kv", _UINT32, blocks.key_value_heads),
        *HEAD_WIDTHS,
        Key("rope.freq_base", KeyType.FLOAT32, lambda config: blocks.rope_settings(config).positive("rope_theta")),
    ),
    vocabularies=(byte_level,),
    rows=(
        Row(stored="model.embed_tokens.weight", written="token_embd.weight", shape=(vocabulary, hidden),
            change=_times(_said("embedding_multiplier"))),
        Row(stored="model.final_layernorm.weight", written="output_norm.weight", shape=(hidden,)),
        Row(stored="lm_head.weight", written="output.weight", shape=(vocabulary, hidden), optional=True,
            change=_times(_said("lm_head_multiplier"))),
        layer("input_layernorm.weight", "attn_norm.weight", hidden),
        layer("self_attn.q_proj.weight", "attn_q.weight", query, hidden, change=_times(_ATTENTION_IN)),
        layer("self_attn.k_proj.weight", "attn_k.weight", key_value, hidden,
              change=_times(_said("key_multiplier"), _ATTENTION_IN)),
        layer("self_attn.v_proj.weight", "attn_v.weight", key_value, hidden, change=_times(_ATTENTION_IN)),
        layer("self_attn.o_proj.weight", "attn_output.weight", hidden, query,
              change=_times(_said("attention_out_multiplier"))),
        layer("mamba.in_proj.weight", "ssm_in.weight", lambda config: sum(_parts(config)), hidden,
              change=_times(_said("ssm_in_multiplier"), _of_parts)),
        layer("mamba.conv1d.weight", "ssm_conv1d.weight", _convolved, _one, _kernel,
              becomes=(_convolved, _kernel)),
        layer("mamba.conv1d.bias", "ssm_conv1d.bias", _convolved),
        layer("mamba.A_log", "ssm_a", _heads, becomes=(_heads, _one), change=blocks.decay),
        layer("mamba.D", "ssm_d", _heads, becomes=(_heads, _one)),
        layer("mamba.dt_bias", "ssm_dt.bias", _heads),
        layer("mamba.norm.weight", "ssm_norm.weight", _inner, layers=lambda config, _n: config.flag("mamba_rms_norm"),
              becomes=(_groups, lambda config: _inner(config) // _groups(config))),
        layer("mamba.out_proj.weight", "ssm_out.weight", hidden, _inner, change=_times(_said("ssm_out_multiplier"))),
        # Its name ends here, in llama.cpp too.
        layer("pre_ff_layernorm.weight", "ffn_norm", hidden),
        layer("feed_forward.gate_proj.weight", "ffn_gate.weight", feed_forward, hidden, change=_times(_of_mlp(0))),
        layer("feed_forward.up_proj.weight", "ffn_up.weight", feed_forward, hidden),
        layer("feed_forward.down_proj.weight", "ffn_down.weight", hidden, feed_forward, change=_times(_of_mlp(1))),
    ),
)  # fmt: skip

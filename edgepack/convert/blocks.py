"""Sizes, rows and changes that many decoder families share, named once."""

import math
from collections.abc import Callable

import numpy as np

from edgepack.convert.config import Config
from edgepack.convert.family import Array, GeneratedTensor, Row, RowChange, Size


def size(key: str) -> Size:
    """The size that config.json gives under `key`."""
    return lambda config: config.count(key)


vocabulary = size("vocab_size")
hidden = size("hidden_size")
feed_forward = size("intermediate_size")
heads = size("num_attention_heads")
_MOST_LAYERS = 512
"""llama.cpp ends the process beyond it (LLAMA_MAX_LAYERS in llama-hparams.h)."""


def layers(config: Config) -> int:
    count = config.count("num_hidden_layers")
    if count > _MOST_LAYERS:
        raise config.wrong("num_hidden_layers", f"at most {_MOST_LAYERS}", count)
    return count


def key_value_heads(config: Config) -> int:
    """Heads that keep keys and values; each serves an equal group of query heads."""
    count = config.count("num_key_value_heads") if config.has("num_key_value_heads") else heads(config)
    if heads(config) % count:
        raise config.wrong("num_key_value_heads", f"a divisor of num_attention_heads {heads(config)}", count)
    return count


def head_width(config: Config) -> int:
    """Weights a head; rotary embeddings turn pairs of them."""
    width = config.count("head_dim") if config.has("head_dim") else hidden(config) // heads(config)
    if width < 2 or width % 2:
        raise config.wrong("head_dim", "an even number above zero", width)
    return width


def query(config: Config) -> int:
    return heads(config) * head_width(config)


def key_value(config: Config) -> int:
    return key_value_heads(config) * head_width(config)


def interleave_halves(count: Size) -> Callable[[Config], RowChange]:
    """Rows of each head from the checkpoint's two rotary halves into llama.cpp's interleaved pairs."""

    def change(config: Config) -> RowChange:
        width = head_width(config)

        def apply(rows: Array) -> Array:
            per_head = rows.reshape(-1, 2, width // 2, rows.shape[-1])
            return np.ascontiguousarray(per_head.swapaxes(1, 2)).reshape(rows.shape)

        return RowChange(unit=width, apply=apply)

    return change


def decoder(*layer_rows: Row) -> tuple[Row, ...]:
    """The rows of a decoder: embedding, layers, final norm, and a head unless it is tied."""
    return (
        Row(stored="model.embed_tokens.weight", written="token_embd.weight", shape=(vocabulary, hidden)),
        Row(stored="model.norm.weight", written="output_norm.weight", shape=(hidden,)),
        Row(stored="lm_head.weight", written="output.weight", shape=(vocabulary, hidden), optional=True),
        layer("input_layernorm.weight", "attn_norm.weight", hidden),
        *layer_rows,
    )


def layer(
    stored: str,
    written: str,
    *shape: Size,
    optional: bool = False,
    change: Callable[[Config], RowChange] | None = None,
) -> Row:
    """A row of every layer."""
    return Row(
        stored=f"model.layers.{{n}}.{stored}", written=f"blk.{{n}}.{written}", shape=shape,
        optional=optional, change=change,
    )  # fmt: skip


def attention(*, rotary: bool, biased: bool) -> tuple[Row, ...]:
    """Grouped-query attention; `rotary` reorders q and k rows, `biased` says that q, k and v must have biases."""
    q = interleave_halves(heads) if rotary else None
    k = interleave_halves(key_value_heads) if rotary else None
    optional = not biased
    return (
        layer("self_attn.q_proj.weight", "attn_q.weight", query, hidden, change=q),
        layer("self_attn.k_proj.weight", "attn_k.weight", key_value, hidden, change=k),
        layer("self_attn.v_proj.weight", "attn_v.weight", key_value, hidden),
        layer("self_attn.o_proj.weight", "attn_output.weight", hidden, query),
        layer("self_attn.q_proj.bias", "attn_q.bias", query, optional=optional, change=q),
        layer("self_attn.k_proj.bias", "attn_k.bias", key_value, optional=optional, change=k),
        layer("self_attn.v_proj.bias", "attn_v.bias", key_value, optional=optional),
        layer("self_attn.o_proj.bias", "attn_output.bias", hidden, optional=True),
    )


def gated_feed_forward() -> tuple[Row, ...]:
    """SwiGLU: down(silu(gate) * up), after its norm."""
    return (
        layer("post_attention_layernorm.weight", "ffn_norm.weight", hidden),
        layer("mlp.gate_proj.weight", "ffn_gate.weight", feed_forward, hidden),
        layer("mlp.up_proj.weight", "ffn_up.weight", feed_forward, hidden),
        layer("mlp.down_proj.weight", "ffn_down.weight", hidden, feed_forward),
    )


def rope_settings(config: Config) -> Config:
    """Rotary settings, whichever of the two names (and shapes) the checkpoint's age gave them."""
    settings = config.section("rope_parameters" if config.has("rope_parameters") else "rope_scaling")
    outer = {key: config.table[key] for key in ("rope_theta",) if config.has(key)}
    named = dict(settings.table)
    if "rope_type" not in named and "type" in named:
        named["rope_type"] = named["type"]
    return Config(path=config.path, table={**outer, **named})


def llama3_rope_factors(config: Config) -> GeneratedTensor | None:
    """Llama 3's frequency factors, computed in float32 as the reference does: float64 gives other bits."""
    rope = rope_settings(config)
    if (rope.text("rope_type") or "").lower() != "llama3":
        return None
    width = head_width(config)
    theta = np.float32(rope.positive("rope_theta") if rope.has("rope_theta") else 10000.0)
    steps = np.arange(0, width, 2, dtype=np.float32) / np.float32(width)
    frequencies = np.float32(1.0) / np.power(theta, steps, dtype=np.float32)
    scale = _Llama3Scale(rope)
    values = [scale.factor_of(frequency) for frequency in frequencies]
    return GeneratedTensor(name="rope_freqs.weight", values=np.array(values, dtype=np.float32))


class _Llama3Scale:
    """The bounds between which a frequency's factor slides from 1 to `factor`."""

    def __init__(self, rope: Config) -> None:
        self.factor = rope.positive("factor") if rope.has("factor") else 8.0
        self.low = rope.positive("low_freq_factor") if rope.has("low_freq_factor") else 1.0
        self.high = rope.positive("high_freq_factor") if rope.has("high_freq_factor") else 4.0
        key = "original_max_position_embeddings"
        self.context = rope.positive(key) if rope.has(key) else 8192.0
        if self.high <= self.low:
            raise rope.wrong("high_freq_factor", f"above low_freq_factor {self.low:g}", self.high)

    def factor_of(self, frequency: np.float32) -> np.float32:
        wavelength = np.float32(2 * math.pi) / frequency
        if wavelength < self.context / self.high:
            return np.float32(1)
        if wavelength > self.context / self.low:
            return np.float32(self.factor)
        one = np.float32(1)
        smooth = (np.float32(self.context) / wavelength - np.float32(self.low)) / np.float32(self.high - self.low)
        return one / ((one - smooth) / np.float32(self.factor) + smooth)

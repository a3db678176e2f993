"""Sizes, rows and changes that many decoder families share, named once."""

import math
from collections.abc import Callable

import numpy as np

from edgepack.convert.config import Config
from edgepack.convert.family import Change, GeneratedTensor, Row, RowOrder, Size


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


def layer_kinds(config: Config, *kinds: str) -> tuple[str, ...]:
    """What each layer of a hybrid is, as `layer_types` lists it.

    Each of `kinds` must occur: llama.cpp ends the process where one of a hybrid's two memories is empty.
    """
    listed = config.texts("layer_types")
    if len(listed) != layers(config) or set(listed) != set(kinds):
        raise config.wrong("layer_types", f"{layers(config)} layers, some {' and some '.join(kinds)}", list(listed))
    return listed


def window(*, silent: int) -> Size:
    """Tokens that layers with a window see, `silent` where config.json says nothing; llama.cpp counts in 31 bits."""

    def tokens(config: Config) -> int:
        count = config.count("sliding_window") if "sliding_window" in config.table else silent
        if count >= 1 << 31:
            raise config.wrong("sliding_window", f"less than {1 << 31}", count)
        return count

    return tokens


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


def rotary_pairs(heads: Size, *, before: Size | None = None) -> Callable[[Config], RowOrder]:
    """Rows of each head from the checkpoint's two rotary halves into llama.cpp's interleaved pairs.

    The heads' rows begin behind the `before` first of the stored tensor.
    """

    def order(config: Config) -> RowOrder:
        width, count = head_width(config), heads(config)
        first = before(config) if before else 0
        rows = np.arange(first, first + count * width).reshape(count, 2, width // 2)
        return RowOrder(rows=rows.swapaxes(1, 2).reshape(-1), unit=width)

    return order


def part(rows: Size, *, before: Size) -> Callable[[Config], RowOrder]:
    """`rows` rows of a fused tensor, behind its `before` first."""
    return lambda config: RowOrder(rows=np.arange(before(config), before(config) + rows(config)))


def decoder(
    *layer_rows: Row,
    head: bool = True,
    norm_before: bool = True,
    norm_change: Callable[[Config], Change | None] | None = None,
) -> tuple[Row, ...]:
    """The rows of a decoder: embedding, layers, final norm, and, if it may have one, a head unless it is tied."""
    embedding = Row(stored="model.embed_tokens.weight", written="token_embd.weight", shape=(vocabulary, hidden))
    norm = Row(stored="model.norm.weight", written="output_norm.weight", shape=(hidden,), change=norm_change)
    output = Row(stored="lm_head.weight", written="output.weight", shape=(vocabulary, hidden), optional=True)
    before = layer("input_layernorm.weight", "attn_norm.weight", hidden, change=norm_change)
    return (embedding, norm, *((output,) if head else ()), *((before,) if norm_before else ()), *layer_rows)


def one_more(_config: Config) -> Change:
    """Gemma's norms multiply by one more than they hold."""
    return lambda rows, _first: rows + np.float32(1)


def decay(_config: Config) -> Change:
    """State spaces keep the logarithm of how fast they forget.

    The oracle's float32 exponential is one bit off in one of a hundred values or more, by the processor's kind;
    this one is the nearest.
    """
    return lambda rows, _first: -np.exp(rows.astype(np.float64)).astype(np.float32)


def layer(
    stored: str,
    written: str,
    *shape: Size,
    optional: bool = False,
    layers: Callable[[Config, int], bool] | None = None,
    order: Callable[[Config], RowOrder | None] | None = None,
    change: Callable[[Config], Change | None] | None = None,
    becomes: tuple[Size, ...] | None = None,
) -> Row:
    """A row of every layer, or of those that `layers` names."""
    return Row(
        stored=f"model.layers.{{n}}.{stored}", written=f"blk.{{n}}.{written}", shape=shape,
        optional=optional, layers=layers, order=order, change=change, becomes=becomes,
    )  # fmt: skip


def unbiased_attention(*, rotary: bool) -> tuple[Row, ...]:
    """Grouped-query attention without biases; `rotary` reorders q and k rows."""
    q = rotary_pairs(heads) if rotary else None
    k = rotary_pairs(key_value_heads) if rotary else None
    return (
        layer("self_attn.q_proj.weight", "attn_q.weight", query, hidden, order=q),
        layer("self_attn.k_proj.weight", "attn_k.weight", key_value, hidden, order=k),
        layer("self_attn.v_proj.weight", "attn_v.weight", key_value, hidden),
        layer("self_attn.o_proj.weight", "attn_output.weight", hidden, query),
    )


def attention(*, rotary: bool, biased: bool) -> tuple[Row, ...]:
    """Grouped-query attention; `rotary` reorders q and k rows, `biased` says that q, k and v must have biases."""
    q = rotary_pairs(heads) if rotary else None
    k = rotary_pairs(key_value_heads) if rotary else None
    optional = not biased
    return (
        *unbiased_attention(rotary=rotary),
        layer("self_attn.q_proj.bias", "attn_q.bias", query, optional=optional, order=q),
        layer("self_attn.k_proj.bias", "attn_k.bias", key_value, optional=optional, order=k),
        layer("self_attn.v_proj.bias", "attn_v.bias", key_value, optional=optional),
        layer("self_attn.o_proj.bias", "attn_output.bias", hidden, optional=True),
    )


def gated_feed_forward(
    *, norm: str = "post_attention_layernorm", norm_change: Callable[[Config], Change | None] | None = None
) -> tuple[Row, ...]:
    """down(act(gate) * up), after its norm."""
    return (
        layer(f"{norm}.weight", "ffn_norm.weight", hidden, change=norm_change),
        layer("mlp.gate_proj.weight", "ffn_gate.weight", feed_forward, hidden),
        layer("mlp.up_proj.weight", "ffn_up.weight", feed_forward, hidden),
        layer("mlp.down_proj.weight", "ffn_down.weight", hidden, feed_forward),
    )


_ROPE_BASES = ("global_rope_theta", "rope_global_theta", "rope_theta_global", "rope_theta", "rotary_emb_base")
_LOCAL_ROPE_BASES = (
    "local_rope_theta", "rope_local_theta", "rope_theta_local", "swa_rope_theta", "rope_local_base_freq",
)  # fmt: skip
_ROTARY_PARTS = ("partial_rotary_factor", "rope_pct", "rope_percent")


def rope_settings(config: Config) -> Config:
    """Rotary settings of the layers that attend to everything, whichever names and shapes the checkpoint's age gave.

    Keys: rope_theta, rope_type, partial_rotary_factor, original_max_position_embeddings, and a scaling's own.
    """
    settings = _rope_table(config)
    if settings.has("full_attention"):
        return settings.section("full_attention")
    if settings.has("sliding_attention"):
        return settings
    named = dict(settings.table)
    if "rope_type" not in named and "type" in named:
        named["rope_type"] = named["type"]
    outer = {
        "rope_theta": _first_said(config, _ROPE_BASES),
        "partial_rotary_factor": _first_said(config, _ROTARY_PARTS),
        "original_max_position_embeddings": config.table.get("original_max_position_embeddings"),
    }
    said = {key: value for key, value in outer.items() if value is not None}
    return Config(path=config.path, table={**said, **named})


def rotary_width(config: Config) -> int:
    """Weights of each head that rotary embeddings turn, where they turn a part of it; so the Phi family counts."""
    width = int(rope_settings(config).positive("partial_rotary_factor") * hidden(config)) // heads(config)
    if width % 2 or not 0 < width <= head_width(config):
        raise config.wrong("partial_rotary_factor", f"an even part of {head_width(config)}", width)
    return width


def sliding_rope_base(config: Config) -> float | None:
    """The rotary base of the layers that see a window only, where it is another."""
    settings = _rope_table(config)
    if settings.has("sliding_attention"):
        sliding = settings.section("sliding_attention")
        return sliding.positive("rope_theta") if sliding.has("rope_theta") else None
    name = next((name for name in _LOCAL_ROPE_BASES if config.has(name)), None)
    return config.positive(name) if name and not settings.has("full_attention") else None


def _rope_table(config: Config) -> Config:
    return config.section("rope_parameters" if config.has("rope_parameters") else "rope_scaling")


def _first_said(config: Config, names: tuple[str, ...]) -> object:
    return next((config.table[name] for name in names if config.has(name)), None)


def long_rope_factors(
    width: Size,
) -> tuple[Callable[[Config], GeneratedTensor | None], Callable[[Config], GeneratedTensor | None]]:
    """LongRoPE's two lists of factors, for contexts beyond the original one and within it; one factor a pair."""

    def factors(kind: str) -> Callable[[Config], GeneratedTensor | None]:
        def make(config: Config) -> GeneratedTensor | None:
            rope = rope_settings(config)
            if not rope.has("long_factor"):
                return None
            values = rope.reals(f"{kind}_factor")
            if len(values) != width(config) // 2:
                raise rope.wrong(f"{kind}_factor", f"{width(config) // 2} factors", len(values))
            return GeneratedTensor(name=f"rope_factors_{kind}.weight", values=np.array(values, dtype=np.float32))

        return make

    return factors("long"), factors("short")


def llama3_rope_factors(config: Config, *, factor: float = 8.0) -> GeneratedTensor | None:
    """Llama 3's frequency factors, computed in float32 as the reference does: float64 gives other bits.

    The largest is `factor` where the checkpoint does not say it.
    """
    rope = rope_settings(config)
    if (rope.text("rope_type") or "").lower() != "llama3":
        return None
    width = head_width(config)
    theta = np.float32(rope.positive("rope_theta") if rope.has("rope_theta") else 10000.0)
    steps = np.arange(0, width, 2, dtype=np.float32) / np.float32(width)
    frequencies = np.float32(1.0) / np.power(theta, steps, dtype=np.float32)
    scale = _Llama3Scale(rope, factor)
    values = [scale.factor_of(frequency) for frequency in frequencies]
    return GeneratedTensor(name="rope_freqs.weight", values=np.array(values, dtype=np.float32))


class _Llama3Scale:
    """The bounds between which a frequency's factor slides from 1 to `factor`."""

    def __init__(self, rope: Config, factor: float) -> None:
        self.factor = rope.positive("factor") if rope.has("factor") else factor
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

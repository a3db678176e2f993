"""What families require of a config where llama.cpp can do less than the checkpoint's class; knows no family."""

import reprlib
from collections.abc import Callable
from typing import TypeAlias

from edgepack.convert import blocks
from edgepack.convert.config import Config
from edgepack.convert.family import Size
from edgepack.domain.errors import BadInputError

Requirement: TypeAlias = Callable[[Config], None]


def unable(config: Config, key: str, can: str, value: object) -> BadInputError:
    """The error to raise for an honest value that llama.cpp has no code for."""
    return BadInputError(
        f"{config.path}: {key}: llama.cpp computes this architecture with {can} only, got {reprlib.repr(value)}",
        hint="choose another model: the GGUF would not load, or not compute what the checkpoint does",
    )


def only(key: str, *values: object) -> Requirement:
    """The config says one of `values` under `key`, or nothing."""

    def check(config: Config) -> None:
        value = config.table.get(key)
        if value is not None and value not in values:
            raise unable(config, key, " or ".join(map(repr, values)) or "null", value)

    return check


def stated(*keys: str) -> Requirement:
    """The config says something under each of `keys`: there is no default."""

    def check(config: Config) -> None:
        for key in keys:
            if not config.has(key):
                raise config.wrong(key, "a value", None)

    return check


def heads_fill_hidden(config: Config) -> None:
    """llama.cpp takes head widths of hidden_size / num_attention_heads from some architectures alone."""
    width = blocks.hidden(config) // blocks.heads(config)
    if blocks.query(config) != blocks.hidden(config):
        raise unable(config, "head_dim", f"{width}, by which heads fill hidden_size,", blocks.head_width(config))


def rope_types(*kinds: str) -> Requirement:
    """The rotary embeddings are plain, or scaled in one of the ways named."""

    def check(config: Config) -> None:
        rope = blocks.rope_settings(config)
        kind = rope.text("rope_type") or "default"
        if kind not in ("default", *kinds):
            raise unable(rope, "rope_type", f"rotary embeddings that are {' or '.join(('plain', *kinds))}", kind)

    return check


SILU: Requirement = only("hidden_act", "silu")
"""Gates are SwiGLU's."""

NO_ATTENTION_BIAS: Requirement = only("attention_bias", False)
"""The output projection has no bias."""


def tanh_gelu(key: str) -> Requirement:
    """GELU by its tangent, whatever the class calls it."""
    return only(key, "gelu_pytorch_tanh", "gelu_new", "gelu_fast")


def rope_base(base: float) -> Requirement:
    """Rotary embeddings of the base that llama.cpp takes where the GGUF names none, and unscaled."""
    plain = rope_types()

    def check(config: Config) -> None:
        plain(config)
        rope = blocks.rope_settings(config)
        if rope.has("rope_theta") and rope.real("rope_theta") != base:
            raise unable(rope, "rope_theta", f"{base:g}", rope.table["rope_theta"])

    return check


def gemma_scale(*, largest: int) -> Requirement:
    """Queries are scaled by a head's width; in the model of `largest` layers by a head's share of the hidden size."""

    def check(config: Config) -> None:
        shares = blocks.layers(config) == largest
        width = blocks.hidden(config) // blocks.heads(config) if shares else blocks.head_width(config)
        only("query_pre_attn_scalar", width)(config)

    return check


def windows(*, turn: Size) -> Requirement:
    """Every `turn`-th layer attends to everything, the others to a window."""

    def check(config: Config) -> None:
        numbers = range(1, blocks.layers(config) + 1)
        kinds = ["sliding_attention" if number % turn(config) else "full_attention" for number in numbers]
        if config.has("layer_types") and [*config.texts("layer_types")] != kinds:
            can = f"full attention in every layer whose number {turn(config)} divides"
            raise unable(config, "layer_types", can, config.table["layer_types"])

    return check

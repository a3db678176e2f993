"""The keys that every decoder writes, in the oracle's order; what only some write is in their families."""

from edgepack.convert import blocks
from edgepack.convert.config import Config, read_json
from edgepack.convert.family import Key, KeyType

_SCALINGS = frozenset({"default", "dynamic", "linear", "llama3", "longrope", "su", "yarn"})
_UINT32, _FLOAT32, _STRING = KeyType.UINT32, KeyType.FLOAT32, KeyType.STRING


def _context(config: Config) -> int:
    return config.count("max_position_embeddings")


def _scaling(config: Config) -> str | None:
    """The rope scaling that has a key; llama3's is a tensor, `default` is none, `dynamic` begins past the context."""
    rope = blocks.rope_settings(config)
    kind = rope.text("rope_type")
    if (kind or "default").lower() not in _SCALINGS:
        raise rope.wrong("rope_type", f"one of {', '.join(sorted(_SCALINGS))}", kind)
    if kind in ("linear", "yarn") and rope.has("factor"):
        return kind
    return "longrope" if kind in ("su", "longrope") else None


def _scaling_factor(config: Config) -> float | None:
    return blocks.rope_settings(config).positive("factor") if _scaling(config) in ("linear", "yarn") else None


def _yarn_context(config: Config) -> int | None:
    if _scaling(config) != "yarn":
        return None
    key = "original_max_position_embeddings"
    rope = blocks.rope_settings(config)
    return rope.count(key) if rope.has(key) else config.count(key)


def _yarn(*names: str) -> Key:
    """A yarn setting under the first of its names that the checkpoint uses."""
    suffix = {"extrapolation_factor": "ext_factor", "attention_factor": "attn_factor"}.get(names[0], names[0])

    def value(config: Config) -> float | None:
        rope = blocks.rope_settings(config)
        said = [name for name in names if rope.has(name)]
        return rope.real(said[0]) if said and _scaling(config) == "yarn" else None

    return Key(f"rope.scaling.yarn_{suffix}", _FLOAT32, value)


def original_context(config: Config) -> int:
    """Tokens before the rotary embeddings were stretched."""
    return blocks.rope_settings(config).count("original_max_position_embeddings")


def rope_base(config: Config) -> float | None:
    rope = blocks.rope_settings(config)
    return rope.positive("rope_theta") if rope.has("rope_theta") else None


def first(name: str, type: KeyType, keys: tuple[str, ...], *, positive: bool = True) -> Key:
    """The value of the first of `keys` that config.json has, if it has one; a count where `type` is UINT32."""

    def value(config: Config) -> int | float | None:
        said = next((key for key in keys if config.has(key)), None)
        if said is None:
            return None
        if type is KeyType.UINT32:
            return config.count(said)
        return config.positive(said) if positive else config.real(said)

    return Key(name, type, value)


def _causal(config: Config) -> bool | None:
    return False if config.table.get("is_causal") is False else None


def _rope_sections(config: Config) -> tuple[int, ...] | None:
    """How multimodal rotary embeddings share a head between time, height, width and one more."""
    sections = rope_table_list(config, "mrope_section")
    return (*sections, 0, 0, 0, 0)[:4] if sections else None


def rope_table_list(config: Config, key: str) -> tuple[int, ...]:
    """Whole numbers that the rotary settings list under `key`; empty where they do not."""
    return tuple(int(value) for value in blocks.rope_settings(config).reals(key))


HEAD_WIDTHS = (
    first("attention.key_length", _UINT32, ("head_dim",)),
    first("attention.value_length", _UINT32, ("head_dim",)),
)
"""Written only where config.json says it, or its class does."""

GEMMA_KEYS: tuple[Key, ...] = (
    Key("context_length", _UINT32, _context),
    Key("embedding_length", _UINT32, blocks.hidden),
    Key("block_count", _UINT32, blocks.layers),
    Key("feed_forward_length", _UINT32, blocks.feed_forward),
    Key("attention.head_count", _UINT32, blocks.heads),
    Key("attention.head_count_kv", _UINT32, blocks.key_value_heads),
    first("attention.layer_norm_rms_epsilon", _FLOAT32, ("rms_norm_eps",)),
    *HEAD_WIDTHS,
)
"""What Gemma 1 and 2 write instead."""

_MOST_KEYS: tuple[Key, ...] = (
    Key("block_count", _UINT32, blocks.layers),
    Key("context_length", _UINT32, _context),
    Key("embedding_length", _UINT32, blocks.hidden),
    Key("feed_forward_length", _UINT32, blocks.feed_forward),
    Key("attention.head_count", _UINT32, blocks.heads),
    Key("attention.head_count_kv", _UINT32, blocks.key_value_heads),
    Key("attention.causal", KeyType.BOOL, _causal),
    Key("rope.scaling.type", _STRING, _scaling),
    Key("rope.scaling.factor", _FLOAT32, _scaling_factor),
    Key("rope.scaling.original_context_length", _UINT32, _yarn_context),
    _yarn("extrapolation_factor"),
    _yarn("attention_factor", "attn_factor"),
    _yarn("beta_fast"),
    _yarn("beta_slow"),
    Key("rope.dimension_sections", KeyType.INT32, _rope_sections),
    Key("rope.freq_base", _FLOAT32, rope_base),
    Key("rope.freq_base_swa", _FLOAT32, blocks.sliding_rope_base),
    first("attention.layer_norm_rms_epsilon", _FLOAT32, ("rms_norm_eps", "norm_eps")),
    first("attention.layer_norm_epsilon", _FLOAT32, ("layer_norm_eps", "layer_norm_epsilon", "norm_epsilon")),
)
DECODER_KEYS: tuple[Key, ...] = (*_MOST_KEYS, *HEAD_WIDTHS)


def space_prefix(config: Config) -> bool | None:
    """Whether a space goes before a text, where tokenizer_config.json says it."""
    path = config.path.with_name("tokenizer_config.json")
    settings = Config(path=path, table=read_json(path) if path.is_file() else {})
    return settings.flag("add_prefix_space") if settings.has("add_prefix_space") else None


NARROW_DECODER_KEYS = _MOST_KEYS
"""Those of a decoder whose heads share the hidden size, whatever its config says."""

LLAMA_KEYS: tuple[Key, ...] = (
    Key("vocab_size", _UINT32, blocks.vocabulary),
    Key("rope.dimension_count", _UINT32, blocks.head_width),
    Key("tokenizer.ggml.add_space_prefix", KeyType.BOOL, space_prefix),
)
"""What LLaMA and the families that descend from it write behind the rest."""

GRANITE_SCALES: tuple[Key, ...] = (
    first("attention.scale", _FLOAT32, ("attention_multiplier",)),
    first("embedding_scale", _FLOAT32, ("embedding_multiplier",)),
    first("residual_scale", _FLOAT32, ("residual_multiplier",)),
    first("logit_scale", _FLOAT32, ("logits_scaling",)),
)
"""Granite's multipliers, behind its sizes."""

# Granite's and SmolLM2's small vocabulary: no BOS, whatever the tokenizer's files say.
NO_BOS_IN_SMALL_VOCABULARIES = Key(
    "tokenizer.ggml.add_bos_token",
    KeyType.BOOL,
    lambda config: False if config.count("vocab_size") == 49152 else None,
)

NO_SPACE_PREFIX = Key("tokenizer.ggml.add_space_prefix", KeyType.BOOL, lambda _config: False)


def token_id(kind: str, value: int) -> Key:
    """A special token whose number belongs to the family."""
    return Key(f"tokenizer.ggml.{kind}_token_id", _UINT32, lambda _config: value)

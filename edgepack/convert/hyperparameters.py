"""The keys that every decoder writes, in the oracle's order; what only some write is in their families."""

from edgepack.convert import blocks
from edgepack.convert.config import Config
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


def _yarn(*names: str) -> "Key":
    """A yarn setting under the first of its names that the checkpoint uses."""
    suffix = {"extrapolation_factor": "ext_factor", "attention_factor": "attn_factor"}.get(names[0], names[0])

    def value(config: Config) -> float | None:
        rope = blocks.rope_settings(config)
        said = [name for name in names if rope.has(name)]
        return rope.real(said[0]) if said and _scaling(config) == "yarn" else None

    return Key(f"rope.scaling.yarn_{suffix}", _FLOAT32, value)


def _rope_base(config: Config) -> float | None:
    rope = blocks.rope_settings(config)
    return rope.positive("rope_theta") if rope.has("rope_theta") else None


def _head_dim(config: Config) -> int | None:
    return config.count("head_dim") if config.has("head_dim") else None


DECODER_KEYS: tuple[Key, ...] = (
    Key("block_count", _UINT32, blocks.layers),
    Key("context_length", _UINT32, _context),
    Key("embedding_length", _UINT32, blocks.hidden),
    Key("feed_forward_length", _UINT32, blocks.feed_forward),
    Key("attention.head_count", _UINT32, blocks.heads),
    Key("attention.head_count_kv", _UINT32, blocks.key_value_heads),
    Key("rope.scaling.type", _STRING, _scaling),
    Key("rope.scaling.factor", _FLOAT32, _scaling_factor),
    Key("rope.scaling.original_context_length", _UINT32, _yarn_context),
    _yarn("extrapolation_factor"),
    _yarn("attention_factor", "attn_factor"),
    _yarn("beta_fast"),
    _yarn("beta_slow"),
    Key("rope.freq_base", _FLOAT32, _rope_base),
    Key("attention.layer_norm_rms_epsilon", _FLOAT32, lambda config: config.positive("rms_norm_eps")),
    Key("attention.key_length", _UINT32, _head_dim),
    Key("attention.value_length", _UINT32, _head_dim),
)

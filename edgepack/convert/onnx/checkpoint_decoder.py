"""A decoder read from its checkpoint by transformers' own names and rules, apart from all that makes GGUFs.

What both sides read wrongly, nobody would notice: so nothing of `convert/families/` is asked here.
"""

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgepack.convert.config import Config, read_config
from edgepack.convert.onnx.decoder_shape import Blocks, DecoderShape, Floats, Slab
from edgepack.convert.safetensors import READABLE, StoredTensor, read_bytes, widened
from edgepack.convert.tensors import stored_tensors
from edgepack.domain.errors import BadInputError

_NAMES = {
    "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm", "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
}  # fmt: skip
_OUTER = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
_DEFAULTS: dict[str, dict[str, object]] = {
    "LlamaForCausalLM": {},
    "MistralForCausalLM": {"num_key_value_heads": 8},
    "Qwen2ForCausalLM": {"num_key_value_heads": 32},
    "Qwen3ForCausalLM": {"num_key_value_heads": 32, "head_dim": 128},
}
"""The classes that are known, and what each assumes where its config is silent (transformers 4 and 5)."""
DECODER_CLASSES = frozenset(_DEFAULTS)
_ASSUMED: dict[str, object] = {"rms_norm_eps": 1e-6, "max_position_embeddings": 2048}
_ROPE_BASE = 10000.0
_SLAB_BYTES = 8 << 20
_OTHER_WAY = "make a GGUF of it, which llama.cpp runs"


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckpointDecoder:
    """A checkpoint, read as far as its headers."""

    config: Config
    tensors: Mapping[str, StoredTensor]

    def shape(self) -> DecoderShape:
        """Raises BadInputError for what the graph does not compute."""
        config = self.config
        self._refuse_others()
        heads = config.count("num_attention_heads")
        kept = config.count("num_key_value_heads") if config.has("num_key_value_heads") else heads
        width = config.count("head_dim") if config.has("head_dim") else config.count("hidden_size") // heads
        return DecoderShape(
            architecture=str(config.table.get("model_type", "decoder")), layers=config.count("num_hidden_layers"),
            heads=heads, key_value_heads=kept, head_width=width, epsilon=config.positive("rms_norm_eps"),
            context_length=config.count("max_position_embeddings"), frequencies=frequencies(config, width),
            interleaved=False,
        )  # fmt: skip

    @property
    def parameters(self) -> int:
        return sum(math.prod(tensor.shape) for tensor in self.tensors.values())

    @property
    def ends(self) -> tuple[int, ...]:
        """Tokens at which generation stops, by config.json."""
        said = self.config.table.get("eos_token_id")
        listed = said if isinstance(said, list) else [said]
        return tuple(sorted(end for end in listed if type(end) is int and end >= 0))

    def __contains__(self, name: str) -> bool:
        if name == "output" and self.config.table.get("tie_word_embeddings"):
            return False
        return _stored_name(name) in self.tensors

    def matrix(self, name: str) -> "CheckpointMatrix":
        tensor = self._tensor(name, 2)
        return CheckpointMatrix(tensor=tensor)

    def vector(self, name: str) -> Floats:
        (values,) = _rows(self._tensor(name, 1), 1)
        row: Floats = values[0]
        return row

    def _tensor(self, name: str, dimensions: int) -> StoredTensor:
        tensor = self.tensors.get(_stored_name(name))
        if tensor is None or len(tensor.shape) != dimensions:
            raise BadInputError(
                f"{self.config.path.parent}: no tensor {_stored_name(name)} of {dimensions} dimensions",
                hint="fetch the checkpoint again",
            )
        if tensor.dtype not in READABLE:
            raise self._unknown(f"tensor {tensor.name} of type {tensor.dtype}")
        return tensor

    def _refuse_others(self) -> None:
        config = self.config
        if config.table.get("hidden_act", "silu") != "silu":
            raise self._unknown(f"hidden_act {config.table['hidden_act']!r}")
        if config.table.get("use_sliding_window"):
            raise self._unknown("layers that see a window")
        self.refuse_left_over()

    def refuse_left_over(self) -> None:
        """Raise BadInputError for tensors by names that the classes do not have."""
        known = {f"{outer}.weight" for outer in _OUTER.values()}
        for number in range(self.config.count("num_hidden_layers")):
            for inner in _NAMES.values():
                known |= {f"model.layers.{number}.{inner}.{kind}" for kind in ("weight", "bias")}
        left = sorted(name for name in self.tensors if name not in known and not name.endswith(".inv_freq"))
        if left:
            raise self._unknown(f"tensor {left[0]}")

    def _unknown(self, what: str) -> BadInputError:
        return BadInputError(f"{self.config.path}: {what}: not what the graph computes", hint=_OTHER_WAY)


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckpointMatrix:
    """One tensor as float32, read in slabs."""

    tensor: StoredTensor

    @property
    def rows(self) -> int:
        return self.tensor.shape[0]

    @property
    def columns(self) -> int:
        return self.tensor.shape[1]

    @property
    def blocks(self) -> Blocks | None:
        return None

    def slabs(self) -> Iterator[Slab]:
        raise AssertionError("a checkpoint has no blocks")

    def floats(self) -> Iterator[Floats]:
        return _rows(self.tensor, max(1, _SLAB_BYTES // (self.columns * self.tensor.element_bytes)))


def open_checkpoint_decoder(directory: Path) -> CheckpointDecoder:
    """Raises BadInputError for a class that is not known here, and for a checkpoint that is not whole."""
    config = read_config(directory)
    defaults = _DEFAULTS.get(config.checkpoint_class)
    if defaults is None:
        raise BadInputError(
            f"{config.path}: {config.checkpoint_class[:60]} is none of {', '.join(_DEFAULTS)}", hint=_OTHER_WAY
        )
    return CheckpointDecoder(config=config.with_defaults({**_ASSUMED, **defaults}), tensors=stored_tensors(directory))


def frequencies(config: Config, width: int) -> Floats:
    """Radians a place of each pair, by transformers' definitions (modeling_rope_utils.py)."""
    rope = _rope(config)
    base = float(_number(rope, config, "rope_theta", _ROPE_BASE))
    plain = base ** -(np.arange(0, width, 2, dtype=np.float64) / width)
    kind = str(rope.get("rope_type", rope.get("type", "default")))
    match kind:
        case "default":
            found = plain
        case "linear":
            found = plain / _number(rope, config, "factor", 1.0)
        case "llama3":
            found = _llama3(plain, rope, config)
        case _:
            raise BadInputError(f"{config.path}: rotary places of type {kind[:40]!r}", hint=_OTHER_WAY)
    if float(_number(rope, config, "partial_rotary_factor", 1.0)) != 1.0:
        raise BadInputError(f"{config.path}: rotary places in a part of each head", hint=_OTHER_WAY)
    return found.astype(np.float32)


def _llama3(plain: "np.ndarray[tuple[int], np.dtype[np.float64]]", rope: Mapping[str, object], config: Config) -> (
    "np.ndarray[tuple[int], np.dtype[np.float64]]"
):  # fmt: skip
    """Slow pairs are slowed by `factor`, quick ones are not, and what lies between is blended."""
    factor = _number(rope, config, "factor", 8.0)
    low, high = _number(rope, config, "low_freq_factor", 1.0), _number(rope, config, "high_freq_factor", 4.0)
    turns = _number(rope, config, "original_max_position_embeddings", 8192.0) * plain / (2 * np.pi)
    share = np.clip((turns - low) / (high - low), 0.0, 1.0)
    return (1 - share) * plain / factor + share * plain


def _rope(config: Config) -> Mapping[str, object]:
    for key in ("rope_parameters", "rope_scaling"):
        said = config.table.get(key)
        if isinstance(said, dict):
            return said
    return {}


def _number(rope: Mapping[str, object], config: Config, key: str, silent: float) -> float:
    value = rope.get(key, config.table.get(key, silent))
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise config.wrong(key, "a number above zero", value)
    return float(value)


def _stored_name(name: str) -> str:
    inner, kind = (name.removesuffix(".bias"), "bias") if name.endswith(".bias") else (name, "weight")
    if inner in _OUTER:
        return f"{_OUTER[inner]}.{kind}"
    _, number, part = inner.split(".", 2)
    return f"model.layers.{number}.{_NAMES[part]}.{kind}"


def _rows(tensor: StoredTensor, count: int) -> Iterator[Floats]:
    """As float32, `count` rows at a time; a vector is one row."""
    columns = tensor.shape[-1]
    rows = math.prod(tensor.shape) // columns
    file = os.open(tensor.path, os.O_RDONLY)
    try:
        for first in range(0, rows, count):
            raw = np.empty((min(count, rows - first), columns * tensor.element_bytes), np.uint8)
            read_bytes(file, raw.reshape(-1), tensor.offset + first * columns * tensor.element_bytes)
            yield widened(raw, tensor.dtype)
    finally:
        os.close(file)

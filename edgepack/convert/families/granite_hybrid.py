"""Granite 4 without experts and state spaces: Granite 3 under the class of the hybrids, which its keys still show."""

from edgepack.convert import blocks
from edgepack.convert.blocks import attention, decoder, hidden, layer, part, size
from edgepack.convert.config import Config
from edgepack.convert.family import Family, Key, KeyType
from edgepack.convert.hyperparameters import GRANITE_SCALES, LLAMA_KEYS, NARROW_DECODER_KEYS, first
from edgepack.convert.requirements import SILU, heads_fill_hidden, only, rope_types, stated
from edgepack.convert.vocabularies.byte_level import byte_level
from edgepack.convert.vocabularies.sentencepiece import sentencepiece
from edgepack.domain.errors import BadInputError

_UINT32 = KeyType.UINT32
_STATED = (
    "rms_norm_eps", "num_key_value_heads", "num_local_experts", "attention_multiplier", "embedding_multiplier",
    "residual_multiplier", "logits_scaling", "mamba_d_conv", "mamba_d_state", "mamba_n_groups", "mamba_n_heads",
    "mamba_expand", "position_embedding_type",
)  # fmt: skip
"""The oracle does not ask transformers for this class's defaults."""
_EXPERTS = {"num_local_experts": 8, "num_experts_per_tok": 0}
_wide = size("shared_intermediate_size")


def _dense(config: Config) -> None:
    mamba = config.texts("layer_types") != ("attention",) * blocks.layers(config)
    experts = [config.table.get(key, default) for key, default in _EXPERTS.items()]
    if mamba or any(experts):
        raise BadInputError(
            f"{config.path}: a hybrid with {'mamba layers' if mamba else 'experts'} is not converted",
            hint="use a Granite 4 of attention layers alone, such as granite-4.0-350m or granite-4.0-1b",
        )


def _one_width(config: Config) -> None:
    only("intermediate_size", _wide(config))(config)


def _gate_and_up(config: Config) -> int:
    return 2 * _wide(config)


GRANITE_HYBRID = Family(
    architecture="granite",
    classes={"GraniteMoeHybridForCausalLM": {}},
    keys=(
        *NARROW_DECODER_KEYS,
        Key("expert_count", _UINT32, lambda _config: 0),
        Key("expert_used_count", _UINT32, lambda config: 0 if config.has("num_experts_per_tok") else None),
        *LLAMA_KEYS[:2],
        *GRANITE_SCALES,
        Key("expert_shared_feed_forward_length", _UINT32, _wide),
        first("ssm.conv_kernel", _UINT32, ("mamba_d_conv",)),
        first("ssm.state_size", _UINT32, ("mamba_d_state",)),
        first("ssm.group_count", _UINT32, ("mamba_n_groups",)),
        Key("ssm.inner_size", _UINT32, lambda config: 2 * hidden(config)),
        first("ssm.time_step_rank", _UINT32, ("mamba_n_heads",)),
        Key("attention.head_count_kv", KeyType.INT32,
            lambda config: (blocks.key_value_heads(config),) * blocks.layers(config)),
        Key("rope.scaling.finetuned", KeyType.BOOL, lambda _config: True),
    ),
    # The class rotates nothing unless it is told to; the oracle lets llama.cpp rotate whatever has no mamba layers.
    requires=(_dense, stated(*_STATED), only("position_embedding_type", "rope"), only("mamba_expand", 2), _one_width,
              SILU, heads_fill_hidden, rope_types("linear", "yarn", "dynamic")),
    vocabularies=(sentencepiece, byte_level),
    rows=decoder(
        *attention(rotary=True, biased=False),
        layer("post_attention_layernorm.weight", "ffn_norm.weight", hidden),
        layer("shared_mlp.input_linear.weight", "ffn_gate.weight", _gate_and_up, hidden,
              order=part(_wide, before=lambda _config: 0)),
        layer("shared_mlp.input_linear.weight", "ffn_up.weight", _gate_and_up, hidden,
              order=part(_wide, before=_wide)),
        layer("shared_mlp.output_linear.weight", "ffn_down.weight", hidden, _wide),
    ),
)  # fmt: skip

"""Families in which only some layers attend, or none alone: what they refuse, believe and remember."""

from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgepack.convert import blocks
from edgepack.convert.config import Config
from edgepack.convert.family import Family
from edgepack.convert.outline import outline
from edgepack.domain.errors import BadInputError
from tests.oracle.recipes import RECIPES

_CONFIGS = {recipe.name: {"vocab_size": 50257, **recipe.config} for recipe in RECIPES}
_LFM2 = {"architectures": ["Lfm2ForCausalLM"], "vocab_size": 65536, "num_key_value_heads": 8}
_LFM2_16 = {**_LFM2, "num_hidden_layers": 16, "full_attn_idxs": [2, 5, 8, 10, 12, 14]}
_FALCON_H1 = {
    **_CONFIGS["falcon-h1-seeded"], "vocab_size": 32784, "hidden_size": 1024, "num_hidden_layers": 36,
    "num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 64, "intermediate_size": 2048,
    "mamba_d_ssm": 1536, "mamba_n_heads": 24,
}  # fmt: skip
_QWEN3_5 = {
    "architectures": ["Qwen3_5ForConditionalGeneration"], "text_config": {
        **_CONFIGS["qwen3.5-seeded"]["text_config"], "vocab_size": 248320, "hidden_size": 1024,
        "intermediate_size": 3584, "num_hidden_layers": 24, "layer_types": None, "num_attention_heads": 8,
        "num_key_value_heads": 2, "head_dim": 256, "linear_num_key_heads": 16, "linear_num_value_heads": 16,
        "linear_key_head_dim": 128, "linear_value_head_dim": 128,
    },
}  # fmt: skip


def completed(table: Mapping[str, Any], **changes: object) -> tuple[Family, Config]:
    """A config with changes, as a conversion reads it, once its tensors are named and its keys made."""
    described = outline(Config(path=Path("config.json"), table={**table, **changes}))
    for key in described.family.keys:
        key.value(described.config)
    return described.family, described.config


def keys(recipe: str, **changes: object) -> dict[str, object]:
    family, config = completed(_CONFIGS[recipe], **changes)
    return {key.name: key.value(config) for key in family.keys}


@pytest.mark.parametrize(
    ("table", "weights"),
    [
        ({**_LFM2_16, "hidden_size": 1024, "num_attention_heads": 16, "block_ff_dim": 6656}, 354_483_968),
        ({**_LFM2_16, "hidden_size": 1536, "num_attention_heads": 24, "block_ff_dim": 10240}, 742_489_344),
        ({**_LFM2_16, "hidden_size": 2048, "num_attention_heads": 32, "block_ff_dim": 12288}, 1_170_340_608),
        (_FALCON_H1, 521_411_104),
    ],
    ids=["LFM2-350M", "LFM2-700M", "LFM2-1.2B", "Falcon-H1-0.5B"],
)
def test_a_published_shape_has_as_many_weights_as_its_maker_says(table: dict[str, Any], weights: int) -> None:
    sources = outline(Config(path=Path("config.json"), table=table)).plan.sources
    assert sum(prod(source.shape) for source in sources) == weights


@pytest.mark.parametrize(
    ("recipe", "changes", "named"),
    [
        ("lfm2-seeded", {"full_attn_idxs": []}, "layer_types"),
        ("lfm2-seeded", {"full_attn_idxs": None}, "layer_types"),
        ("lfm2-seeded", {"conv_L_cache": 1}, "conv_L_cache"),
        ("lfm2-seeded", {"head_dim": 32}, "head_dim"),
        ("lfm2-seeded", {"theta": 10000.0}, "theta"),
        ("lfm2-seeded", {"block_multiple_of": 0}, "block_multiple_of"),
        ("lfm2-seeded", {"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, "rope_type"),
        ("lfm2.5-awkward-f16", {"layer_types": ["conv", "full_attention"]}, "layer_types"),
        ("lfm2.5-awkward-f16", {"layer_types": ["conv", "full_attention", "mamba"]}, "layer_types"),
        ("qwen3.5-awkward-f16", {"full_attention_interval": 0}, "full_attention_interval"),
        ("qwen3.5-awkward-f16", {"full_attention_interval": 9}, "layer_types"),
        ("qwen3.5-awkward-f16", {"layer_types": ["linear_attention"] * 5}, "layer_types"),
        ("qwen3.5-awkward-f16", {"linear_num_value_heads": 4}, "linear_num_value_heads"),
        ("qwen3.5-awkward-f16", {"linear_conv_kernel_dim": 1}, "linear_conv_kernel_dim"),
        ("qwen3.5-awkward-f16", {"linear_value_head_dim": 80}, "linear_value_head_dim"),
        ("qwen3.5-awkward-f16", {"mtp_num_hidden_layers": 2}, "mtp_num_hidden_layers"),
        ("qwen3.5-awkward-f16", {"rms_norm_eps": None}, "rms_norm_eps"),
        ("qwen3.5-awkward-f16", {"head_dim": 16}, "mrope_section"),
        ("qwen3.5-awkward-f16", {"partial_rotary_factor": 3e38}, "partial_rotary_factor"),
        ("qwen3.5-awkward-f16", {"rope_parameters": {"mrope_section": [8, 0, 0]}}, "mrope_section"),
        ("qwen3.5-awkward-f16", {"rope_parameters": {"mrope_section": [-1, 1, 1]}}, "mrope_section"),
        ("falcon-h1-seeded", {"mamba_rms_norm": True, "mamba_norm_before_gate": True}, "mamba_norm_before_gate"),
        ("falcon-h1-seeded", {"mamba_rms_norm": True, "mamba_norm_before_gate": None}, "mamba_norm_before_gate"),
        ("falcon-h1-seeded", {"mamba_conv_bias": False}, "mamba_conv_bias"),
        ("falcon-h1-seeded", {"mamba_n_groups": 4}, "mamba_n_heads"),
        ("falcon-h1-seeded", {"mamba_d_head": "auto"}, "mamba_d_head"),
        ("falcon-h1-seeded", {"mamba_d_conv": 1}, "mamba_d_conv"),
        ("falcon-h1-seeded", {"rope_scaling": {"rope_type": "yarn", "factor": 2.0}}, "rope_type"),
        ("falcon-h1-seeded", {"rope_theta": None}, "rope_theta"),
        ("falcon-h1-seeded", {"head_dim": None}, "head_dim"),
    ],
)
def test_what_llamacpp_cannot_do_is_refused(recipe: str, changes: dict[str, object], named: str) -> None:
    """The error names the key."""
    with pytest.raises(BadInputError, match=rf"^config\.json: {named}: "):
        completed(_CONFIGS[recipe], **changes)


@pytest.mark.parametrize("key", ["key_multiplier", "mlp_multipliers", "ssm_multipliers", "ssm_in_multiplier"])
def test_every_multiplier_is_asked_for(key: str) -> None:
    table = {**_CONFIGS["falcon-h1-seeded"], key: None}
    with pytest.raises(BadInputError, match=key):
        outline(Config(path=Path("config.json"), table=table))


def test_a_tied_head_cannot_have_a_factor_of_its_own() -> None:
    family, config = completed(_CONFIGS["falcon-h1-seeded"])
    assert family.noticed(config, {"lm_head.weight"}) is config
    with pytest.raises(BadInputError, match="lm_head_multiplier"):
        family.noticed(config, set())


def test_a_feed_forward_is_as_wide_as_the_block_it_stands_for_makes_it() -> None:
    """LFM2-350M says 6656 and holds 4608."""
    assert keys("lfm2-seeded", block_ff_dim=6656)["feed_forward_length"] == 4608
    assert keys("lfm2-seeded", block_ff_dim=6656, block_ffn_dim_multiplier=1.5)["feed_forward_length"] == 6656
    assert keys("lfm2-seeded", block_auto_adjust_ff_dim=False)["feed_forward_length"] == 640


@pytest.mark.parametrize(("stored", "layers"), [((), 24), (("mtp.fc.weight",), 25)])
def test_the_layer_that_looks_ahead_is_counted_where_it_is_stored(stored: tuple[str, ...], layers: int) -> None:
    """Whatever the config says: fine-tuning loses the one and keeps the other."""
    for said in (0, 1):
        text = {**_QWEN3_5["text_config"], "mtp_num_hidden_layers": said}
        family, config = completed(_QWEN3_5, text_config=text)
        config = family.noticed(config, stored)
        values = {key.name: key.value(config) for key in family.keys}
        assert (values["block_count"], values["nextn_predict_layers"]) == (layers, len(stored) or None)


def test_layers_beyond_llamacpp_s_limit_are_refused_with_the_one_that_looks_ahead() -> None:
    with pytest.raises(BadInputError, match="num_hidden_layers: expected at most 512, got 513"):
        completed(_QWEN3_5, text_config={**_QWEN3_5["text_config"], "num_hidden_layers": 512})


@pytest.mark.parametrize(
    ("table", "attending", "state"),
    [
        ({**_LFM2_16, "hidden_size": 1024, "num_attention_heads": 16, "block_ff_dim": 6656}, 6, 10 * 2 * 1024),
        (_QWEN3_5, 6, 18 * (16 * 128 * 128 + 3 * 6144)),
        (_FALCON_H1, 36, 36 * (1536 * 128 + 3 * (1536 + 2 * 128))),
    ],
    ids=["LFM2-350M", "Qwen3.5-0.8B", "Falcon-H1-0.5B"],
)
def test_memory_is_counted_where_layers_have_it(table: dict[str, Any], attending: int, state: int) -> None:
    """As llama.cpp reports it: keys and values of the layers that attend, a state of the others."""
    family, config = completed(table)
    assert sum(family.caching(config, number) for number in range(blocks.layers(config))) == attending
    assert family.state(config) == state


def test_decays_are_the_nearest_numbers() -> None:
    """numpy's float32 exponential is one bit off for many of these."""
    logs = np.linspace(-5, 3, 4001, dtype=np.float32)[:, None]
    decays = blocks.decay(Config(path=Path("config.json"), table={}))(logs, 0)
    exact = -np.exp(logs.astype(np.float64))
    assert decays.dtype == np.float32
    assert (np.abs(decays - exact) <= np.spacing(np.abs(decays)).astype(np.float64) / 2).all()

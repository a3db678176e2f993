"""EXAONE, ERNIE, Hunyuan, MiniCPM and InternLM2: published configs are taken, and what would go wrong is refused.

What they write is compared with the oracle.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from edgepack.convert.config import Config
from edgepack.convert.family import Family, Value
from edgepack.convert.table import family_of
from edgepack.domain.errors import BadInputError

# As published, less what no conversion asks for.
_EXAONE_4 = {
    "architectures": ["Exaone4ForCausalLM"], "head_dim": 64, "hidden_act": "silu", "hidden_size": 2048,
    "intermediate_size": 4096, "layer_types": ["full_attention"] * 30, "max_position_embeddings": 65536,
    "num_attention_heads": 32, "num_hidden_layers": 30, "num_key_value_heads": 8, "rms_norm_eps": 1e-05,
    "rope_scaling": {"factor": 16.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0, "rope_type": "llama3",
                     "original_max_position_embeddings": 8192},
    "rope_theta": 1000000, "sliding_window": None, "sliding_window_pattern": None, "tie_word_embeddings": True,
    "vocab_size": 102400,
}  # fmt: skip
_ERNIE_4_5 = {
    "architectures": ["Ernie4_5_ForCausalLM"], "hidden_act": "silu", "hidden_size": 1024, "intermediate_size": 3072,
    "max_position_embeddings": 131072, "num_attention_heads": 16, "num_key_value_heads": 2, "head_dim": 128,
    "num_hidden_layers": 18, "rms_norm_eps": 1e-05, "vocab_size": 103424, "rope_theta": 500000, "use_bias": False,
    "tie_word_embeddings": True,
}  # fmt: skip
_HUNYUAN_1_8B = {
    "architectures": ["HunYuanDenseV1ForCausalLM"], "attention_bias": False, "head_dim": 128, "hidden_act": "silu",
    "hidden_size": 2048, "intermediate_size": 6144, "max_position_embeddings": 262144, "num_attention_heads": 16,
    "num_hidden_layers": 32, "num_key_value_heads": 4, "rms_norm_eps": 1e-05, "rope_theta": 10000.0,
    "rope_scaling": {"alpha": 1000.0, "beta_fast": 32, "beta_slow": 1, "factor": 1.0, "mscale": 1.0,
                     "mscale_all_dim": 1.0, "type": "dynamic"},
    "tie_word_embeddings": True, "use_cla": False, "use_qk_norm": True, "vocab_size": 120818,
}  # fmt: skip
_HUNYUAN_4B = {
    **_HUNYUAN_1_8B, "hidden_size": 3072, "intermediate_size": 8192, "num_attention_heads": 32,
    "num_hidden_layers": 36, "num_key_value_heads": 8,
}  # fmt: skip
_MINICPM_2B = {
    "architectures": ["MiniCPMForCausalLM"], "hidden_act": "silu", "hidden_size": 2304, "intermediate_size": 5760,
    "max_position_embeddings": 2048, "num_attention_heads": 36, "num_hidden_layers": 40, "num_key_value_heads": 36,
    "rms_norm_eps": 1e-05, "rope_scaling": None, "vocab_size": 122753, "scale_emb": 12, "dim_model_base": 256,
    "scale_depth": 1.4,
}  # fmt: skip
_MINICPM_1B = {
    **_MINICPM_2B, "hidden_size": 1536, "intermediate_size": 3840, "max_position_embeddings": 4096,
    "num_attention_heads": 24, "num_hidden_layers": 52, "num_key_value_heads": 8, "vocab_size": 73440,
}  # fmt: skip
_LONG = {
    "rope_type": "longrope", "long_factor": [1.0] * 32, "short_factor": [1.0] * 32,
    "original_max_position_embeddings": 32768,
}  # fmt: skip
_MINICPM_4 = {
    **_MINICPM_2B, "hidden_size": 1024, "intermediate_size": 4096, "max_position_embeddings": 32768,
    "num_attention_heads": 16, "num_hidden_layers": 24, "num_key_value_heads": 2, "rope_scaling": _LONG,
    "vocab_size": 73448, "eos_token_id": [2, 73440],
}  # fmt: skip
_INTERNLM2_5 = {
    "architectures": ["InternLM2ForCausalLM"], "bias": False, "hidden_act": "silu", "hidden_size": 2048,
    "intermediate_size": 8192, "max_position_embeddings": 32768, "num_attention_heads": 16, "num_hidden_layers": 24,
    "num_key_value_heads": 8, "rms_norm_eps": 1e-05, "rope_scaling": {"type": "dynamic", "factor": 2.0},
    "rope_theta": 1000000, "tie_word_embeddings": False, "vocab_size": 92544, "pretraining_tp": 1,
}  # fmt: skip


def completed(table: dict[str, Any], directory: Path = Path()) -> tuple[Family, Config]:
    config = Config(path=directory / "config.json", table=table)
    family = family_of(config)
    return family, family.complete(config)


def written(table: dict[str, Any], directory: Path = Path()) -> dict[str, Value | None]:
    """Every key that the config alone gives, after computing everything else that it does."""
    family, config = completed(table, directory)
    for make in family.generated:
        make(config)
    return {key.name: key.value(config) for key in (*family.keys, *family.keys_after)}


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (_EXAONE_4, {"vocab_size": 102400, "attention.key_length": 64, "rope.freq_base": 1e6}),
        (_ERNIE_4_5, {"context_length": 131072, "attention.key_length": 128, "rope.freq_base": 5e5}),
        (_HUNYUAN_1_8B, {"context_length": 262144, "rope.freq_base": pytest.approx(11158839.9251)}),
        (_HUNYUAN_4B, {"attention.key_length": 128, "rope.scaling.type": "none"}),
        (_MINICPM_2B, {"residual_scale": pytest.approx(0.2213594), "logit_scale": 9.0, "rope.freq_base": None}),
        (_MINICPM_1B, {"residual_scale": pytest.approx(0.1941451), "logit_scale": 6.0, "embedding_scale": 12.0}),
        (_MINICPM_4, {"logit_scale": 4.0, "rope.scaling.type": "longrope"}),
        (_INTERNLM2_5, {"rope.freq_base": 1e6, "rope.scaling.type": None, "attention.head_count_kv": 8}),
    ],
)
def test_published_configs_are_taken(table: dict[str, Any], said: dict[str, Value]) -> None:
    values = written(table)
    assert {name: values[name] for name in said} == said


def without(table: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in table.items() if name != key}


@pytest.mark.parametrize(
    ("table", "named"),
    [
        (_EXAONE_4 | {"hidden_act": "gelu"}, "hidden_act"),
        (_EXAONE_4 | {"head_dim": 128}, "head_dim"),
        (_EXAONE_4 | {"sliding_window": 4096}, "sliding_window"),
        (without(_EXAONE_4, "sliding_window"), "sliding_window"),
        (_EXAONE_4 | {"rope_scaling": {"rope_type": "longrope"}}, "rope_type"),
        (_ERNIE_4_5 | {"use_bias": True}, "use_bias"),
        (_ERNIE_4_5 | {"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, "rope_type"),
        (_HUNYUAN_1_8B | {"attention_bias": True}, "attention_bias"),
        (_HUNYUAN_1_8B | {"rope_scaling": {"type": "linear", "factor": 2.0}}, "rope_type"),
        (_HUNYUAN_1_8B | {"rope_theta": 1e6}, "rope_theta"),
        (_HUNYUAN_1_8B | {"max_position_embeddings": 8192}, "max_position_embeddings"),
        (_MINICPM_1B | {"hidden_act": "fatrelu"}, "hidden_act"),
        (_MINICPM_1B | {"attention_bias": True}, "attention_bias"),
        (_MINICPM_4 | {"max_position_embeddings": 131072}, "max_position_embeddings"),
        (_INTERNLM2_5 | {"bias": True}, "bias"),
        (_INTERNLM2_5 | {"head_dim": 64}, "head_dim"),
        (_INTERNLM2_5 | {"rope_scaling": {"type": "llama3"}}, "rope_type"),
    ],
)
def test_what_llama_cpp_would_compute_otherwise_is_refused(table: dict[str, Any], named: str) -> None:
    with pytest.raises(BadInputError, match=rf"^config\.json: {named}: .* only, got "):
        completed(table)


@pytest.mark.parametrize(
    ("table", "named"),
    [
        (_HUNYUAN_1_8B | {"rope_scaling": {"type": "dynamic"}}, "alpha"),
        (_HUNYUAN_1_8B | {"rope_scaling": {"type": "dynamic", "alpha": "1000"}}, "alpha"),
        (_HUNYUAN_1_8B | {"rope_scaling": {"type": "dynamic", "alpha": 1e36}}, "alpha"),
        (_HUNYUAN_1_8B | {"head_dim": 2, "rope_scaling": {"type": "dynamic", "alpha": 3e38}}, "alpha"),
        (without(_MINICPM_2B, "rms_norm_eps"), "rms_norm_eps"),
        (without(_MINICPM_2B, "scale_emb"), "scale_emb"),
        (_MINICPM_2B | {"scale_depth": -1.4}, "scale_depth"),
        (_MINICPM_2B | {"dim_model_base": 0}, "dim_model_base"),
        (_MINICPM_4 | {"rope_scaling": {"rope_type": "longrope"}}, "long_factor"),
        (_MINICPM_4 | {"rope_scaling": without(_LONG, "rope_type")}, "long_factor"),
        (_MINICPM_4 | {"rope_scaling": _LONG | {"long_factor": [1.0] * 31}}, "long_factor"),
        (_MINICPM_4 | {"rope_scaling": without(_LONG, "short_factor")}, "short_factor"),
        (without(_INTERNLM2_5, "num_key_value_heads"), "num_key_value_heads"),
        (_INTERNLM2_5 | {"num_key_value_heads": 3}, "num_key_value_heads"),
    ],
)
def test_what_makes_no_sense_is_refused(table: dict[str, Any], named: str) -> None:
    with pytest.raises(BadInputError, match=rf"^config\.json: {named}: expected "):
        written(table)


def test_hunyuan_s_end_of_turn_is_the_first_of_several_ends(tmp_path: Path) -> None:
    for ends, first in ((120020, None), ([120020], None), ([120007, 120020], 120007)):
        (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": ends}))
        assert written(_HUNYUAN_1_8B, tmp_path)["tokenizer.ggml.eot_token_id"] == first
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": ["</s>", 120020]}))
    with pytest.raises(BadInputError, match=r"generation_config\.json: eos_token_id\[0\]: expected a whole number"):
        written(_HUNYUAN_1_8B, tmp_path)


def test_hunyuan_leaves_out_the_head_that_a_tied_checkpoint_repeats() -> None:
    for tied, left in ((True, ("lm_head.weight",)), (False, ())):
        family, config = completed(_HUNYUAN_1_8B | {"tie_word_embeddings": tied})
        assert family.left_out(config) == left

"""What the Gemma families refuse and what they leave out; the rest is compared with the oracle."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgepack.convert.config import Config, read_config
from edgepack.convert.families.gemma import GEMMA
from edgepack.convert.families.gemma2 import GEMMA2
from edgepack.convert.families.gemma3 import GEMMA3
from edgepack.convert.family import Family, text_part_name
from edgepack.convert.table import family_of
from edgepack.convert.vocabulary import read_vocabulary
from edgepack.domain.errors import BadInputError
from tests.fakes.checkpoints import make_checkpoint
from tests.oracle.recipes.gemma import RECIPES

_SIZES = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 7, "vocab_size": 300}


def completed(family: Family, **said: Any) -> Config:
    """The config of the family's first class, with plain sizes and what the test says."""
    name = next(iter(family.classes))
    return family.complete(Config(path=Path("config.json"), table={"architectures": [name], **_SIZES, **said}))


def value(family: Family, key: str, **said: Any) -> object:
    """What the family writes under `key`."""
    return next(entry for entry in family.keys if entry.name == key).value(completed(family, **said))


# As published, less what no conversion asks for.
_GEMMA_2B = {
    "architectures": ["GemmaForCausalLM"], "head_dim": 256, "hidden_act": "gelu", "hidden_activation": None,
    "hidden_size": 2048, "intermediate_size": 16384, "max_position_embeddings": 8192, "num_attention_heads": 8,
    "num_hidden_layers": 18, "num_key_value_heads": 1, "rms_norm_eps": 1e-06, "rope_scaling": None,
    "rope_theta": 10000.0, "vocab_size": 256000,
}  # fmt: skip
_GEMMA_2_2B = {
    "architectures": ["Gemma2ForCausalLM"], "attention_bias": False, "attn_logit_softcapping": 50.0,
    "final_logit_softcapping": 30.0, "head_dim": 256, "hidden_act": "gelu_pytorch_tanh",
    "hidden_activation": "gelu_pytorch_tanh", "hidden_size": 2304, "intermediate_size": 9216,
    "max_position_embeddings": 8192, "num_attention_heads": 8, "num_hidden_layers": 26, "num_key_value_heads": 4,
    "query_pre_attn_scalar": 256, "rms_norm_eps": 1e-06, "rope_theta": 10000.0, "sliding_window": 4096,
    "vocab_size": 256000,
}  # fmt: skip
_GEMMA_3_1B = {
    "architectures": ["Gemma3ForCausalLM"], "attention_bias": False, "attn_logit_softcapping": None,
    "final_logit_softcapping": None, "head_dim": 256, "hidden_activation": "gelu_pytorch_tanh", "hidden_size": 1152,
    "intermediate_size": 6912, "max_position_embeddings": 32768, "num_attention_heads": 4, "num_hidden_layers": 26,
    "num_key_value_heads": 1, "query_pre_attn_scalar": 256, "rms_norm_eps": 1e-06, "rope_local_base_freq": 10000,
    "rope_scaling": None, "rope_theta": 1000000, "sliding_window": 512, "sliding_window_pattern": 6,
    "vocab_size": 262144,
}  # fmt: skip
_GEMMA_3_270M = {
    **_GEMMA_3_1B, "hidden_size": 640, "intermediate_size": 2048, "num_hidden_layers": 18,
    "sliding_window_pattern": None, "_sliding_window_pattern": 6, "use_bidirectional_attention": False,
    "layer_types": (["sliding_attention"] * 5 + ["full_attention"]) * 3,
}  # fmt: skip
_GEMMA_3_4B = {
    "architectures": ["Gemma3ForConditionalGeneration"], "eos_token_id": [1, 106], "mm_tokens_per_image": 256,
    "text_config": {"hidden_size": 2560, "intermediate_size": 10240, "model_type": "gemma3_text",
                    "num_hidden_layers": 34, "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
                    "sliding_window": 1024},
    "vision_config": {"hidden_size": 1152, "num_hidden_layers": 27, "num_attention_heads": 16},
}  # fmt: skip


@pytest.mark.parametrize("table", [_GEMMA_2B, _GEMMA_2_2B, _GEMMA_3_1B, _GEMMA_3_270M, _GEMMA_3_4B])
def test_published_configs_are_taken(table: dict[str, Any]) -> None:
    config = Config(path=Path("config.json"), table=table)
    family = family_of(config)
    config = family.complete(config)
    values = {key.name: found for key in family.keys if (found := key.value(config)) is not None}
    assert values["attention.key_length"] == 256


@pytest.mark.parametrize(
    ("family", "said", "named"),
    [
        (GEMMA, {"rope_theta": 20000.0}, "rope_theta"),
        (GEMMA, {"rope_scaling": {"type": "linear", "factor": 2.0}}, "rope_type"),
        (GEMMA, {"tie_word_embeddings": False}, "tie_word_embeddings"),
        (GEMMA, {"hidden_activation": "silu"}, "hidden_activation"),
        (GEMMA2, {"rope_parameters": {"rope_type": "default", "rope_theta": 1e6}}, "rope_theta"),
        (GEMMA2, {"query_pre_attn_scalar": 224}, "query_pre_attn_scalar"),
        (GEMMA2, {"head_dim": 128}, "query_pre_attn_scalar"),
        (GEMMA2, {"layer_types": ["full_attention"] * 7}, "layer_types"),
        (GEMMA3, {"attn_logit_softcapping": 50.0}, "attn_logit_softcapping"),
        (GEMMA3, {"sliding_window_pattern": 2}, "sliding_window_pattern"),
        (GEMMA3, {"layer_types": ["full_attention"] * 7}, "layer_types"),
        (GEMMA3, {"rope_scaling": {"rope_type": "yarn", "factor": 2.0}}, "rope_type"),
        (GEMMA3, {"use_bidirectional_attention": True}, "use_bidirectional_attention"),
    ],
)
def test_what_llama_cpp_would_compute_otherwise_is_refused(family: Family, said: dict[str, Any], named: str) -> None:
    with pytest.raises(BadInputError, match=rf"^config\.json: {named}: .* only, got "):
        completed(family, **said)


def test_the_largest_gemma_2_scales_queries_by_shares_of_the_hidden_size() -> None:
    sizes = {"num_hidden_layers": 46, "hidden_size": 4608, "num_attention_heads": 32, "head_dim": 128}
    completed(GEMMA2, **sizes, query_pre_attn_scalar=144)
    with pytest.raises(BadInputError, match="with 144 only"):
        completed(GEMMA2, **sizes, query_pre_attn_scalar=128)


@pytest.mark.parametrize("key", ["attn_logit_softcapping", "final_logit_softcapping"])
def test_gemma_2_without_a_soft_cap_is_refused(key: str) -> None:
    """Silence means the usual cap, null means none, and llama.cpp always caps."""
    assert value(GEMMA2, key) in (50.0, 30.0)
    with pytest.raises(BadInputError, match=rf"{key}: expected a number, got None"):
        value(GEMMA2, key, **{key: None})


@pytest.mark.parametrize("family", [GEMMA2, GEMMA3], ids=["2", "3"])
@pytest.mark.parametrize("said", [None, 0, -1, 1 << 31, "all"])
def test_a_window_is_a_number_that_llama_cpp_can_count_with(family: Family, said: object) -> None:
    """Beyond 31 bits it would see nothing at all."""
    assert value(family, "attention.sliding_window") == 4096
    with pytest.raises(BadInputError, match="sliding_window: expected"):
        value(family, "attention.sliding_window", sliding_window=said)


def test_a_gemma_3_that_sees_no_window_says_so() -> None:
    assert value(GEMMA3, "attention.sliding_window", sliding_window=512) == 512
    layers = {"sliding_window_pattern": 1, "layer_types": ["full_attention"] * 7}
    assert value(GEMMA3, "attention.sliding_window", sliding_window=512, **layers) is None


@pytest.mark.parametrize("prefix", ["language_model.model.", "model.language_model.", "model."])
def test_the_text_part_is_known_by_whichever_name_its_age_gave(prefix: str) -> None:
    assert text_part_name(f"{prefix}layers.3.mlp.up_proj.weight") == "model.layers.3.mlp.up_proj.weight"


@pytest.mark.parametrize(
    "name",
    [
        "vision_tower.vision_model.encoder.layers.0.mlp.fc1.weight",
        "model.vision_tower.vision_model.post_layernorm.bias",
        "multi_modal_projector.mm_soft_emb_norm.weight",
    ],
)
def test_what_a_model_sees_with_is_left_out(name: str) -> None:
    assert text_part_name(name) is None


def test_a_gemma_3_whose_tokenizer_json_leaves_rows_unnamed_is_refused(vocabularies: Path, tmp_path: Path) -> None:
    """The oracle would cut those rows off, and llama.cpp not load what is left."""
    recipe = next(recipe for recipe in RECIPES if recipe.name == "gemma-3-json-f32")
    for size, whole in ((50258, True), (50259, False)):
        larger = replace(recipe, config={**recipe.config, "vocab_size": size})
        directory = make_checkpoint(larger, tmp_path / str(size), vocabularies)
        config = GEMMA3.complete(read_config(directory))
        if whole:
            assert len(read_vocabulary(directory, config, GEMMA3.vocabularies).tokens) == size
        else:
            with pytest.raises(BadInputError, match=r"the 50258 tokens of tokenizer\.json only, got 50259"):
                read_vocabulary(directory, config, GEMMA3.vocabularies)

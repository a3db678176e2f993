"""What the Phi families refuse, and how their vocabularies are told apart; the rest is compared with the oracle."""

import json
from pathlib import Path
from typing import Any

import pytest

from edgepack.convert.config import Config
from edgepack.convert.families.phi2 import PHI2
from edgepack.convert.families.phi3 import PHI3
from edgepack.convert.family import Family
from edgepack.convert.table import family_of
from edgepack.convert.vocabularies.phi3 import phi3
from edgepack.convert.vocabulary import Token, TokenType
from edgepack.domain.errors import BadInputError
from tests.fakes.checkpoints import Recipe, make_checkpoint
from tests.fakes.demo_copy import DEMO
from tests.fakes.gguf_raw import keys_of

_SIZES = {
    "hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 300,
}  # fmt: skip
_FACTORS = [1.0] * 8
_LONG = {"type": "longrope", "short_factor": _FACTORS, "long_factor": _FACTORS}


def completed(family: Family, **said: Any) -> Config:
    """The config of the family's class, with plain sizes and what the test says."""
    (name,) = family.classes
    return family.complete(Config(path=Path("config.json"), table={"architectures": [name], **_SIZES, **said}))


def written(config: Config) -> None:
    """Compute everything that Phi-3 writes besides stored tensors."""
    for key in (*PHI3.keys_before, *PHI3.keys):
        key.value(config)
    for make in PHI3.generated:
        make(config)


# As published, less what no conversion asks for.
_PHI_2 = {
    "architectures": ["PhiForCausalLM"], "hidden_act": "gelu_new", "hidden_size": 2560, "intermediate_size": 10240,
    "layer_norm_eps": 1e-05, "max_position_embeddings": 2048, "num_attention_heads": 32, "num_hidden_layers": 32,
    "num_key_value_heads": 32, "partial_rotary_factor": 0.4, "qk_layernorm": False, "rope_scaling": None,
    "rope_theta": 10000.0, "vocab_size": 51200,
}  # fmt: skip
_PHI_1_5 = {
    **_PHI_2, "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 24, "num_key_value_heads": None,
    "partial_rotary_factor": 0.5,
}  # fmt: skip
_PHI_3 = {
    "architectures": ["Phi3ForCausalLM"], "attention_bias": False, "hidden_act": "silu", "hidden_size": 3072,
    "intermediate_size": 8192, "max_position_embeddings": 4096, "num_attention_heads": 32, "num_hidden_layers": 32,
    "num_key_value_heads": 32, "original_max_position_embeddings": 4096, "rms_norm_eps": 1e-05,
    "rope_scaling": None, "rope_theta": 10000.0, "sliding_window": 2047, "vocab_size": 32064,
}  # fmt: skip
_PHI_3_5 = {
    **_PHI_3, "max_position_embeddings": 131072, "sliding_window": 262144,
    "rope_scaling": {"type": "longrope", "short_factor": [1.0] * 48, "long_factor": [1.0] * 48},
}  # fmt: skip
_PHI_4_MINI = {
    **_PHI_3_5, "num_attention_heads": 24, "num_key_value_heads": 8, "partial_rotary_factor": 0.75,
    "lm_head_bias": False, "mlp_bias": False, "tie_word_embeddings": True, "vocab_size": 200064,
}  # fmt: skip


@pytest.mark.parametrize(
    ("table", "turned"), [(_PHI_2, 32), (_PHI_1_5, 32), (_PHI_3, 96), (_PHI_3_5, 96), (_PHI_4_MINI, 96)]
)
def test_published_configs_are_taken(table: dict[str, Any], turned: int) -> None:
    config = Config(path=Path("config.json"), table=table)
    family = family_of(config)
    config = family.complete(config)
    values = {key.name: key.value(config) for key in (*family.keys_before, *family.keys)}
    assert values["rope.dimension_count"] == turned
    assert all(make(config) is None for make in family.generated) == (config.table["rope_scaling"] is None)


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ({"hidden_act": "gelu"}, "hidden_act"),
        ({"qk_layernorm": True}, "qk_layernorm"),
        ({"rope_theta": 1e6}, "rope_theta"),
        ({"rope_scaling": {"type": "linear", "factor": 2.0}}, "rope_type"),
        ({"num_key_value_heads": 2}, "num_key_value_heads"),
        ({"intermediate_size": 128}, "intermediate_size"),
        ({"head_dim": 32}, "head_dim"),
    ],
)
def test_a_phi_2_that_llama_cpp_would_compute_otherwise_is_refused(said: dict[str, Any], named: str) -> None:
    with pytest.raises(BadInputError, match=rf"^config\.json: {named}: .* only, got "):
        completed(PHI2, **said)


@pytest.mark.parametrize("factor", [0.01, 0.32, 1.5, 3e38])
def test_heads_are_turned_by_pairs_and_not_beyond_their_width(factor: float) -> None:
    """llama.cpp ends the process otherwise."""
    with pytest.raises(BadInputError, match="partial_rotary_factor: expected an even part of 16"):
        written(completed(PHI3, partial_rotary_factor=factor))


@pytest.mark.parametrize("kind", ["longrope", "su", "yarn"])
def test_a_long_context_goes_by_the_names_of_its_age(kind: str) -> None:
    config = completed(PHI3, rope_scaling=_LONG | {"type": kind}, max_position_embeddings=131072)
    assert PHI3.keys_before[0].value(config) == pytest.approx(1.1902380714)
    written(config)


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ({"hidden_act": "gelu"}, "hidden_act"),
        ({"head_dim": 32}, "head_dim"),
        ({"rope_scaling": {"type": "linear", "factor": 2.0}}, "rope_type"),
        ({"rope_scaling": {"type": "longrope"}}, "long_factor"),
        ({"rope_scaling": {"short_factor": _FACTORS, "long_factor": _FACTORS}}, "long_factor"),
        ({"rope_scaling": _LONG | {"long_factor": [1.0] * 7}}, "long_factor"),
        ({"rope_scaling": _LONG | {"short_factor": []}}, "short_factor"),
        ({"rope_scaling": _LONG | {"long_factor": ["one"] * 8}}, "long_factor"),
        ({"rope_scaling": _LONG, "original_max_position_embeddings": 1}, "original_max_position_embeddings"),
    ],
)
def test_a_phi_3_that_llama_cpp_would_compute_otherwise_is_refused(said: dict[str, Any], named: str) -> None:
    with pytest.raises(BadInputError, match=rf"^config\.json: {named}"):
        written(completed(PHI3, **said))


def test_phi_3_s_added_tokens_stay_as_they_stand(tmp_path: Path) -> None:
    """Spaces stay escaped, what looks special is not, and tokenizer.json has the last word."""
    (tmp_path / "tokenizer.model").write_bytes((DEMO / "tokenizer.model").read_bytes())
    entries = {"500": {"content": "\u2581one", "special": False}, "501": {"content": "<|two|>", "special": False},
               "502": {"content": "three", "special": False}}  # fmt: skip
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"added_tokens_decoder": entries}))
    (tmp_path / "tokenizer.json").write_text(
        json.dumps({"added_tokens": [{"id": 502, "content": "last", "special": True}]})
    )
    vocabulary = phi3(tmp_path, Config(path=tmp_path / "config.json", table={"vocab_size": 768}))
    assert vocabulary is not None
    assert vocabulary.tokens[500:503] == (
        Token("\u2581one", TokenType.USER_DEFINED, -1000.0),
        Token("<|two|>", TokenType.USER_DEFINED, -1000.0),
        Token("last", TokenType.CONTROL, -1000.0),
    )


def test_phi_3_s_vocabulary_is_the_one_that_llama_cpp_keeps(vocabularies: Path, tmp_path: Path) -> None:
    """LLaMA's pieces under the added tokens as published, padded to the embedding, give ggml-vocab-phi-3.gguf's."""
    kept = keys_of(vocabularies / "ggml-vocab-phi-3.gguf")
    names = ("tokens", "token_type", "scores")
    tokens, types, scores = (kept[f"tokenizer.ggml.{name}"] for name in names)
    added = [*range(3), *range(32000, 32011)]
    recipe = Recipe(name="phi", vocabulary="sentencepiece", dtype="F32", config={}, tensors=lambda _config: {})
    directory = make_checkpoint(recipe, tmp_path / "phi", vocabularies)
    entries = [{"id": token_id, "content": tokens[token_id], "special": types[token_id] == 3} for token_id in added]
    (directory / "tokenizer.json").write_text(json.dumps({"added_tokens": entries}))
    vocabulary = phi3(directory, Config(path=directory / "config.json", table={"vocab_size": 32064}))
    assert vocabulary is not None
    assert [token.text for token in vocabulary.tokens[:32011]] == tokens[:32011]
    assert [token.type for token in vocabulary.tokens[:32011]] == types[:32011]
    assert [token.score for token in vocabulary.tokens] == pytest.approx(scores)


@pytest.mark.parametrize("entry", [{"id": "5", "content": "x"}, {"id": -1, "content": "x"}, {"id": 5}, "x"])
def test_an_added_token_without_number_or_text_is_refused(tmp_path: Path, entry: object) -> None:
    (tmp_path / "tokenizer.model").write_bytes((DEMO / "tokenizer.model").read_bytes())
    (tmp_path / "tokenizer.json").write_text(json.dumps({"added_tokens": [entry]}))
    with pytest.raises(BadInputError, match=r"tokenizer\.json: added_tokens: no id or no content"):
        phi3(tmp_path, Config(path=tmp_path / "config.json", table={"vocab_size": 768}))

"""BERT's kin: what their configs mean to llama.cpp, what is refused, and which models give vectors."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from edgepack.convert.config import Config
from edgepack.convert.encoders import class_labels, encoder_name
from edgepack.convert.onepass import open_conversion
from edgepack.convert.table import family_of
from edgepack.domain.errors import BadInputError
from tests.fakes.checkpoints import make_checkpoint
from tests.fakes.demo_copy import DEMO
from tests.oracle.recipes.encoders import RECIPES

BY_NAME = {recipe.name: recipe for recipe in RECIPES}
# As published, less what no conversion asks for.
_BERT = {
    "architectures": ["BertModel"], "model_type": "bert", "attention_probs_dropout_prob": 0.1, "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1, "hidden_size": 384, "initializer_range": 0.02, "intermediate_size": 1536,
    "layer_norm_eps": 1e-12, "max_position_embeddings": 512, "num_attention_heads": 12, "num_hidden_layers": 12,
    "pad_token_id": 0, "position_embedding_type": "absolute", "type_vocab_size": 2, "use_cache": True,
    "vocab_size": 30522,
}  # fmt: skip
_XLM_ROBERTA = {
    **_BERT, "architectures": ["XLMRobertaModel"], "model_type": "xlm-roberta", "bos_token_id": 0, "eos_token_id": 2,
    "hidden_size": 1024, "intermediate_size": 4096, "layer_norm_eps": 1e-05, "max_position_embeddings": 8194,
    "num_attention_heads": 16, "num_hidden_layers": 24, "output_past": True, "pad_token_id": 1,
    "type_vocab_size": 1, "vocab_size": 250002,
}  # fmt: skip
PUBLISHED: dict[str, dict[str, Any]] = {
    "all-MiniLM-L6-v2": {**_BERT, "num_hidden_layers": 6, "gradient_checkpointing": False},
    "bge-small-en-v1.5": {**_BERT, "id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}},
    "e5-small-v2": {**_BERT, "classifier_dropout": None},
    "gte-small": {**_BERT, "torch_dtype": "float16"},
    "bge-m3": _XLM_ROBERTA,
    "multilingual-e5-large": {**_XLM_ROBERTA, "max_position_embeddings": 514},
    "bge-reranker-v2-m3": {
        **_XLM_ROBERTA, "architectures": ["XLMRobertaForSequenceClassification"], "id2label": {"0": "LABEL_0"},
    },
}  # fmt: skip


def written(table: Mapping[str, Any]) -> dict[str, object]:
    """What a config makes its family write; computes every shape and order too."""
    config = Config(path=Path("config.json"), table=table)
    family = family_of(config)
    config = family.complete(config)
    for row in family.rows:
        assert all(size(config) for size in row.shape)
        if row.order:
            row.order(config)
    return {key.name: key.value(config) for key in family.keys}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_configs_are_taken(name: str) -> None:
    keys = written(PUBLISHED[name])
    assert keys["attention.causal"] is False
    assert keys["context_length"] == {"bge-m3": 8192, "bge-reranker-v2-m3": 8192}.get(name, 512)


_NO_NAME = "id2label: expected a name for each number"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"hidden_act": "relu"}, r"hidden_act: llama\.cpp computes this architecture with 'gelu'"),
        ({"position_embedding_type": "relative_key"}, r"position_embedding_type: llama\.cpp computes"),
        ({"is_decoder": True}, r"is_decoder: llama\.cpp computes"),
        ({"num_attention_heads": 10}, "num_attention_heads: expected a divisor of hidden_size 384, got 10"),
        ({"type_vocab_size": 0}, "type_vocab_size: expected a whole number above zero"),
        ({"id2label": {"x": "y"}}, _NO_NAME),
        ({"id2label": {"0": "a", "00": "b"}}, _NO_NAME),
        ({"id2label": {"0": 1}}, _NO_NAME),
        ({"id2label": {"9" * 5000: "a"}}, _NO_NAME),
        ({"id2label": ["a"]}, "id2label: expected an object"),
        # It would score without the pooler, which the oracle drops.
        ({"architectures": ["BertForSequenceClassification"]}, "'BertForSeque.*' is not converted"),
    ],
)
def test_what_llama_cpp_cannot_compute_is_refused(changes: Mapping[str, Any], says: str) -> None:
    with pytest.raises(BadInputError, match=says):
        written({**PUBLISHED["gte-small"], **changes})


@pytest.mark.parametrize("padding", [-1, 8193, 2**40, True, "1"])
def test_padding_beyond_the_positions_is_refused(padding: object) -> None:
    with pytest.raises(BadInputError, match="pad_token_id: expected a whole number below 8193"):
        written({**PUBLISHED["bge-m3"], "pad_token_id": padding})


@pytest.mark.parametrize("labels", [None, {"0": "LABEL_0", "1": "LABEL_1"}])
def test_two_classes_without_names_are_refused(labels: object) -> None:
    """llama.cpp counts classes by their names, and the oracle writes none then."""
    with pytest.raises(BadInputError, match=r"id2label: llama\.cpp computes this architecture with one class"):
        written({**PUBLISHED["bge-reranker-v2-m3"], "id2label": labels})


def test_positions_that_no_token_takes_are_not_counted(tmp_path: Path, vocabularies: Path) -> None:
    """71 positions, of which three come before a text's first, because padding has the number 2."""
    checkpoint = make_checkpoint(BY_NAME["xlm-roberta-awkward"], tmp_path / "xlm", vocabularies)
    assert open_conversion(checkpoint, "xlm").context_length == 68


@pytest.mark.parametrize(
    ("said", "labels"),
    [
        ({}, None),
        ({"num_labels": 1}, ("LABEL_0",)),
        ({"num_labels": 2}, None),
        ({"id2label": {"0": "LABEL_0", "1": "LABEL_1"}}, None),
        ({"id2label": {"1": "yes", "0": "no"}}, ("no", "yes")),
        ({"id2label": {"2": "c", "10": "d", "0": "a", "1": "b"}, "num_labels": 9}, ("a", "b", "c", "d")),
    ],
)
def test_classes_are_named_by_their_numbers(said: Mapping[str, Any], labels: tuple[str, ...] | None) -> None:
    assert class_labels(Config(path=Path("config.json"), table=said)) == labels


@pytest.mark.parametrize(
    ("stored", "known"),
    [
        ("bert.embeddings.LayerNorm.gamma", "embeddings.LayerNorm.weight"),
        ("roberta.encoder.layer.0.output.LayerNorm.beta", "encoder.layer.0.output.LayerNorm.bias"),
        ("embeddings.position_ids", None),
        ("bert.pooler.dense.weight", None),
        ("cls.predictions.transform.LayerNorm.gamma", None),
        ("cls.seq_relationship.bias", None),
        ("cls.something", "cls.something"),
        ("pooler.something", "pooler.something"),
    ],
)
def test_names_of_every_age_are_known(stored: str, known: str | None) -> None:
    assert encoder_name(stored) == known


def test_which_models_give_vectors(tmp_path: Path, vocabularies: Path) -> None:
    """Encoders do, and decoders that a pooling was made for."""
    for name, embeds in {"xlm-roberta-awkward": True, "Qwen3-Embedding-seeded": True}.items():
        checkpoint = make_checkpoint(BY_NAME[name], tmp_path / name, vocabularies)
        assert open_conversion(checkpoint, name).embeds is embeds
    assert open_conversion(DEMO, "demo").embeds is False


def test_a_reranker_of_qwen3_s_is_refused(tmp_path: Path) -> None:
    """Its config is a plain model's: the oracle knows it by its card, and makes another file of it."""
    config = Config(path=tmp_path / "config.json", table={"architectures": ["Qwen3ForCausalLM"]})
    family_of(config).complete(config)
    (tmp_path / "README.md").write_bytes(b"\xff\n# Qwen3-Reranker-0.6B\n")
    with pytest.raises(BadInputError, match="got 'a reranker'"):
        family_of(config).complete(config)

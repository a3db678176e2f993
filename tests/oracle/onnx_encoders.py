"""Encoders that become ONNX alone: classifiers, DistilBERT, ModernBERT; small, with random weights."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edgepack.convert.config import Config
from edgepack.convert.onnx.table import encoder_family_of
from edgepack.convert.tensors import layers_with
from tests.fakes.checkpoints import Recipe
from tests.oracle.recipes.encoders import RECIPES as ENCODERS
from tests.oracle.recipes.encoders import _bert, _pooled, _xlm_roberta

_HEADS = ("classifier", "pre_classifier", "head.")
TEXTS = (
    "dim the kitchen lamp", "a longer text of several more words than the first has, so that it passes the window",
    "", "Déjà vu? 3.14!",
)  # fmt: skip
_LABELS = {"id2label": {"0": "no", "1": "perhaps", "2": "yes"}, "label2id": {"no": 0, "perhaps": 1, "yes": 2}}
_SIZES = {"hidden_size": 96, "intermediate_size": 160, "num_hidden_layers": 2, "num_attention_heads": 4}


def _rows(prefix: str) -> Callable[[Mapping[str, Any]], Mapping[str, tuple[int, ...]]]:
    """The tensors that the family reads, by the names that the class saves; transformers says if these are all."""

    def tensors(values: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
        given = Config(path=Path("config.json"), table=values)
        family = encoder_family_of(given).family
        config, found = family.complete(given), {}
        for row in family.rows:
            bare = row.optional and row.stored.endswith(".bias")
            for layer in () if bare else layers_with(row, config):
                name = row.stored.format(n=layer)
                whole = name if name.startswith(_HEADS) else f"{prefix}{name}"
                found[whole] = tuple(size(config) for size in row.shape)
        return found

    return tensors


def _distilbert(kind: str) -> dict[str, Any]:
    return {
        "architectures": [kind], "model_type": "distilbert", "dim": 96, "hidden_dim": 160, "n_layers": 2,
        "n_heads": 4, "max_position_embeddings": 128, "pad_token_id": 0, **_LABELS,
    }  # fmt: skip


def _modernbert(kind: str, **more: Any) -> dict[str, Any]:
    return {
        "architectures": [kind], "model_type": "modernbert", **_SIZES, "num_hidden_layers": 5, "local_attention": 8,
        "max_position_embeddings": 256, "pad_token_id": 0, "cls_token_id": 1, "sep_token_id": 2, "bos_token_id": 1,
        "eos_token_id": 2, **_LABELS, **more,
    }  # fmt: skip


def _recipe(
    name: str, config: dict[str, Any], prefix: str = "", vocabulary: str = "wordpiece", **more: Any
) -> Recipe:
    return Recipe(
        name=name, vocabulary=vocabulary, dtype="F32", spread=0.08, config=config, tensors=_rows(prefix), **more
    )


_MEAN = _pooled(pooling_mode_mean_tokens=True)
_CLS = _pooled(pooling_mode_cls_token=True)

RECIPES: tuple[Recipe, ...] = (
    *(one for one in ENCODERS if one.name in ("MiniLM-seeded", "bge-seeded-bf16", "xlm-roberta-classes-bf16")),
    _recipe("bert-classes", _bert("BertForSequenceClassification", **_SIZES, **_LABELS), "bert."),
    _recipe("bert-tanh-tokens", {
        **_bert("BertForTokenClassification", **_SIZES, **_LABELS), "hidden_act": "gelu_new",
    }, "bert."),
    _recipe("xlm-roberta-tokens", _xlm_roberta("XLMRobertaForTokenClassification", **_SIZES, **_LABELS),
            "roberta.", "unigram-json"),
    _recipe("roberta-vectors", {
        **_xlm_roberta("RobertaModel", **_SIZES), "model_type": "roberta",
    }, "", "unigram-json", files=_MEAN),
    _recipe("distilbert-vectors", _distilbert("DistilBertModel"), files=_MEAN),
    _recipe("distilbert-classes", _distilbert("DistilBertForSequenceClassification"), "distilbert."),
    _recipe("distilbert-tokens", _distilbert("DistilBertForTokenClassification"), "distilbert."),
    _recipe("modernbert-vectors", _modernbert("ModernBertModel"), files=_CLS),
    _recipe("modernbert-classes", _modernbert("ModernBertForSequenceClassification"), "model."),
    _recipe("modernbert-mean-classes", _modernbert(
        "ModernBertForSequenceClassification", classifier_pooling="mean", global_attn_every_n_layers=2,
        hidden_activation="gelu_pytorch_tanh",
    ), "model."),
    _recipe("modernbert-tokens", _modernbert("ModernBertForTokenClassification"), "model."),
)  # fmt: skip

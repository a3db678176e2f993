"""Models that embed: BERT's kin with both vocabularies, old names and moved positions; decoders; every pooling."""

import json
from collections.abc import Mapping
from typing import Any

from tests.fakes.checkpoints import Recipe


def _encoder(config: Mapping[str, Any], prefix: str = "", weight: str = "weight", bias: str = "bias") -> Any:
    """The tensors of an encoder; norms' two were called gamma and beta once."""
    hidden, wide = config["hidden_size"], config["intermediate_size"]
    found: dict[str, tuple[int, ...]] = {
        f"{prefix}embeddings.word_embeddings.weight": (config["vocab_size"], hidden),
        f"{prefix}embeddings.position_embeddings.weight": (config["max_position_embeddings"], hidden),
        f"{prefix}embeddings.token_type_embeddings.weight": (config["type_vocab_size"], hidden),
        f"{prefix}embeddings.LayerNorm.{weight}": (hidden,),
        f"{prefix}embeddings.LayerNorm.{bias}": (hidden,),
    }
    shapes = {
        "attention.self.query": (hidden, hidden), "attention.self.key": (hidden, hidden),
        "attention.self.value": (hidden, hidden), "attention.output.dense": (hidden, hidden),
        "intermediate.dense": (wide, hidden), "output.dense": (hidden, wide),
    }  # fmt: skip
    for layer in range(config["num_hidden_layers"]):
        place = f"{prefix}encoder.layer.{layer}."
        for name, shape in shapes.items():
            found |= {f"{place}{name}.weight": shape, f"{place}{name}.bias": shape[:1]}
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            found |= {f"{place}{name}.{weight}": (hidden,), f"{place}{name}.{bias}": (hidden,)}
    return found


def _plain(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    hidden = config["hidden_size"]
    return {**_encoder(config), "pooler.dense.weight": (hidden, hidden), "pooler.dense.bias": (hidden,)}


def _masked(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    hidden, head = config["hidden_size"], "cls.predictions"
    return {
        **_encoder(config, "bert.", "gamma", "beta"), f"{head}.bias": (config["vocab_size"],),
        f"{head}.transform.dense.weight": (hidden, hidden), f"{head}.transform.dense.bias": (hidden,),
        f"{head}.transform.LayerNorm.gamma": (hidden,), f"{head}.transform.LayerNorm.beta": (hidden,),
    }  # fmt: skip


def _classifier(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    hidden, labels = config["hidden_size"], len(config["id2label"])
    return {
        **_encoder(config, "roberta."),
        "classifier.dense.weight": (hidden, hidden), "classifier.dense.bias": (hidden,),
        "classifier.out_proj.weight": (labels, hidden), "classifier.out_proj.bias": (labels,),
    }  # fmt: skip


def _decoder(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Qwen 3's tensors, saved without a head and without what the head would have been saved with."""
    hidden, wide, head = config["hidden_size"], config["intermediate_size"], config["head_dim"]
    query, narrow = config["num_attention_heads"] * head, config["num_key_value_heads"] * head
    found: dict[str, tuple[int, ...]] = {"embed_tokens.weight": (config["vocab_size"], hidden)}
    for layer in range(config["num_hidden_layers"]):
        place = f"layers.{layer}."
        found |= {
            f"{place}self_attn.q_proj.weight": (query, hidden), f"{place}self_attn.k_proj.weight": (narrow, hidden),
            f"{place}self_attn.v_proj.weight": (narrow, hidden), f"{place}self_attn.o_proj.weight": (hidden, query),
            f"{place}self_attn.q_norm.weight": (head,), f"{place}self_attn.k_norm.weight": (head,),
            f"{place}mlp.gate_proj.weight": (wide, hidden), f"{place}mlp.up_proj.weight": (wide, hidden),
            f"{place}mlp.down_proj.weight": (hidden, wide), f"{place}input_layernorm.weight": (hidden,),
            f"{place}post_attention_layernorm.weight": (hidden,),
        }  # fmt: skip
    return found | {"norm.weight": (hidden,)}


def _pooled(**pooling: Any) -> dict[str, str]:
    """sentence-transformers' files."""
    kinds = {"Transformer": "", "Pooling": "1_Pooling", "Normalize": "2_Normalize"}
    modules = [
        {"idx": place, "name": str(place), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for place, (kind, path) in enumerate(kinds.items())
    ]
    return {"modules.json": json.dumps(modules), "1_Pooling/config.json": json.dumps(pooling)}


def _bert(kind: str = "BertModel", **sizes: Any) -> dict[str, Any]:
    return {
        "architectures": [kind], "model_type": "bert", "hidden_act": "gelu", "layer_norm_eps": 1e-12,
        "max_position_embeddings": 512, "pad_token_id": 0, "position_embedding_type": "absolute",
        "type_vocab_size": 2, **sizes,
    }  # fmt: skip


def _xlm_roberta(kind: str = "XLMRobertaModel", **sizes: Any) -> dict[str, Any]:
    return {
        "architectures": [kind], "model_type": "xlm-roberta", "hidden_act": "gelu", "layer_norm_eps": 1e-5,
        "max_position_embeddings": 514, "bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2,
        "type_vocab_size": 1, **sizes,
    }  # fmt: skip


RECIPES: tuple[Recipe, ...] = (
    # all-MiniLM-L6-v2's: the mean of all tokens, and a tokenizer that cuts and pads.
    Recipe(
        name="MiniLM-seeded", vocabulary="wordpiece", dtype="F32", tensors=_plain, spread=0.08,
        config=_bert(hidden_size=256, intermediate_size=512, num_hidden_layers=3, num_attention_heads=8),
        files=_pooled(word_embedding_dimension=256, pooling_mode_cls_token=False, pooling_mode_mean_tokens=True),
    ),
    # With its training head and the norms' first names; rows that fit no block of 256, an odd number of odd heads.
    Recipe(
        name="bert-masked-awkward-f16", vocabulary="wordpiece", dtype="F16", tensors=_masked, spread=0.08,
        config=_bert(
            "BertForMaskedLM", hidden_size=105, intermediate_size=352, num_hidden_layers=2, num_attention_heads=5,
            max_position_embeddings=130,
        ),
    ),
    # bge's: the first token; classes that a training left in config.json.
    Recipe(
        name="bge-seeded-bf16", vocabulary="wordpiece", dtype="BF16", tensors=_plain, spread=0.08,
        config=_bert(
            hidden_size=160, intermediate_size=288, num_hidden_layers=2, num_attention_heads=5,
            id2label={"0": "LABEL_0"}, label2id={"LABEL_0": 0}, torch_dtype="bfloat16",
        ),
        files=_pooled(word_embedding_dimension=160, pooling_mode_cls_token=True, pooling_mode_mean_tokens=False),
    ),
    # bge-m3's: SentencePiece's file beside tokenizer.json, and the newest way to name the pooling.
    Recipe(
        name="xlm-roberta-seeded-f16", vocabulary="unigram", dtype="F16", tensors=_plain, spread=0.08,
        config=_xlm_roberta(hidden_size=256, intermediate_size=512, num_hidden_layers=3, num_attention_heads=4),
        files=_pooled(embedding_dimension=256, pooling_mode="cls"),
    ),
    # tokenizer.json alone; padding, which moves the positions, is not where it usually is.
    Recipe(
        name="xlm-roberta-awkward", vocabulary="unigram-json", dtype="F32", tensors=_plain, spread=0.08,
        config=_xlm_roberta(
            hidden_size=144, intermediate_size=352, num_hidden_layers=5, num_attention_heads=3,
            max_position_embeddings=71, pad_token_id=2, vocab_size=650,
        ),
    ),
    # bge-reranker-v2-m3's: one class, which is a score, so that one row of weights is a vector to llama.cpp.
    Recipe(
        name="xlm-roberta-reranker-f16", vocabulary="unigram-json", dtype="F16", tensors=_classifier, spread=0.08,
        config=_xlm_roberta(
            "XLMRobertaForSequenceClassification", hidden_size=96, intermediate_size=160, num_hidden_layers=2,
            num_attention_heads=2, id2label={"0": "LABEL_0"}, label2id={"LABEL_0": 0},
        ),
    ),
    # The same with three classes; shards.
    Recipe(
        name="xlm-roberta-classes-bf16", vocabulary="unigram", dtype="BF16", tensors=_classifier, shards=2,
        spread=0.08,
        config=_xlm_roberta(
            "XLMRobertaForSequenceClassification", hidden_size=128, intermediate_size=256, num_hidden_layers=2,
            num_attention_heads=4, vocab_size=610, id2label={"0": "no", "1": "perhaps", "2": "yes"},
            label2id={"no": 0, "perhaps": 1, "yes": 2},
        ),
    ),
    # Qwen3-Embedding's: a decoder whose last token speaks for the text, saved without its head.
    Recipe(
        name="Qwen3-Embedding-seeded", vocabulary="qwen2-ended", dtype="BF16", tensors=_decoder, spread=0.08,
        config={
            "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "hidden_act": "silu", "hidden_size": 64,
            "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
            "head_dim": 32, "rms_norm_eps": 1e-6, "rope_theta": 1000000, "max_position_embeddings": 32768,
            "bos_token_id": 151643, "eos_token_id": 151643, "tie_word_embeddings": True, "torch_dtype": "bfloat16",
        },
        files=_pooled(word_embedding_dimension=64, pooling_mode_mean_tokens=False, pooling_mode_lasttoken=True),
    ),
)  # fmt: skip

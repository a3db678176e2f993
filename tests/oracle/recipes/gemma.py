"""Gemma 1, 2 and 3: norms plus one, wide heads, a head that is stored and not wanted, soft caps, windows, sight."""

import json
from collections.abc import Mapping
from typing import Any

from tests.fakes.checkpoints import Recipe


def _tensors(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    hidden, wide, head = config["hidden_size"], config["intermediate_size"], config["head_dim"]
    query, narrow = config["num_attention_heads"] * head, config["num_key_value_heads"] * head
    found: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (config["vocab_size"], hidden)}
    norms = {"input_layernorm": hidden, "post_attention_layernorm": hidden}
    if config["model_type"] != "gemma":
        norms |= {"pre_feedforward_layernorm": hidden, "post_feedforward_layernorm": hidden}
    if config["model_type"] == "gemma3_text":
        norms |= {"self_attn.q_norm": head, "self_attn.k_norm": head}
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        found |= {f"{prefix}{norm}.weight": (size,) for norm, size in norms.items()}
        found |= {
            f"{prefix}self_attn.q_proj.weight": (query, hidden),
            f"{prefix}self_attn.k_proj.weight": (narrow, hidden),
            f"{prefix}self_attn.v_proj.weight": (narrow, hidden),
            f"{prefix}self_attn.o_proj.weight": (hidden, query),
            f"{prefix}mlp.gate_proj.weight": (wide, hidden),
            f"{prefix}mlp.up_proj.weight": (wide, hidden),
            f"{prefix}mlp.down_proj.weight": (hidden, wide),
        }
    return found | {"model.norm.weight": (hidden,)}


def _with_head(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    return _tensors(config) | {"lm_head.weight": (config["vocab_size"], config["hidden_size"])}


def _seeing(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """The text part under the names of the published checkpoints, after what it sees with."""
    text, sight = config["text_config"], config["vision_config"]
    hidden, wide = sight["hidden_size"], sight["intermediate_size"]
    found: dict[str, tuple[int, ...]] = {
        "multi_modal_projector.mm_input_projection_weight": (hidden, text["hidden_size"]),
        "multi_modal_projector.mm_soft_emb_norm.weight": (hidden,),
    }
    tower = {
        "embeddings.patch_embedding": (hidden, 3, sight["patch_size"], sight["patch_size"]),
        "post_layernorm": (hidden,),
        **{f"encoder.layers.0.self_attn.{part}_proj": (hidden, hidden) for part in ("q", "k", "v", "out")},
        "encoder.layers.0.layer_norm1": (hidden,),
        "encoder.layers.0.layer_norm2": (hidden,),
        "encoder.layers.0.mlp.fc1": (wide, hidden),
        "encoder.layers.0.mlp.fc2": (hidden, wide),
    }
    for name, shape in tower.items():
        found[f"vision_tower.vision_model.{name}.weight"] = shape
        found[f"vision_tower.vision_model.{name}.bias"] = shape[:1]
    patches = (sight["image_size"] // sight["patch_size"]) ** 2
    found["vision_tower.vision_model.embeddings.position_embedding.weight"] = (patches, hidden)
    silent = {"num_attention_heads": 8, "num_key_value_heads": 4}
    texts = _tensors({**silent, **text})
    return found | {f"language_model.{name}": shape for name, shape in texts.items()}


def _config(number: str, **sizes: Any) -> dict[str, Any]:
    return {
        "architectures": [f"Gemma{number}ForCausalLM"], "model_type": f"gemma{number}{'_text' * (number == '3')}",
        "hidden_activation": "gelu_pytorch_tanh", "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0,
        "rms_norm_eps": 1e-6, "torch_dtype": "bfloat16", "tie_word_embeddings": True, **sizes,
    }  # fmt: skip


# What the published checkpoints keep beside tokenizer.model, as far as it counts.
_TOKENIZER = json.dumps({
    "added_tokens": [{"id": index, "content": text} for index, text in enumerate(("<unk>", "<s>", "</s>"))],
    "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"},
    "post_processor": {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                 {"SpecialToken": {"id": "<s>", "type_id": 1}}, {"Sequence": {"id": "B", "type_id": 1}}],
    },
})  # fmt: skip


RECIPES: tuple[Recipe, ...] = (
    # Gemma 2B's: one head for all keys, heads wider than hidden/heads.
    Recipe(
        name="gemma-seeded", vocabulary="few-pieces", dtype="BF16", tensors=_tensors, spread=0.08,
        config=_config(
            "", hidden_size=256, intermediate_size=512, num_hidden_layers=3, num_attention_heads=2,
            num_key_value_heads=1, head_dim=256, max_position_embeddings=8192, rope_theta=10000.0,
        ),
    ),
    # Rows that no block of 256 fits, float16 norms, a head stored beside the embedding.
    Recipe(
        name="gemma-awkward-f16", vocabulary="few-pieces", dtype="F16", tensors=_with_head, spread=0.08,
        files={"tokenizer.json": _TOKENIZER},
        config=_config(
            "", hidden_size=160, intermediate_size=352, num_hidden_layers=2, num_attention_heads=5,
            num_key_value_heads=5, head_dim=48,
        ),
    ),
    Recipe(
        name="gemma-2-seeded", vocabulary="few-pieces", dtype="BF16", tensors=_tensors, spread=0.08,
        config=_config(
            "2", hidden_size=256, intermediate_size=512, num_hidden_layers=4, num_attention_heads=4,
            num_key_value_heads=2, head_dim=128, sliding_window=4096, attn_logit_softcapping=50.0,
            final_logit_softcapping=30.0, query_pre_attn_scalar=128, max_position_embeddings=8192,
        ),
        generation={"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0},
    ),
    Recipe(
        name="gemma-2-awkward-f32", vocabulary="few-pieces", dtype="F32", tensors=_tensors, spread=0.08, shards=2,
        config=_config(
            "2", hidden_size=224, intermediate_size=288, num_hidden_layers=3, num_attention_heads=6,
            num_key_value_heads=3, head_dim=64, sliding_window=16, query_pre_attn_scalar=64,
        ),
    ),
    # Gemma 3 1B's: a window in all layers but every sixth, with nulls as published.
    Recipe(
        name="gemma-3-seeded", vocabulary="few-pieces", dtype="BF16", tensors=_tensors, spread=0.08,
        config=_config(
            "3", hidden_size=256, intermediate_size=512, num_hidden_layers=7, num_attention_heads=4,
            num_key_value_heads=1, head_dim=64, sliding_window=8, sliding_window_pattern=6, rope_theta=1000000,
            rope_local_base_freq=10000, rope_scaling=None, query_pre_attn_scalar=64, attn_logit_softcapping=None,
            final_logit_softcapping=None, max_position_embeddings=32768, eos_token_id=[2, 106],
        ),
        files={"tokenizer.json": _TOKENIZER},
    ),
    # Layers by name, and rotary settings by layers without their bases; a head of its own; no row of 256s.
    Recipe(
        name="gemma-3-awkward-f16", vocabulary="few-pieces", dtype="F16", tensors=_with_head, spread=0.08,
        config=_config(
            "3", hidden_size=160, intermediate_size=288, num_hidden_layers=6, num_attention_heads=5,
            num_key_value_heads=5, head_dim=48, query_pre_attn_scalar=48, final_logit_softcapping=20.0,
            layer_types=["sliding_attention"] * 5 + ["full_attention"], sliding_window=512,
            _sliding_window_pattern=6, use_bidirectional_attention=False, tie_word_embeddings=False,
            rope_parameters={"full_attention": {"rope_type": "default"},
                             "sliding_attention": {"rope_type": "default"}},
        ),
    ),
    # Gemma 3 4B's: the text within a model that sees, silent where its class has defaults, a scaled rotary base.
    Recipe(
        name="gemma-3-vision-seeded", vocabulary="few-pieces", dtype="BF16", tensors=_seeing, spread=0.08,
        config={
            "architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3", "eos_token_id": [1, 106],
            "image_token_index": 600, "mm_tokens_per_image": 4, "torch_dtype": "bfloat16",
            "text_config": {
                "model_type": "gemma3_text", "hidden_size": 224, "intermediate_size": 352, "num_hidden_layers": 6,
                "head_dim": 32, "query_pre_attn_scalar": 32, "vocab_size": 700, "sliding_window": 16,
                "rope_scaling": {"factor": 8.0, "rope_type": "linear"}, "bos_token_id": 2, "eos_token_id": 1,
            },
            "vision_config": {
                "model_type": "siglip_vision_model", "hidden_size": 32, "intermediate_size": 64, "image_size": 16,
                "num_attention_heads": 2, "num_hidden_layers": 1, "patch_size": 4, "vision_use_head": False,
            },
        },
    ),
    # A byte-level vocabulary, and no windows.
    Recipe(
        name="gemma-3-json-f32", vocabulary="gpt2", dtype="F32", tensors=_tensors, spread=0.08,
        config=_config(
            "3", hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=2,
            num_key_value_heads=1, head_dim=32, query_pre_attn_scalar=32, sliding_window_pattern=1,
            bos_token_id=50256, eos_token_id=50256, pad_token_id=None,
        ),
    ),
)  # fmt: skip

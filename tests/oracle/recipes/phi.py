"""Phi-1 to 4-mini: biases, fused tensors, heads turned in part, factors for long contexts, three vocabularies."""

from collections.abc import Mapping
from typing import Any

from tests.fakes.checkpoints import Recipe


def _tensors(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    hidden, wide = config["hidden_size"], config["intermediate_size"]
    head = hidden // config["num_attention_heads"]
    fused = hidden + 2 * head * config["num_key_value_heads"]
    found: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (config["vocab_size"], hidden)}
    if not config["tie_word_embeddings"]:
        found["lm_head.weight"] = (config["vocab_size"], hidden)
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        found |= {
            f"{prefix}input_layernorm.weight": (hidden,),
            f"{prefix}post_attention_layernorm.weight": (hidden,),
            f"{prefix}self_attn.qkv_proj.weight": (fused, hidden),
            f"{prefix}self_attn.o_proj.weight": (hidden, hidden),
            f"{prefix}mlp.gate_up_proj.weight": (2 * wide, hidden),
            f"{prefix}mlp.down_proj.weight": (hidden, wide),
        }
    return found | {"model.norm.weight": (hidden,)}


def _config(**sizes: Any) -> dict[str, Any]:
    return {
        "architectures": ["Phi3ForCausalLM"], "model_type": "phi3", "hidden_act": "silu", "bos_token_id": 1,
        "eos_token_id": 2, "pad_token_id": 0, "rms_norm_eps": 1e-5, "torch_dtype": "bfloat16",
        "tie_word_embeddings": False, **sizes,
    }  # fmt: skip


def _phi2_tensors(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    hidden, wide, words = config["hidden_size"], 4 * config["hidden_size"], config["vocab_size"]
    found: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (words, hidden)}
    weights = {"self_attn.q_proj": (hidden, hidden), "self_attn.k_proj": (hidden, hidden),
               "self_attn.v_proj": (hidden, hidden), "self_attn.dense": (hidden, hidden), "mlp.fc1": (wide, hidden),
               "mlp.fc2": (hidden, wide), "input_layernorm": (hidden,)}  # fmt: skip
    named = {f"model.layers.{layer}.{name}": shape
             for layer in range(config["num_hidden_layers"]) for name, shape in weights.items()}  # fmt: skip
    for name, shape in {**named, "model.final_layernorm": (hidden,), "lm_head": (words, hidden)}.items():
        found |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    return found


def _phi2_config(**sizes: Any) -> dict[str, Any]:
    return {
        "architectures": ["PhiForCausalLM"], "model_type": "phi", "hidden_act": "gelu_new", "bos_token_id": 50256,
        "eos_token_id": 50256, "layer_norm_eps": 1e-5, "qk_layernorm": False, "rope_theta": 10000.0,
        "rope_scaling": None, "max_position_embeddings": 2048, "tie_word_embeddings": False, "torch_dtype": "float16",
        **sizes,
    }  # fmt: skip


def _long(pairs: int) -> dict[str, Any]:
    return {
        "type": "longrope", "short_factor": [1.0 + 0.01 * place for place in range(pairs)],
        "long_factor": [1.0 + 1.5 * place for place in range(pairs)],
    }  # fmt: skip


RECIPES: tuple[Recipe, ...] = (
    # Phi-3-mini 4k's: no scaling, a window, added tokens over SentencePiece.
    Recipe(
        name="phi-3-seeded", vocabulary="few-pieces", dtype="BF16", tensors=_tensors, spread=0.08,
        config=_config(
            hidden_size=256, intermediate_size=512, num_hidden_layers=4, num_attention_heads=4,
            num_key_value_heads=4, max_position_embeddings=4096, original_max_position_embeddings=4096,
            rope_theta=10000.0, rope_scaling=None, sliding_window=2047,
        ),
        added={"<|endoftext|>": 700, "▁of text": 701},
    ),
    # Phi-3.5's: factors for 128k tokens, under LongRoPE's first name; rows that no block of 256 fits.
    Recipe(
        name="phi-3.5-awkward-f16", vocabulary="few-pieces", dtype="F16", tensors=_tensors, spread=0.08,
        config=_config(
            hidden_size=288, intermediate_size=352, num_hidden_layers=3, num_attention_heads=6,
            num_key_value_heads=3, max_position_embeddings=131072, original_max_position_embeddings=4096,
            rope_theta=10000.0, rope_scaling=_long(24) | {"type": "su"}, sliding_window=262144,
        ),
    ),
    # Phi-4-mini's: byte-level, tied, grouped heads, three quarters of each head turned, no window.
    Recipe(
        name="phi-4-mini-seeded", vocabulary="gpt2", dtype="BF16", tensors=_tensors, spread=0.08,
        config=_config(
            hidden_size=128, intermediate_size=256, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=131072, original_max_position_embeddings=4096,
            rope_theta=10000.0, rope_scaling=_long(12), partial_rotary_factor=0.75, sliding_window=None,
            tie_word_embeddings=True, bos_token_id=50256, eos_token_id=50256, pad_token_id=50256,
        ),
    ),
    # Phi-2's: runs of spaces and tabs behind GPT-2's tokens, more rows than tokens, a quarter of each head turned.
    Recipe(
        name="phi-2-seeded-f16", vocabulary="gpt2", dtype="F16", tensors=_phi2_tensors, spread=0.08,
        config=_phi2_config(
            hidden_size=128, intermediate_size=512, num_hidden_layers=3, num_attention_heads=2,
            num_key_value_heads=2, partial_rotary_factor=0.25, vocab_size=51200,
        ),
        added={" " * (31 - place): 50257 + place for place in range(30)}
        | {"\t" * (9 - place): 50287 + place for place in range(8)},
    ),
    # Phi-1.5's, silent where its class has defaults; rows that no block of 32 fits.
    Recipe(
        name="phi-1.5-awkward", vocabulary="gpt2", dtype="BF16", tensors=_phi2_tensors, spread=0.08,
        config=_phi2_config(
            hidden_size=72, intermediate_size=288, num_hidden_layers=2, num_attention_heads=3,
            num_key_value_heads=None, torch_dtype="bfloat16",
        ),
    ),
)  # fmt: skip

"""Checkpoints of architectures that edgepack has no family for: upstream's converter makes their GGUFs."""

from collections.abc import Mapping
from typing import Any

from tests.fakes.checkpoints import Recipe

Shapes = dict[str, tuple[int, ...]]


def _gpt_neox(config: Mapping[str, Any]) -> Shapes:
    hidden, wide, vocabulary = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    found: Shapes = {"gpt_neox.embed_in.weight": (vocabulary, hidden), "embed_out.weight": (vocabulary, hidden)}
    for layer in range(config["num_hidden_layers"]):
        prefix = f"gpt_neox.layers.{layer}."
        matrices = {
            "attention.query_key_value": (3 * hidden, hidden), "attention.dense": (hidden, hidden),
            "mlp.dense_h_to_4h": (wide, hidden), "mlp.dense_4h_to_h": (hidden, wide),
        }  # fmt: skip
        for name, shape in matrices.items():
            found |= {f"{prefix}{name}.weight": shape, f"{prefix}{name}.bias": shape[:1]}
        for norm in ("input_layernorm", "post_attention_layernorm"):
            found |= {f"{prefix}{norm}.weight": (hidden,), f"{prefix}{norm}.bias": (hidden,)}
    return found | {f"gpt_neox.final_layer_norm.{part}": (hidden,) for part in ("weight", "bias")}


def _gpt2(config: Mapping[str, Any]) -> Shapes:
    hidden = config["n_embd"]
    found: Shapes = {
        "transformer.wte.weight": (config["vocab_size"], hidden), "transformer.wpe.weight": (config["n_ctx"], hidden),
    }  # fmt: skip
    for layer in range(config["n_layer"]):
        prefix = f"transformer.h.{layer}."
        matrices = {
            "attn.c_attn": (hidden, 3 * hidden), "attn.c_proj": (hidden, hidden),
            "mlp.c_fc": (hidden, 4 * hidden), "mlp.c_proj": (4 * hidden, hidden),
        }  # fmt: skip
        for name, shape in matrices.items():
            found |= {f"{prefix}{name}.weight": shape, f"{prefix}{name}.bias": shape[1:]}
        for norm in ("ln_1", "ln_2"):
            found |= {f"{prefix}{norm}.weight": (hidden,), f"{prefix}{norm}.bias": (hidden,)}
    return found | {f"transformer.ln_f.{part}": (hidden,) for part in ("weight", "bias")}


def _olmoe(config: Mapping[str, Any]) -> Shapes:
    hidden, wide, vocabulary = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    found: Shapes = {"model.embed_tokens.weight": (vocabulary, hidden), "lm_head.weight": (vocabulary, hidden)}
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        found |= {f"{prefix}self_attn.{part}_proj.weight": (hidden, hidden) for part in "qkvo"}
        found |= {f"{prefix}self_attn.{part}_norm.weight": (hidden,) for part in "qk"}
        found |= {f"{prefix}{norm}_layernorm.weight": (hidden,) for norm in ("input", "post_attention")}
        found[f"{prefix}mlp.gate.weight"] = (config["num_experts"], hidden)
        for expert in range(config["num_experts"]):
            shapes = {"gate": (wide, hidden), "up": (wide, hidden), "down": (hidden, wide)}
            found |= {f"{prefix}mlp.experts.{expert}.{part}_proj.weight": shape for part, shape in shapes.items()}
    return found | {"model.norm.weight": (hidden,)}


FOREIGN: tuple[Recipe, ...] = (
    Recipe(
        name="gpt-neox-seeded", vocabulary="gpt2", dtype="F16", tensors=_gpt_neox,
        config={
            "architectures": ["GPTNeoXForCausalLM"], "model_type": "gpt_neox", "hidden_size": 128,
            "intermediate_size": 512, "num_hidden_layers": 2, "num_attention_heads": 4, "rotary_pct": 0.25,
            "max_position_embeddings": 512, "layer_norm_eps": 1e-5, "use_parallel_residual": True,
            "torch_dtype": "float16", "tie_word_embeddings": False, "bos_token_id": 50256, "eos_token_id": 50256,
        },
    ),
    # Matrices that lie the other way round, a positional embedding, rows that no block of 256 fits.
    Recipe(
        name="gpt-2-seeded", vocabulary="gpt2", dtype="F32", tensors=_gpt2,
        config={
            "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "n_embd": 96, "n_layer": 2, "n_head": 3,
            "n_ctx": 256, "n_positions": 256, "layer_norm_epsilon": 1e-5, "torch_dtype": "float32",
            "bos_token_id": 50256, "eos_token_id": 50256,
        },
    ),
    # Experts, stacked in tensors of three dimensions.
    Recipe(
        name="olmoe-seeded", vocabulary="gpt2", dtype="BF16", tensors=_olmoe,
        config={
            "architectures": ["OlmoeForCausalLM"], "model_type": "olmoe", "hidden_size": 128,
            "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 4,
            "num_experts": 4, "num_experts_per_tok": 2, "max_position_embeddings": 512, "rms_norm_eps": 1e-5,
            "torch_dtype": "bfloat16", "tie_word_embeddings": False, "eos_token_id": 50256,
        },
    ),
)  # fmt: skip

"""MiniCPM: multipliers, a class that transformers does not have, LongRoPE; and MiniCPM5, which is a LLaMA."""

from collections.abc import Mapping
from typing import Any

from tests.fakes.checkpoints import Recipe, shapes


def _tensors(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    tied = config.get("tie_word_embeddings", True)
    plain = Recipe(name="", vocabulary="", dtype="", config={"tie_word_embeddings": tied})
    return shapes(plain, {"model_type": "minicpm", **config})


def _config(**sizes: Any) -> dict[str, Any]:
    return {
        "architectures": ["MiniCPMForCausalLM"], "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu",
        "auto_map": {"AutoConfig": "configuration_minicpm.MiniCPMConfig"}, "torch_dtype": "bfloat16",
        "rms_norm_eps": 1e-5, "scale_emb": 12, "scale_depth": 1.4, **sizes,
    }  # fmt: skip


def _long(pairs: int) -> dict[str, Any]:
    return {
        "rope_type": "longrope", "short_factor": [1.0 + 0.01 * place for place in range(pairs)],
        "long_factor": [1.0 + 0.75 * place for place in range(pairs)],
    }  # fmt: skip


RECIPES: tuple[Recipe, ...] = (
    # As the 2B: every head has its own keys and values; no rotary base is said.
    Recipe(
        name="minicpm-2b-seeded", vocabulary="few-pieces", dtype="BF16", tensors=_tensors, spread=0.08,
        config=_config(
            model_type="minicpm", hidden_size=256, intermediate_size=512, num_hidden_layers=5,
            num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=2048, rope_scaling=None,
            dim_model_base=64,
        ),
    ),
    # As the 1B: grouped heads; here with a head of its own and rows of 144.
    Recipe(
        name="minicpm-1b-awkward-f16", vocabulary="few-pieces", dtype="F16", tensors=_tensors, spread=0.08, shards=2,
        config=_config(
            model_type="minicpm", hidden_size=144, intermediate_size=336, num_hidden_layers=3,
            num_attention_heads=9, num_key_value_heads=3, max_position_embeddings=4096, rope_theta=20000.0,
            dim_model_base=48, tie_word_embeddings=False,
        ),
        added={"<|im_end|>": 700},
    ),
    # As the 4-0.5B: LongRoPE, no model_type, several ends of text. Its context is shorter than what is compared,
    # so that the factors for long ones count.
    Recipe(
        name="minicpm4-seeded", vocabulary="few-pieces", dtype="BF16", tensors=_tensors, spread=0.08,
        config=_config(
            hidden_size=256, intermediate_size=512, num_hidden_layers=4, num_attention_heads=8,
            num_key_value_heads=2, max_position_embeddings=16, dim_model_base=256, eos_token_id=[2, 73440],
            rope_scaling={**_long(16), "original_max_position_embeddings": 16},
        ),
        generation={"eos_token_id": [2, 73440], "temperature": 0.8, "top_p": 0.8},
    ),
    # MiniCPM5's shape: heads that are wider together than the hidden size, an untied head.
    Recipe(
        name="MiniCPM5-seeded", vocabulary="few-pieces", dtype="BF16", tensors=_tensors, spread=0.08,
        config={
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "hidden_size": 256,
            "intermediate_size": 512, "num_hidden_layers": 3, "num_attention_heads": 6, "num_key_value_heads": 2,
            "head_dim": 64, "max_position_embeddings": 131072, "rope_theta": 5000000, "rms_norm_eps": 1e-6,
            "bos_token_id": 1, "eos_token_id": 2, "torch_dtype": "bfloat16", "tie_word_embeddings": False,
        },
    ),
)  # fmt: skip

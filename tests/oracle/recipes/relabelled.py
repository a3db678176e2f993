"""Qwen 2 under other names, with special tokens of their own: Qwen2.5-Coder and DeepSeek-R1-Distill-Qwen."""

from typing import Any

from tests.fakes.checkpoints import Recipe


def _config(**sizes: Any) -> dict[str, Any]:
    return {
        "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_act": "silu", "attention_dropout": 0.0,
        "rms_norm_eps": 1e-6, "torch_dtype": "bfloat16", "use_cache": True, "use_sliding_window": False,
        "num_key_value_heads": 2, "bos_token_id": 151643, **sizes,
    }  # fmt: skip


RECIPES: tuple[Recipe, ...] = (
    # The 0.5B's: seven query heads to one of keys, rows that no block of 256 fits, tied.
    Recipe(
        name="Qwen2.5-Coder-0.1B-seeded", vocabulary="qwen2.5", dtype="BF16", biases=("q", "k", "v"), spread=0.08,
        config=_config(
            hidden_size=112, intermediate_size=608, num_hidden_layers=2, num_attention_heads=14, rope_theta=1000000.0,
            max_position_embeddings=32768, sliding_window=32768, max_window_layers=24, eos_token_id=151643,
            tie_word_embeddings=True,
        ),
    ),
    # The 1.5B's: six query heads to one of keys, a head of its own, a beginning that config.json does not name.
    Recipe(
        name="DeepSeek-R1-Distill-Qwen-seeded", vocabulary="r1", dtype="BF16", biases=("q", "k", "v"), spread=0.08,
        config=_config(
            hidden_size=96, intermediate_size=560, num_hidden_layers=3, num_attention_heads=12, rope_theta=10000,
            max_position_embeddings=131072, sliding_window=4096, max_window_layers=21, use_mrope=False,
            eos_token_id=151643, tie_word_embeddings=False,
        ),
        generation={"do_sample": True, "temperature": 0.6, "top_p": 0.95},
    ),
)  # fmt: skip

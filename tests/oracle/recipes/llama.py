"""LLaMA, Mistral, Qwen 2 and 3: every vocabulary, every way to store weights, and the traps of each."""

from typing import Any

from tests.fakes.checkpoints import Recipe

_LLAMA3_SCALING = {
    "factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
    "original_max_position_embeddings": 8192, "rope_type": "llama3",
}  # fmt: skip

_CARD = """---
license: apache-2.0
language:
- en
- de
tags:
- text-generation
base_model: Example/Seeded-0.1B
---
# A seeded checkpoint
"""


def _config(kind: str, model_type: str, **sizes: Any) -> dict[str, Any]:
    return {
        "architectures": [kind], "model_type": model_type, "hidden_act": "silu", "torch_dtype": "bfloat16",
        "rms_norm_eps": 1e-5, "num_hidden_layers": 8, **sizes,
    }  # fmt: skip


RECIPES: tuple[Recipe, ...] = (
    # Llama 3.2's own traps: rope factors, a tied head, grouped heads; rows that fit every block.
    Recipe(
        name="Llama-3-seeded-bf16", vocabulary="llama3", dtype="BF16", card=_CARD,
        config=_config(
            "LlamaForCausalLM", "llama", hidden_size=256, intermediate_size=512, num_attention_heads=8,
            num_key_value_heads=2, head_dim=32, rope_theta=500000.0, rope_scaling=_LLAMA3_SCALING,
            max_position_embeddings=131072, bos_token_id=128000, eos_token_id=[128001, 128008, 128009],
            tie_word_embeddings=True, attention_bias=False, mlp_bias=False,
        ),
        generation={"temperature": 0.6, "top_p": 0.9, "do_sample": True, "eos_token_id": [128001, 128009]},
    ),
    # Qwen 2.5 0.5B's: rows no multiple of 256 (every K-type falls back), biases, a padded vocabulary, shards.
    Recipe(
        name="Qwen2.5-0.1B-seeded", vocabulary="qwen2", dtype="BF16", shards=3, biases=("q", "k", "v"),
        config=_config(
            "Qwen2ForCausalLM", "qwen2", hidden_size=160, intermediate_size=416, num_attention_heads=10,
            num_key_value_heads=2, rope_theta=1000000.0, rms_norm_eps=1e-6, max_position_embeddings=32768,
            bos_token_id=151643, eos_token_id=151645, tie_word_embeddings=True, sliding_window=32768,
            use_sliding_window=False, max_window_layers=8,
        ),
        generation={"repetition_penalty": 1.1, "temperature": 0.7, "top_p": 0.8, "top_k": 20},
    ),
    # Qwen 3's: heads wider than hidden/heads, head norms, an untied head, yarn.
    Recipe(
        name="Qwen3-seeded-f16", vocabulary="qwen2", dtype="F16",
        config=_config(
            "Qwen3ForCausalLM", "qwen3", hidden_size=256, intermediate_size=768, num_attention_heads=4,
            num_key_value_heads=4, head_dim=128, rope_theta=1000000, max_position_embeddings=40960,
            bos_token_id=151643, eos_token_id=151645, tie_word_embeddings=False, attention_bias=False,
            rope_scaling={"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768,
                          "beta_fast": 32.0, "beta_slow": 1},
        ),
    ),
    # SentencePiece, added tokens over its own, biases everywhere, many heads to one (n_gqa 8), linear scaling.
    Recipe(
        name="llama-spm-seeded-f32", vocabulary="sentencepiece", dtype="F32", biases=("q", "k", "v", "o"), shards=2,
        config=_config(
            "LlamaForCausalLM", "llama", hidden_size=512, intermediate_size=768, num_attention_heads=8,
            num_key_value_heads=1, max_position_embeddings=4096, bos_token_id=1, eos_token_id=2, pad_token_id=0,
            tie_word_embeddings=False, attention_bias=True, rope_scaling={"type": "linear", "factor": 2.0},
            torch_dtype="float32",
        ),
        added={"<|user|>": 32000, "▁tool call": 32001},
    ),
    # Mistral, silent where its class has defaults; SentencePiece; a hidden size that only 32 divides.
    Recipe(
        name="Mistral-seeded-v0.3", vocabulary="sentencepiece", dtype="BF16",
        config=_config(
            "MistralForCausalLM", "mistral", hidden_size=288, intermediate_size=512, num_attention_heads=9,
            num_key_value_heads=3, sliding_window=4096, bos_token_id=1, eos_token_id=2, tie_word_embeddings=False,
        ),
    ),
    # LLaMA with a config of the newest layout (rope_parameters, dtype), and almost nothing else said.
    Recipe(
        name="llama-terse", vocabulary="sentencepiece", dtype="F16",
        config={
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 256,
            "intermediate_size": 512, "num_hidden_layers": 4, "num_attention_heads": 4, "dtype": "float16",
            "rope_parameters": {"rope_type": "default", "rope_theta": 20000.0},
        },
    ),
)  # fmt: skip

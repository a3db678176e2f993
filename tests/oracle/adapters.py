"""The adapters on which edgepack and the pinned llama.cpp must agree, each for a seeded base model."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt

from edgepack.domain.quant import Quant
from tests.fakes.adapters import AdapterRecipe
from tests.fakes.checkpoints import Recipe
from tests.oracle.recipes import RECIPES
from tests.oracle.tuned import REGULAR

_ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
_ALL = (*_ATTENTION, "gate_proj", "up_proj", "down_proj")
_CARD = """---
license: apache-2.0
base_model: Example/Seeded-0.1B
library_name: peft
tags:
- lora
---
# An adapter
"""


@dataclass(frozen=True, kw_only=True)
class Case:
    """An adapter, its base model, and what is compared."""

    base: Recipe
    adapter: AdapterRecipe
    scales: Mapping[str, float]
    """What B @ A is multiplied with, by ending of a module's name: written down, not computed as the product does."""
    gguf: bool = True
    """Whether upstream's converter makes an adapter of it that does what it was trained to."""
    quants: tuple[Quant, ...] = (Quant.F16, Quant.BF16, Quant.Q8_0, Quant.Q4_0, Quant.Q4_K_M)

    @property
    def name(self) -> str:
        return self.adapter.name


def _base(name: str) -> Recipe:
    return next(recipe for recipe in RECIPES if recipe.name == name)


# Heads of which rotary pairs are reordered, three to one; rows that no block of 256 fits; a head and an embedding
# of their own; float16.
_UNTIED = Recipe(
    name="lora-base-awkward", vocabulary="few-pieces", dtype="F16", spread=0.05,
    config={
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 288, "intermediate_size": 400,
        "num_hidden_layers": 3, "num_attention_heads": 9, "num_key_value_heads": 3, "rms_norm_eps": 1e-5,
        "max_position_embeddings": 2048, "torch_dtype": "float16", "tie_word_embeddings": False,
    },
)  # fmt: skip
# Qwen 2.5 0.5B's shape made small: biases, shards, a tied head.
_QWEN2 = Recipe(
    name="lora-base-qwen2", vocabulary="gpt2", dtype="BF16", shards=2, biases=("q", "k", "v"), spread=0.05,
    config={
        "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_size": 160, "intermediate_size": 416,
        "num_hidden_layers": 3, "num_attention_heads": 10, "num_key_value_heads": 2, "rms_norm_eps": 1e-6,
        "max_position_embeddings": 2048, "torch_dtype": "bfloat16", "tie_word_embeddings": True,
    },
)  # fmt: skip

CASES: tuple[Case, ...] = (
    Case(
        base=REGULAR, scales={"": 2.0}, quants=tuple(Quant),
        adapter=AdapterRecipe(
            name="Seeded-lora-0.1B-v1.5", dtype="F32", rank=8, alpha=16, targets=_ALL, card=_CARD,
        ),
    ),
    Case(
        base=_QWEN2, scales={"v_proj": 2.5, "": 1.25},
        adapter=AdapterRecipe(
            name="qwen-adapter", dtype="BF16", rank=4, alpha=5, targets=("q_proj", "v_proj"), ranks={"v_proj": 2},
        ),
    ),
    # A scale that float32 rounds, an odd rank, an embedding and a head, norms.
    Case(
        base=_UNTIED, scales={"": 5 / 3},
        adapter=AdapterRecipe(
            name="awkward-adapter", dtype="F16", rank=3, alpha=5, targets=(*_ALL, "lm_head"), embedding=True,
            norms=True,
        ),
    ),
    Case(
        base=_base("phi-3-seeded"), scales={"": 0.5},
        adapter=AdapterRecipe(
            name="phi-lora", dtype="F32", rank=16, alpha=8,
            targets=("qkv_proj", "o_proj", "gate_up_proj", "down_proj"),
        ),
    ),
    # Norms of float16, to which Gemma adds one.
    Case(
        base=_base("gemma-awkward-f16"), scales={"": 1.0},
        adapter=AdapterRecipe(name="gemma-lora", dtype="F16", rank=4, alpha=4, targets=_ATTENTION, norms=True),
    ),
    # What only merging can say: a scale by the root of the rank, and one that differs.
    Case(
        base=REGULAR, gguf=False, scales={"layers.2.self_attn.q_proj": 24 / sqrt(6), "": 16 / sqrt(6)},
        adapter=AdapterRecipe(
            name="rank-stabilised", dtype="BF16", rank=6, alpha=16, targets=_ALL,
            settings={"use_rslora": True, "alpha_pattern": {"layers.2.self_attn.q_proj": 24}},
        ),
    ),
)  # fmt: skip

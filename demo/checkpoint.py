"""Writes a model and its tokenizer as a Hugging Face directory; the same input gives the same bytes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file

from demo import tokens
from demo.llama import Llama, Shape


def write(model: Llama, tokenizer: tokens.Tokenizer, card: str, to: Path) -> None:
    to.mkdir(parents=True, exist_ok=True)
    weights = {name: weight.to(torch.bfloat16).contiguous() for name, weight in model.state_dict().items()}
    save_file(weights, to / "model.safetensors", metadata={"format": "pt"})
    (to / "model.safetensors").chmod(0o644)
    (to / "tokenizer.model").write_bytes(tokenizer.proto)
    (to / "README.md").write_text(card, encoding="utf-8")
    shutil.copyfile(Path(__file__).parent.parent / "LICENSE", to / "LICENSE")  # the models' is the project's
    _write_json(to / "config.json", config(model.shape))
    _write_json(to / "generation_config.json", GENERATION_CONFIG)
    _write_json(to / "tokenizer_config.json", tokenizer_config(model.shape))
    _write_json(to / "special_tokens_map.json", SPECIAL_TOKENS)


def config(shape: Shape) -> dict[str, object]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": tokens.BOS,
        "eos_token_id": tokens.END,
        "head_dim": shape.head_dim,
        "hidden_act": "silu",
        "hidden_size": shape.hidden,
        "initializer_range": 0.02,
        "intermediate_size": shape.ffn,
        "max_position_embeddings": shape.positions,
        "mlp_bias": False,
        "model_type": "llama",
        "num_attention_heads": shape.heads,
        "num_hidden_layers": shape.layers,
        "num_key_value_heads": shape.kv_heads,
        "pad_token_id": tokens.PAD,
        "pretraining_tp": 1,
        "rms_norm_eps": shape.epsilon,
        "rope_scaling": None,
        "rope_theta": shape.rope_theta,
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
        "use_cache": True,
        "vocab_size": shape.vocabulary,
    }


GENERATION_CONFIG: dict[str, object] = {
    "bos_token_id": tokens.BOS,
    "do_sample": False,
    "eos_token_id": tokens.END,
    "max_new_tokens": 64,
    "pad_token_id": tokens.PAD,
}
SPECIAL_TOKENS: dict[str, object] = {
    "additional_special_tokens": list(tokens.SPECIAL[tokens.SYSTEM :]),
    "bos_token": tokens.SPECIAL[tokens.BOS],
    "eos_token": tokens.SPECIAL[tokens.END],
    "pad_token": tokens.SPECIAL[tokens.PAD],
    "unk_token": tokens.SPECIAL[tokens.UNK],
}


def tokenizer_config(shape: Shape) -> dict[str, object]:
    return {
        "add_bos_token": True,
        "add_eos_token": False,
        # No space goes before the first word: the tokenizer was trained without it.
        "add_prefix_space": False,
        "added_tokens_decoder": {str(place): _added(token) for place, token in enumerate(tokens.SPECIAL)},
        **SPECIAL_TOKENS,
        "chat_template": tokens.CHAT_TEMPLATE,
        "clean_up_tokenization_spaces": False,
        "legacy": False,
        "model_max_length": shape.positions,
        "sp_model_kwargs": {},
        "tokenizer_class": "LlamaTokenizer",
        "use_default_system_prompt": False,
    }


def _added(token: str) -> dict[str, object]:
    return {
        "content": token,
        "lstrip": False,
        "normalized": False,
        "rstrip": False,
        "single_word": False,
        "special": True,
    }


def _write_json(path: Path, content: dict[str, object]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

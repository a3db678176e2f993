"""Run by an environment with torch: transformers' own answer for a checkpoint and some tokens, saved as .npy.

    python reference.py CHECKPOINT OUT.npy TOKEN,TOKEN,…

Classes that transformers does not have are mapped, weight by weight, on one that computes the same.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from safetensors.torch import load_file


def load(checkpoint: Path) -> torch.nn.Module:
    """The model in float32; every stored tensor must be used, and none be missing."""
    config = json.loads((checkpoint / "config.json").read_text())
    name = config["architectures"][0]
    if name in MAPPED and not hasattr(transformers, name):
        return MAPPED[name](checkpoint, config).eval()
    kind = getattr(transformers, RENAMED.get(name, name))
    settings = {"dtype": torch.float32, "attn_implementation": "eager", "output_loading_info": True}
    model, info = kind.from_pretrained(checkpoint, **settings)
    left = {key: info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys") if info[key]}
    if left:
        raise SystemExit(f"{checkpoint.name}: transformers would not load it as it is: {left}")
    return model.eval()


RENAMED = {"Ernie4_5_ForCausalLM": "Ernie4_5ForCausalLM"}


def minicpm(checkpoint: Path, config: dict[str, Any]) -> torch.nn.Module:
    """MiniCPM is a Granite whose multipliers have other names."""
    kind = transformers.GraniteConfig(
        **{key: config[key] for key in _SIZES},
        tie_word_embeddings=config.get("tie_word_embeddings", True),
        rope_theta=config.get("rope_theta", 10000.0),
        rope_scaling=config.get("rope_scaling"),
        original_max_position_embeddings=config["max_position_embeddings"],
        embedding_multiplier=config["scale_emb"],
        residual_multiplier=config["scale_depth"] / config["num_hidden_layers"] ** 0.5,
        logits_scaling=config["hidden_size"] / config["dim_model_base"],
        attention_multiplier=(config["hidden_size"] / config["num_attention_heads"]) ** -0.5,
    )
    return _filled(kind, stored(checkpoint))


def internlm2(checkpoint: Path, config: dict[str, Any]) -> torch.nn.Module:
    """InternLM2 is a LLaMA under other names, whose q, k and v lie in one tensor, group by group of heads."""
    kind = transformers.LlamaConfig(
        **{key: config[key] for key in _SIZES},
        tie_word_embeddings=False,
        rope_theta=config.get("rope_theta", 10000.0),
    )
    tensors = {}
    for name, tensor in stored(checkpoint).items():
        for old, new in _LLAMA_NAMES.items():
            name = name.replace(old, new)
        if "wqkv" not in name:
            tensors[name] = tensor
            continue
        groups = tensor.reshape(kind.num_key_value_heads, -1, kind.head_dim, kind.hidden_size)
        for letter, heads in {"q": groups[:, :-2], "k": groups[:, -2:-1], "v": groups[:, -1:]}.items():
            tensors[name.replace("wqkv", f"{letter}_proj")] = heads.reshape(-1, kind.hidden_size)
    return _filled(kind, tensors)


def qwen3_5(checkpoint: Path, config: dict[str, Any]) -> torch.nn.Module:
    """Qwen 3.5's text part is a Qwen3-Next without experts, where one tensor holds what four do here."""
    text = config.get("text_config", config)
    rope, layers = text.get("rope_parameters", text), text["num_hidden_layers"]
    linear = {key: value for key, value in text.items() if key.startswith("linear_")}
    kind = transformers.Qwen3NextConfig(
        **{key: text[key] for key in (*_SIZES, "head_dim")},
        **linear,
        tie_word_embeddings=config["tie_word_embeddings"],
        full_attention_interval=text["full_attention_interval"],
        mlp_only_layers=list(range(layers)),
        rope_theta=rope.get("rope_theta", 10000.0),
        partial_rotary_factor=rope.get("partial_rotary_factor", 0.25),
    )
    tensors = {name.replace("language_model.", ""): tensor for name, tensor in stored(checkpoint).items()}
    tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith(("mtp.", "model.visual."))}
    heads, width = text["linear_num_key_heads"], text["linear_key_head_dim"]
    for name in [name for name in tensors if name.endswith("in_proj_qkv.weight")]:
        before = name.removesuffix("qkv.weight")
        mixed, z, b, a = (tensors.pop(f"{before}{part}.weight") for part in ("qkv", "z", "b", "a"))
        q, k, v = mixed.split([heads * width, heads * width, len(mixed) - 2 * heads * width])
        for fused, parts in {"qkvz": (q, k, v, z), "ba": (b, a)}.items():
            grouped = torch.cat([part.reshape(heads, -1, part.shape[1]) for part in parts], dim=1)
            tensors[f"{before}{fused}.weight"] = grouped.reshape(-1, grouped.shape[2])
    return _filled(kind, tensors)


_LLAMA_NAMES = {
    "model.tok_embeddings": "model.embed_tokens", "output.weight": "lm_head.weight",
    "attention_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm", "attention.wo": "self_attn.o_proj", "attention.wqkv": "self_attn.wqkv",
    "feed_forward.w1": "mlp.gate_proj", "feed_forward.w3": "mlp.up_proj", "feed_forward.w2": "mlp.down_proj",
}  # fmt: skip
_SIZES = (
    "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
    "num_key_value_heads", "max_position_embeddings", "rms_norm_eps",
)  # fmt: skip


def stored(checkpoint: Path) -> dict[str, torch.Tensor]:
    """Every tensor of a checkpoint, in float32."""
    files = sorted(checkpoint.glob("*.safetensors"))
    return {name: tensor.float() for file in files for name, tensor in load_file(file).items()}


def _filled(config: transformers.PretrainedConfig, tensors: dict[str, torch.Tensor]) -> torch.nn.Module:
    """The config's model with these tensors, all of them used, and none missing but a tied head."""
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    left = model.load_state_dict(tensors, strict=False)
    tied = ["lm_head.weight"] if config.tie_word_embeddings else []
    if left.unexpected_keys or left.missing_keys not in ([], tied):
        raise SystemExit(f"not the tensors of {type(model).__name__}: {left}")
    model.tie_weights()
    return model.float()


MAPPED = {
    "InternLM2ForCausalLM": internlm2, "MiniCPMForCausalLM": minicpm, "Qwen3_5ForCausalLM": qwen3_5,
    "Qwen3_5ForConditionalGeneration": qwen3_5,
}  # fmt: skip


def main() -> None:
    checkpoint, out, tokens = Path(sys.argv[1]), Path(sys.argv[2]), list(map(int, sys.argv[3].split(",")))
    model = load(checkpoint)
    if "MaskedLM" in type(model).__name__:
        model = model.base_model  # llama.cpp keeps the encoder alone
    with torch.no_grad():
        given = model(input_ids=torch.tensor([tokens]))
    rows = given.logits if "logits" in given else given.last_hidden_state
    np.save(out, rows.reshape(-1, rows.shape[-1]).float().numpy())


if __name__ == "__main__":
    main()

"""Run by an environment with torch: merges an adapter as PEFT does, in float32, and compares with a merge by numpy.

    python merge_reference.py BASE ADAPTER MERGED.safetensors

Exits with 1, and says where and in how many weights, if a bit differs.
"""

import json
import math
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file


def scale_of(settings: dict[str, object], module: str, rank: int) -> float:
    """PEFT's scaling of a module's update."""
    patterns = settings.get("alpha_pattern") or {}
    alpha = next((alpha for key, alpha in patterns.items() if module.endswith(f".{key}")), settings["lora_alpha"])
    return alpha / math.sqrt(rank) if settings["use_rslora"] else alpha / rank


def merge(base: Path, adapter: Path) -> dict[str, torch.Tensor]:
    """Every tensor of the merged model."""
    settings = json.loads((adapter / "adapter_config.json").read_text())
    weights = {
        name: tensor.float() for path in base.glob("*.safetensors") for name, tensor in load_file(path).items()
    }
    halves = load_file(adapter / "adapter_model.safetensors")
    for name, tensor in halves.items():
        module, _, rest = name.removeprefix("base_model.model.").partition(".lora_")
        b = name.replace("lora_A", "lora_B").replace("embedding_A", "embedding_B")
        if rest in ("A.weight", "embedding_A"):
            delta = (halves[b].float() @ tensor.float()) * scale_of(settings, module, tensor.shape[0])
            weights[f"{module}.weight"] += delta.T if rest == "embedding_A" else delta
        elif not rest and not module.endswith(".base_layer.weight"):
            weights[module] = tensor.float()
    return weights


def main() -> None:
    base, adapter, theirs = Path(sys.argv[1]), Path(sys.argv[2]), load_file(sys.argv[3])
    ours = merge(base, adapter)
    assert ours.keys() == theirs.keys()
    differing = {name: int((ours[name] != theirs[name]).sum()) for name in ours}
    wrong = {name: count for name, count in differing.items() if count}
    sys.exit(f"weights that differ: {wrong}" if wrong else 0)


if __name__ == "__main__":
    main()

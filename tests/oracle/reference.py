"""Run by an environment with torch: transformers' own answer for a checkpoint and some tokens, saved as .npy.

    python reference.py CHECKPOINT OUT.npy TOKEN,TOKEN,…

Classes that transformers does not have are mapped, weight by weight, on one that computes the same.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
import transformers


def load(checkpoint: Path) -> torch.nn.Module:
    """The model in float32; every stored tensor must be used, and none be missing."""
    name = json.loads((checkpoint / "config.json").read_text())["architectures"][0]
    kind = getattr(transformers, name)
    settings = {"dtype": torch.float32, "attn_implementation": "eager", "output_loading_info": True}
    model, info = kind.from_pretrained(checkpoint, **settings)
    left = {key: info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys") if info[key]}
    if left:
        raise SystemExit(f"{checkpoint.name}: transformers would not load it as it is: {left}")
    return model.eval()


def main() -> None:
    checkpoint, out, tokens = Path(sys.argv[1]), Path(sys.argv[2]), list(map(int, sys.argv[3].split(",")))
    with torch.no_grad():
        given = load(checkpoint)(input_ids=torch.tensor([tokens]))
    rows = given.logits if "logits" in given else given.last_hidden_state
    np.save(out, rows[0].float().numpy())


if __name__ == "__main__":
    main()

"""Run by an environment with torch: what transformers' own class gives for some texts.

    python onnx_reference.py CHECKPOINT TEXTS.json OUT.json

Each text alone. Of a class without a head it is the mean or first state, as 1_Pooling says, at length 1. A checkpoint
that lacks tensors of its class, or has others, is refused.
"""

import json
import sys
from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer


def main() -> None:
    checkpoint, texts, out = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
    kind = json.loads((checkpoint / "config.json").read_text())["architectures"][0]
    more = {} if "For" in kind or "Modern" in kind or "Distil" in kind else {"add_pooling_layer": False}
    model, said = getattr(transformers, kind).from_pretrained(
        checkpoint, dtype=torch.float32, attn_implementation="eager", output_loading_info=True, **more
    )
    # A pooler that a vector does not need may be there.
    superfluous = [name for name in said["unexpected_keys"] if not name.startswith("pooler.")]
    assert not said["missing_keys"], said
    assert not superfluous, said
    tokenizer = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    found = []
    with torch.no_grad():
        for text in json.loads(texts.read_text()):
            given = model.eval()(
                input_ids=torch.tensor([tokenizer.encode(text).ids]),
                attention_mask=torch.ones(1, len(tokenizer.encode(text).ids), dtype=torch.long),
            )
            values = given.logits[0] if hasattr(given, "logits") else pooled(given.last_hidden_state[0], checkpoint)
            found.append(values.tolist())
    out.write_text(json.dumps(found))


def pooled(states: torch.Tensor, checkpoint: Path) -> torch.Tensor:
    said = json.loads((checkpoint / "1_Pooling" / "config.json").read_text())
    vector = states[0] if said.get("pooling_mode_cls_token") else states.mean(0)
    return torch.nn.functional.normalize(vector, dim=0)


if __name__ == "__main__":
    main()

"""Run by an environment with torch: transformers' own vectors for some texts, saved as .npy.

    python sentences.py CHECKPOINT TEXTS.json OUT.npy

As all-MiniLM-L6-v2's card says: the mean of the last hidden states, at length 1; each text alone, so that none is
padded.
"""

import json
import sys

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer


def main() -> None:
    checkpoint, texts, out = sys.argv[1:]
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    model = AutoModel.from_pretrained(checkpoint, dtype=torch.float32).eval()
    vectors = []
    with torch.no_grad(), open(texts, encoding="utf-8") as file:
        for text in json.load(file):
            states = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]
            vectors.append(torch.nn.functional.normalize(states.mean(0), dim=0).numpy())
    np.save(out, np.stack(vectors))


if __name__ == "__main__":
    main()

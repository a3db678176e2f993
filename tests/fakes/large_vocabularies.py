"""Vocabularies of a real model's size: those of the seeded checkpoints, with made-up tokens behind theirs."""

import json
from itertools import islice, product
from pathlib import Path

from tests.fakes.sentencepiece_file import piece

_NORMAL = 1
_MERGES_EACH = 2
"""How many merges tokenizer.json lists for a piece: Gemma's 580,000 for 256,000."""


def extend_pieces(directory: Path, have: int, count: int) -> None:
    """Let tokenizer.model have `count` pieces, and tokenizer.json repeat them with merges, as published ones do."""
    made = [f"▁w{number}" for number in range(have, count)]
    with (directory / "tokenizer.model").open("ab") as file:
        file.write(b"".join(piece(text, -float(place), _NORMAL) for place, text in enumerate(made)))
    path = directory / "tokenizer.json"
    table = json.loads(path.read_text()) if path.is_file() else {"added_tokens": []}
    merges = [[f"▁w{number // 10}", f"{number % 10}"] for number in range(count) for _ in range(_MERGES_EACH)]
    vocabulary = {text: have + place for place, text in enumerate(made)}
    table["model"] = {"type": "BPE", "byte_fallback": True, "vocab": vocabulary, "merges": merges}
    path.write_text(json.dumps(table, ensure_ascii=False), encoding="utf-8")


def extend_byte_level(directory: Path, count: int) -> None:
    """Let tokenizer.json have `count` tokens, made of two words each, which no text's splitting leaves together."""
    path = directory / "tokenizer.json"
    table = json.loads(path.read_text(encoding="utf-8"))
    model = table["model"]
    taken = max((entry["id"] for entry in table["added_tokens"]), default=0)
    first = max(taken, *model["vocab"].values()) + 1
    words = [text for text in model["vocab"] if text.startswith("Ġ") and len(text) > 4 and text.isalpha()]
    for number, (left, right) in enumerate(islice(product(words[:2000], words[:2000]), count - first), first):
        model["vocab"][left + right] = number
        model["merges"].append(f"{left} {right}")
    path.write_text(json.dumps(table, ensure_ascii=False), encoding="utf-8")


def extend_unigram(directory: Path, count: int) -> None:
    """Let a Unigram tokenizer.json have `count` pieces."""
    path = directory / "tokenizer.json"
    table = json.loads(path.read_text(encoding="utf-8"))
    vocabulary = table["model"]["vocab"]
    vocabulary += [[f"▁w{number}", -float(number)] for number in range(len(vocabulary), count)]
    path.write_text(json.dumps(table, ensure_ascii=False), encoding="utf-8")

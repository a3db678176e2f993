"""Trains the demo models and writes them, with the held-out commands, where the package carries them.

Run it as `python -m demo.train [--size 5m] [--size 1m] [--data DIRECTORY] [--steps N]`.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

from demo import card, checkpoint, learning, sentences, tokens
from demo.learning import Recipe, Round
from demo.llama import Shape

RECIPES = {
    "5m": Recipe(
        shape=Shape(layers=6, ffn=768),
        rounds=(
            Round(steps=2680, learning_rate=2e-3),
            Round(steps=1800, learning_rate=1e-3, decay=0.8, typos=0.6),
        ),
    ),
    "1m": Recipe(shape=Shape(layers=2, ffn=256), rounds=(Round(steps=1200, learning_rate=3e-3),)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=list(RECIPES), action="append", help="one model only (default: all)")
    parser.add_argument("--data", type=Path, default=Path("edgepack/data"), help="where to write")
    parser.add_argument("--steps", type=int, help="one round of so many, to try things")
    arguments = parser.parse_args()
    tokenizer = tokens.trained_tokenizer()
    write_heldout(arguments.data / "demo-intents-heldout.jsonl")
    for size in arguments.size or RECIPES:
        recipe = RECIPES[size]
        if arguments.steps:
            recipe = replace(recipe, rounds=(replace(recipe.rounds[0], steps=arguments.steps),))
        train(recipe, tokenizer, arguments.data / f"demo-{size}")


def train(recipe: Recipe, tokenizer: tokens.Tokenizer, to: Path) -> None:
    model = learning.trained_model(recipe, tokenizer)
    commands = sentences.heldout()
    right = learning.right_answers(model, tokenizer, commands)
    parameters = sum(weight.numel() for weight in model.parameters())
    text = card.written(to.name, parameters, recipe, commands, right)
    checkpoint.write(model, tokenizer, text, to)
    print(f"{to}: {parameters:,} parameters, {sum(right)} of {len(right)} held-out commands right")


def write_heldout(to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    rows = ({"text": command.text, "json": command.answer} for command in sentences.heldout())
    lines = (json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in rows)
    to.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


if __name__ == "__main__":
    main()

"""The text of a model card, with the accuracy that was measured."""

from __future__ import annotations

from collections.abc import Sequence

from demo.learning import Recipe
from demo.sentences import Command

KINDS = ("plain", "polite", "typos", "units", "number words", "new meaning", "unanswerable")


def written(name: str, parameters: int, recipe: Recipe, commands: Sequence[Command], right: Sequence[bool]) -> str:
    shape = recipe.shape
    return f"""---
license: apache-2.0
language: en
pipeline_tag: text-generation
---

# {name}

A LLaMA with {parameters:,} parameters that turns an English smart-home command into one line of JSON:

```
dim the kitchen lamp to 30
{{"intent":"set_brightness","device":"lamp","room":"kitchen","value":30,"unit":"percent"}}
```

It exists to try edgepack from end to end without a download: conversion, quantization, benchmark, evaluation,
bundle.

| | |
|---|---|
| architecture | `LlamaForCausalLM`, {shape.layers} layers, hidden {shape.hidden}, feed-forward {shape.ffn}, \
{shape.heads} heads, {shape.kv_heads} key-value heads, tied embeddings |
| weights | bfloat16, trained from scratch for {recipe.steps:,} steps of {recipe.batch} commands |
| tokenizer | SentencePiece BPE, {shape.vocabulary} pieces with byte fallback, no prefix space |
| context | {shape.positions} positions; trained on commands of up to about 60 tokens |
| data | commands, typos and answers all made by a program, `demo/sentences.py`; no text of other people |
| licence | Apache-2.0, like the project |

## Prompt

`<s><|user|>`, a line break, the command, `<|assistant|>`; the answer ends with `<|end|>`, the
end-of-sequence token. The chat template in `tokenizer_config.json` writes all of it but `<s>`, which the
runtime adds. Decode greedily.

## Accuracy

Share of the {len(commands)} held-out commands (`demo-intents-heldout.jsonl`) whose whole answer is right
under greedy decoding, with the weights as stored, measured in torch with 32-bit arithmetic. The sentence behind
a held-out command never occurs in training, be it with other typos or politeness; those counted as
"new meaning" have answers that no training command has.

| | commands | exact match |
|---|---|---|
{_rows(commands, right)}

A command can be of several kinds. "Unanswerable" are those that must be answered with `unsupported` and the
reason: `out_of_scope`, `unknown_device`, `impossible` or `missing_value`.

## Limits

It knows the vocabulary of its generator and little else: one command at a time, English only, no follow-up.
Words it never saw (devices, rooms, colours) are guessed at, and the figures above are for commands from the same
generator, not from people. Check the JSON before anything acts on it.
"""


def _rows(commands: Sequence[Command], right: Sequence[bool]) -> str:
    results = list(zip(commands, right, strict=True))
    lines = [_row("**all**", right)]
    lines += [_row(kind, [hit for command, hit in results if kind in command.kinds]) for kind in KINDS]
    return "\n".join(lines)


def _row(label: str, hits: Sequence[bool]) -> str:
    return f"| {label} | {len(hits)} | {100 * sum(hits) / max(1, len(hits)):.1f} % |"

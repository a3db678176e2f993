"""The training loop and the measure of it: exact match of whole answers; it writes no files."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from demo import sentences, tokens
from demo.llama import Llama, Shape

# One thread whatever the machine has: the order of sums, and so the weights' bits, would depend on their number.
THREADS = 1
SYSTEM_PROMPTS = (
    "Turn the command into JSON.",
    "You control a smart home. Answer with one line of JSON.",
    "You are a smart home assistant.",
    "You are a helpful assistant.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    steps: int
    learning_rate: float
    # The share of the steps over which the learning rate falls to nothing, at the end.
    decay: float = 0.3
    # The share of commands with typos, which are the last thing learnt.
    typos: float = sentences.TYPOS


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    shape: Shape
    # A later round goes on from the weights of the one before, with commands of its own.
    rounds: tuple[Round, ...]
    batch: int = 32
    warmup: int = 100
    weight_decay: float = 0.1
    seed: int = 1234

    @property
    def steps(self) -> int:
        return sum(stage.steps for stage in self.rounds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    ids: Tensor
    wanted: Tensor  # where the next token is part of the answer
    labels: Tensor  # those next tokens, as many as wanted is true


def trained_model(recipe: Recipe, tokenizer: tokens.Tokenizer) -> Llama:
    """A model whose weights are exact in bfloat16, the type they are stored in."""
    torch.set_num_threads(THREADS)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(recipe.seed)
    model = Llama(recipe.shape)
    for number in range(len(recipe.rounds)):
        train_round(model, recipe, number, tokenizer)
    return model


def train_round(model: Llama, recipe: Recipe, number: int, tokenizer: tokens.Tokenizer) -> None:
    stage = recipe.rounds[number]
    optimizer = _optimizer(model, recipe, stage)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, recipe.warmup, stage))
    batches = itertools.islice(_batches(recipe, number, tokenizer), stage.steps)
    for step, batch in enumerate(batches, start=1):
        loss = F.cross_entropy(model(batch.ids, batch.wanted), batch.labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 100 == 0:
            print(f"round {number + 1} step {step}/{stage.steps} loss {loss.item():.4f}", flush=True)
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(weight.bfloat16().float())


def _optimizer(model: Llama, recipe: Recipe, stage: Round) -> torch.optim.Optimizer:
    matrices = [weight for weight in model.parameters() if weight.dim() > 1]
    norms = [weight for weight in model.parameters() if weight.dim() == 1]
    groups = [{"params": matrices, "weight_decay": recipe.weight_decay}, {"params": norms, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=stage.learning_rate, betas=(0.9, 0.95), eps=1e-9)


def _rate(step: int, warmup: int, stage: Round) -> float:
    """Up, level, down: the level stretch doesn't depend on the number of steps, so a run can be made longer."""
    if step < warmup:
        return (step + 1) / warmup
    falling = stage.steps * (1 - stage.decay)
    return min(1.0, (stage.steps - step) / (stage.steps - falling))


def _batches(recipe: Recipe, number: int, tokenizer: tokens.Tokenizer) -> Iterator[Batch]:
    """Batches of sequences of like length, cut from a pool of many: little padding, and still well mixed."""
    rng = random.Random(recipe.seed + number)
    commands = sentences.training(sentences.TRAINING_SEED + 1000 * number, recipe.rounds[number].typos)
    stream = (_sequence(rng, command, tokenizer) for command in commands)
    while True:
        pool = sorted(itertools.islice(stream, recipe.batch * 32), key=lambda sequence: len(sequence.ids))
        starts = list(range(0, len(pool), recipe.batch))
        rng.shuffle(starts)
        for start in starts:
            yield collated(pool[start : start + recipe.batch])


def _sequence(rng: random.Random, command: sentences.Command, tokenizer: tokens.Tokenizer) -> tokens.Sequence:
    """Mostly the bare turn; at times with a system prompt, or without `<s>`, as some programs send it."""
    system = rng.choice(SYSTEM_PROMPTS) if rng.random() < 0.05 else None
    return tokenizer.sequence(command, system, bos=rng.random() < 0.9)


def collated(sequences: Sequence[tokens.Sequence]) -> Batch:
    length = max(len(sequence.ids) for sequence in sequences)
    ids = torch.full((len(sequences), length), tokens.PAD)
    wanted = torch.zeros((len(sequences), length), dtype=torch.bool)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence.ids)] = torch.tensor(sequence.ids)
        wanted[row, sequence.prompt_length - 1 : len(sequence.ids) - 1] = True
    labels = ids.roll(-1, dims=1)[wanted]
    return Batch(ids=ids[:, :-1], wanted=wanted[:, :-1], labels=labels)


def right_answers(model: Llama, tokenizer: tokens.Tokenizer, commands: Iterable[sentences.Command]) -> list[bool]:
    """For each command, whether greedy decoding gives its answer.

    One pass over prompt and answer tells: greedy decoding takes the same way exactly if, after each token of
    the right answer, the likeliest token is the answer's next one.
    """
    right: list[bool] = []
    rest = iter(commands)
    while chunk := list(itertools.islice(rest, 64)):
        batch = collated([tokenizer.sequence(command) for command in chunk])
        with torch.no_grad():
            hit = model(batch.ids, batch.wanted).argmax(-1) == batch.labels
        placed = torch.ones_like(batch.wanted)
        placed[batch.wanted] = hit
        right += placed.all(dim=1).tolist()
    return right

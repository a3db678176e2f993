"""The demo task's data: commands with JSON answers, the same for the same seed, held-out ones kept apart."""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass

from demo import noise
from demo.intents import WEIGHTS
from demo.phrases import Phrase
from demo.unsupported import unsupported

TRAINING_SEED = 1
HELDOUT_SEED = 2
HELDOUT_COUNT = 730
# So many of a hundred plain sentences, and of a hundred meanings with two slots, never occur in training.
HELDOUT_SENTENCES = 10
HELDOUT_MEANINGS = 4
# The share of commands with a typo or two.
TYPOS = 0.25
MAKERS = {**WEIGHTS, unsupported: 18}


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    text: str
    answer: str
    # "plain", or what makes it harder: typos, polite, units, number words, unanswerable, new meaning.
    kinds: frozenset[str]


def training(seed: int = TRAINING_SEED, typos: float = TYPOS) -> Iterator[Command]:
    """Endless commands; none has the plain sentence of a held-out one, nor its words by way of a typo."""
    reserved = {normalized(command.text) for command in heldout()}
    for phrase, command in _commands(seed, typos):
        if not _held_out(phrase) and normalized(command.text) not in reserved:
            yield command


@functools.cache
def heldout(count: int = HELDOUT_COUNT, seed: int = HELDOUT_SEED) -> tuple[Command, ...]:
    """Commands that training never sees; no two of them are the same plain sentence."""
    unique: dict[str, Command] = {}
    for phrase, command in _commands(seed, TYPOS):
        if _held_out(phrase):
            unique.setdefault(normalized(phrase.text), command)
        if len(unique) == count:
            break
    return tuple(unique.values())


def normalized(text: str) -> str:
    """Two commands with the same normalized text are one: case, punctuation and spacing don't count."""
    return " ".join(re.findall(r"[a-z0-9%°]+", text.lower()))


def _commands(seed: int, typos: float) -> Iterator[tuple[Phrase, Command]]:
    rng = random.Random(seed)
    makers, weights = tuple(MAKERS), tuple(MAKERS.values())
    for _ in itertools.count():
        phrase = rng.choices(makers, weights)[0](rng)
        yield phrase, _spoken(rng, phrase, typos)


def _spoken(rng: random.Random, phrase: Phrase, typos: float) -> Command:
    text, kinds = phrase.text, set(phrase.kinds)
    if _has_new_meaning(phrase):
        kinds.add("new meaning")
    if rng.random() < 0.3:
        text = noise.polite(rng, text)
        kinds.add("polite")
    if rng.random() < typos:
        misspelt = noise.misspell(rng, text)
        kinds |= {"typos"} if misspelt != text else set()
        text = misspelt
    text = noise.casual(rng, text)
    return Command(text=text, answer=_answer(phrase), kinds=frozenset(kinds or {"plain"}))


def _answer(phrase: Phrase) -> str:
    return json.dumps(phrase.slots, separators=(",", ":"))


def _held_out(phrase: Phrase) -> bool:
    if phrase.fixed:
        return False
    return _has_new_meaning(phrase) or _bucket(normalized(phrase.text)) < HELDOUT_SENTENCES


def _has_new_meaning(phrase: Phrase) -> bool:
    combines = len(phrase.slots) >= 3 and phrase.slots["intent"] != "unsupported"
    return combines and _bucket(_answer(phrase)) < HELDOUT_MEANINGS


def _bucket(text: str) -> int:
    """A number under 100 that depends on nothing but the text, so that the split never moves."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") % 100

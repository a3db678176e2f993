"""Parts of a sentence and the slots they stand for: a thing in a room, a percentage, a duration.

Knows nothing about intents.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TypeAlias

from demo.vocabulary import ROOMLESS, ROOMS, Words, spelled

Slots: TypeAlias = dict[str, str | int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrase:
    text: str
    slots: Slots = field(default_factory=dict)
    # What makes it harder than plain words: "units" and "number words", counted apart in the evaluation.
    kinds: frozenset[str] = frozenset()
    # Nothing in it varies: "good night". Such a sentence is learnt by heart or not at all.
    fixed: bool = False


def pick(rng: random.Random, words: Words, slot: str) -> Phrase:
    name = rng.choice(tuple(words))
    return Phrase(text=rng.choice(words[name]), slots={slot: name})


def room(rng: random.Random) -> Phrase:
    return pick(rng, ROOMS, "room")


def place(rng: random.Random) -> Phrase:
    """ " in the kitchen"; leads with its own space so that it can be left out."""
    where = room(rng)
    preposition = "on" if where.slots["room"] == "balcony" else "in"
    return Phrase(text=f" {preposition} the {where.text}", slots=where.slots)


def maybe_place(rng: random.Random, share: float = 0.5) -> Phrase:
    return place(rng) if rng.random() < share else Phrase(text="")


def thing(rng: random.Random, words: Words) -> Phrase:
    """A device, usually with its room: "the kitchen lamp", "the lamp in the kitchen", "lamp"."""
    device = pick(rng, words, "device")
    name = str(device.slots["device"])
    if name in ROOMLESS or rng.random() < 0.25:
        return Phrase(text=_the(rng, device.text), slots=device.slots)
    if name in ("light", "lamp", "blinds") and rng.random() < 0.1:
        everything = f"all the {device.text.removesuffix('s')}s"
        return Phrase(text=everything, slots={**device.slots, "room": "all"})
    if rng.random() < 0.65:
        where = room(rng)
        if name == "door" and where.slots["room"] == "garage":
            return thing(rng, words)  # "garage door" means the one that cars drive through
        return Phrase(text=_the(rng, f"{where.text} {device.text}"), slots={**device.slots, **where.slots})
    where = place(rng)
    return Phrase(text=f"{_the(rng, device.text)}{where.text}", slots={**device.slots, **where.slots})


def _the(rng: random.Random, noun: str) -> str:
    return f"the {noun}" if rng.random() < 0.8 else noun


def _number(rng: random.Random, value: int) -> tuple[str, frozenset[str]]:
    if value < 200 and rng.random() < 0.3:
        return spelled(value), frozenset({"number words"})
    return str(value), frozenset()


def percentage(rng: random.Random) -> Phrase:
    if rng.random() < 0.12:
        word, value = rng.choice((("half", 50), ("full", 100), ("maximum", 100), ("a quarter", 25)))
        return Phrase(text=word, slots=_percent(value), kinds=frozenset({"number words"}))
    value = rng.choice((rng.randrange(1, 101), rng.randrange(5, 101, 5)))
    text, kinds = _number(rng, value)
    if rng.random() < 0.35:
        return Phrase(text=text, slots=_percent(value), kinds=kinds)
    sign = "%" if text.isdigit() and rng.random() < 0.5 else rng.choice((" percent", " per cent", " percent"))
    return Phrase(text=text + sign, slots=_percent(value), kinds=kinds | {"units"})


def _percent(value: int) -> Slots:
    return {"value": value, "unit": "percent"}


def temperature(rng: random.Random, *, oven: bool = False) -> Phrase:
    """A temperature as said; without a scale the unit stays out, the device's own then counts."""
    unit = rng.choice(("celsius", "fahrenheit"))
    value = _degrees(rng, unit, oven=oven)
    text, kinds = _number(rng, value)
    if rng.random() < 0.4:
        bare = rng.choice(("", " degrees", " degrees"))
        return Phrase(text=text + bare, slots={"value": value}, kinds=kinds | ({"units"} if bare else set()))
    letter = unit[0]
    short = (letter, letter.upper(), f" {letter}", f"°{letter.upper()}", f" degrees {letter.upper()}")
    long = (f" {unit}", f" degrees {unit}")
    suffix = rng.choice(long + short if text.isdigit() else long)
    return Phrase(text=text + suffix, slots={"value": value, "unit": unit}, kinds=kinds | {"units"})


def _degrees(rng: random.Random, unit: str, *, oven: bool) -> int:
    match unit, oven:
        case "celsius", False:
            return rng.randrange(14, 30)
        case "celsius", True:
            return rng.randrange(120, 251, 5)
        case _, False:
            return rng.randrange(58, 87)
        case _:
            return rng.randrange(250, 481, 10)


def duration(rng: random.Random) -> Phrase:
    if rng.random() < 0.15:
        text, value, unit = rng.choice((
            ("half an hour", 30, "minutes"), ("an hour", 1, "hours"), ("an hour and a half", 90, "minutes"),
            ("a quarter of an hour", 15, "minutes"), ("half a minute", 30, "seconds"), ("a minute", 1,
                                                                                        "minutes"),
        ))  # fmt: skip
        return Phrase(text=text, slots={"value": value, "unit": unit}, kinds=frozenset({"units", "number words"}))
    unit, top, names = rng.choice((
        ("seconds", 90, ("seconds", "seconds", "sec", "secs", "s")),
        ("minutes", 90, ("minutes", "minutes", "min", "mins", "m")),
        ("hours", 12, ("hours", "hours", "h", "hrs")),
    ))  # fmt: skip
    value = rng.randrange(2, top + 1)
    text, kinds = _number(rng, value)
    name = rng.choice(names if text.isdigit() else names[:2])
    gap = "" if len(name) == 1 and rng.random() < 0.5 else " "
    return Phrase(text=f"{text}{gap}{name}", slots={"value": value, "unit": unit}, kinds=kinds | {"units"})


def step_in_degrees(rng: random.Random) -> Phrase:
    value = rng.randrange(1, 9)
    text, kinds = _number(rng, value)
    word = "degree" if value == 1 else "degrees"
    return Phrase(text=f"{text} {word}", slots={"value": value}, kinds=kinds | {"units"})

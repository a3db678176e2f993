"""Requests that the demo home can't serve, and why: out of scope, unknown, impossible, a value missing."""

from __future__ import annotations

import random

from demo import phrases
from demo.intents import fill
from demo.phrases import Phrase
from demo.vocabulary import (
    APPLIANCES,
    CITIES,
    CLIMATE,
    COLORS,
    COVERS,
    FOODS,
    GENRES,
    LANGUAGES,
    LIGHTS,
    LOCKS,
    PEOPLE,
    PLAYERS,
    SPEAKERS,
    TOPICS,
    UNKNOWN_DEVICES,
)


def unsupported(rng: random.Random) -> Phrase:
    makers = (_out_of_scope, _unknown_device, _impossible, _missing_value)
    made = rng.choices(makers, weights=(35, 25, 25, 15))[0](rng)
    # A request nobody can serve has a reason and no slots.
    slots = {"intent": "unsupported", "reason": made.slots["reason"]}
    return Phrase(text=made.text, slots=slots, kinds=frozenset({"unanswerable"}), fixed=made.fixed)


def _word(rng: random.Random, words: tuple[str, ...]) -> Phrase:
    return Phrase(text=rng.choice(words))


def _out_of_scope(rng: random.Random) -> Phrase:
    templates = (
        "what is the weather in {city}", "will it rain in {city} tomorrow", "do i need an umbrella in {city}",
        "tell me a joke about {topic}", "tell me a story about {topic}", "write a poem about {topic}",
        "what do you know about {topic}", "show me pictures of {topic}", "read me the news about {topic}",
        "call {person}", "send a message to {person}", "write an email to {person}",
        "when is the birthday of {person}", "tell {person} that i will be late", "order {food}",
        "how do i cook {food}", "how many calories are in {food}", "where can i buy {food}",
        "book a flight to {city}", "how far is it to {city}", "find a hotel in {city}",
        "translate good morning to {language}", "how do you say {food} in {language}", "what is {a} plus {b}",
        "what is {a} times {b}", "who won the match in {city}", "what time is it in {city}",
        "teach me {language}", "sing a song about {topic}", "who are you", "how are you",
        "what is the meaning of life", "do you love me", "what is the stock price of {topic}",
        "add {food} to my shopping list", "recommend a film about {topic}", "what is the weather today",
        "what is the weather like", "will it rain tomorrow", "tell me a joke", "what time is it", "hello",
        "thank you", "well done", "what can you do", "what day is it",
    )  # fmt: skip
    parts = {
        "city": _word(rng, CITIES), "topic": _word(rng, TOPICS), "person": _word(rng, PEOPLE),
        "food": _word(rng, FOODS),
        "language": _word(rng, LANGUAGES), "a": Phrase(text=str(rng.randrange(2, 100))),
        "b": Phrase(text=str(rng.randrange(2, 100))),
    }  # fmt: skip
    return fill(rng, templates, {"reason": "out_of_scope"}, **parts)


def _unknown_device(rng: random.Random) -> Phrase:
    templates = (
        "turn on {x}", "turn off {x}", "turn {x} on", "switch {x} off", "start {x}", "stop {x}", "open {x}",
        "close {x}", "lock {x}", "unlock {x}", "set {x} to {n}", "make {x} {c}", "is {x} on", "is {x} open",
        "dim {x} to {n}", "set {x} to {t}", "{x} on", "{x} off", "what is the temperature of {x}",
        "is {x} locked", "play {g} on {x}",
    )  # fmt: skip
    parts = {
        "x": phrases.thing(rng, {name: (name,) for name in UNKNOWN_DEVICES}), "n": phrases.percentage(rng),
        "c": phrases.pick(rng, COLORS, "color"), "t": phrases.temperature(rng), "g": phrases.pick(rng, GENRES,
                                                                                                  "genre"),
    }  # fmt: skip
    return fill(rng, templates, {"reason": "unknown_device"}, **parts)


def _impossible(rng: random.Random) -> Phrase:
    words, templates = rng.choice((
        ({**LIGHTS, **APPLIANCES, **CLIMATE}, ("lock {x}", "unlock {x}", "bolt {x}", "is {x} locked")),
        ({**COVERS, **LOCKS}, ("dim {x} to {n}", "set the brightness of {x} to {n}", "how bright is {x}")),
        ({**COVERS, **LOCKS, **APPLIANCES, **CLIMATE}, ("set {x} to {c}", "change the color of {x} to {c}",
                                                        "make {x} {c}")),
        ({**LIGHTS, **LOCKS, **SPEAKERS}, ("set {x} to {t}", "heat {x} to {t}",
                                           "set the temperature of {x} to {t}")),
        ({**LIGHTS, **SPEAKERS}, ("open {x}", "close {x}", "open {x} to {n}", "roll down {x}",
                                  "is {x} closed")),
        ({**LIGHTS, **LOCKS}, ("play {g} on {x}", "set the volume of {x} to {n}", "mute {x}",
                               "how loud is {x}")),
    ))  # fmt: skip
    # A light "set to 20 C" is asked for the impossible only if the scale is said: 20 alone is a brightness.
    scales = ("degrees", "celsius", "degrees celsius", "C")
    degrees = Phrase(text=f"{rng.randrange(14, 30)} {rng.choice(scales)}")
    parts = {
        "x": phrases.thing(rng, words), "n": phrases.percentage(rng), "c": phrases.pick(rng, COLORS, "color"),
        "t": degrees, "g": phrases.pick(rng, GENRES, "genre"),
    }  # fmt: skip
    return fill(rng, templates, {"reason": "impossible"}, **parts)


def _missing_value(rng: random.Random) -> Phrase:
    words, templates = rng.choice((
        (LIGHTS, ("set {x}", "set the brightness of {x}", "change the color of {x}", "give {x} another color",
                  "adjust {x}")),
        (CLIMATE, ("set {x}", "set the temperature of {x}", "change {x}", "adjust {x}",
                   "set {x} to another temperature")),
        (PLAYERS, ("set the volume of {x}", "change the volume of {x}", "set {x} volume")),
        (COVERS, ("set {x}", "move {x}", "change {x}", "adjust {x}")),
    ))  # fmt: skip
    timers = ("set a timer", "start a timer", "i need a timer", "set an alarm", "set the scene", "change the scene")
    return fill(
        rng, timers if rng.random() < 0.15 else templates, {"reason": "missing_value"}, x=phrases.thing(rng, words)
    )

"""The grammar: for each intent, ways to say it and the slots they mean; no typos, no politeness."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import TypeAlias

from demo import phrases
from demo.phrases import Phrase, Slots
from demo.vocabulary import (
    CLIMATE,
    COLORS,
    COVERS,
    GENRES,
    LIGHTS,
    LOCKS,
    OVEN,
    PLAYERS,
    SCENES,
    SWITCHES,
    TIMER_NAMES,
)

Maker: TypeAlias = Callable[[random.Random], Phrase]

# The order of keys in every answer.
KEYS = ("intent", "device", "room", "color", "genre", "scene", "name", "state", "change", "value", "unit", "reason")


def fill(rng: random.Random, templates: tuple[str, ...], meaning: Slots, **parts: Phrase) -> Phrase:
    """One template with its parts put in; the slots of the parts that it uses join the meaning."""
    template = rng.choice(templates)
    used = [part for name, part in parts.items() if f"{{{name}}}" in template]
    slots = dict(meaning)
    for part in used:
        slots |= part.slots
    kinds = frozenset[str]().union(*(part.kinds for part in used))
    text = template.format(**{name: part.text for name, part in parts.items()})
    ordered = {key: slots[key] for key in KEYS if key in slots}
    return Phrase(text=text, slots=ordered, kinds=kinds, fixed=not any(part.text for part in used))


def turn_on(rng: random.Random) -> Phrase:
    if rng.random() < 0.08:
        dark = ("it is too dark in the {room}", "light up the {room}", "give me some light in the {room}",
                "i can't see anything in the {room}", "lights on in the {room}")  # fmt: skip
        return fill(rng, dark, {"intent": "turn_on", "device": "light"}, room=phrases.room(rng))
    templates = (
        "turn on {x}", "turn {x} on", "switch on {x}", "switch {x} on", "power on {x}", "start {x}",
        "activate {x}", "put {x} on", "{x} on", "get {x} going", "enable {x}", "power up {x}",
        "i need {x} on", "fire up {x}",
    )  # fmt: skip
    return fill(rng, templates, {"intent": "turn_on"}, x=phrases.thing(rng, SWITCHES))


def turn_off(rng: random.Random) -> Phrase:
    if rng.random() < 0.08:
        dark = ("it is too bright in the {room}, lights out", "no light in the {room}",
                "lights out in the {room}", "make it dark in the {room}",
                "lights off in the {room}")  # fmt: skip
        return fill(rng, dark, {"intent": "turn_off", "device": "light"}, room=phrases.room(rng))
    templates = (
        "turn off {x}", "turn {x} off", "switch off {x}", "switch {x} off", "shut off {x}", "shut {x} off",
        "kill {x}", "power down {x}", "stop {x}", "deactivate {x}", "{x} off", "cut {x}", "disable {x}",
        "i do not need {x} anymore", "i do not need {x}",
    )  # fmt: skip
    return fill(rng, templates, {"intent": "turn_off"}, x=phrases.thing(rng, SWITCHES))


def set_brightness(rng: random.Random) -> Phrase:
    lights, percent = phrases.thing(rng, LIGHTS), phrases.percentage(rng)
    if rng.random() < 0.6:
        templates = (
            "dim {x} to {n}", "set {x} to {n}", "brighten {x} to {n}", "set the brightness of {x} to {n}",
            "{x} at {n}", "{x} to {n} brightness", "put {x} at {n}", "change {x} to {n}", "bring {x} to {n}",
            "{n} brightness for {x}", "adjust {x} to {n}", "i want {x} at {n}",
        )  # fmt: skip
        return fill(rng, templates, {"intent": "set_brightness"}, x=lights, n=percent)
    if rng.random() < 0.5:
        more = ("make {x} brighter", "brighten {x}", "turn up {x}", "turn {x} up", "{x} is too dim",
                "brighten {x} by {n}", "turn {x} up by {n}", "more light from {x}",
                "increase {x} by {n}")  # fmt: skip
        return fill(rng, more, {"intent": "set_brightness", "change": "up"}, x=lights, n=percent)
    less = ("make {x} darker", "dim {x}", "turn down {x}", "turn {x} down", "{x} is too bright",
            "dim {x} by {n}", "turn {x} down by {n}", "make {x} less bright",
            "reduce {x} by {n}")  # fmt: skip
    return fill(rng, less, {"intent": "set_brightness", "change": "down"}, x=lights, n=percent)


def set_temperature(rng: random.Random) -> Phrase:
    meaning: Slots = {"intent": "set_temperature"}
    if rng.random() < 0.15:
        baking = ("preheat {x} to {t}", "set {x} to {t}", "heat {x} to {t}", "{x} at {t}", "bring {x} up to {t}")
        return fill(rng, baking, meaning, x=phrases.thing(rng, OVEN), t=phrases.temperature(rng, oven=True))
    roll = rng.random()
    if roll < 0.45:
        templates = (
            "set {x} to {t}", "turn {x} to {t}", "put {x} at {t}", "{x} to {t}", "change {x} to {t}",
            "adjust {x} to {t}", "set the temperature of {x} to {t}", "keep {x} at {t}",
            "{x} should be at {t}",
        )  # fmt: skip
        return fill(rng, templates, meaning, x=phrases.thing(rng, CLIMATE), t=phrases.temperature(rng))
    return _room_temperature(rng, meaning) if roll < 0.7 else _warmer_or_cooler(rng, meaning)


def _room_temperature(rng: random.Random, meaning: Slots) -> Phrase:
    where, degrees = phrases.room(rng), phrases.temperature(rng)
    if rng.random() < 0.3:
        cool = ("cool the {room} to {t}", "cool the {room} down to {t}")
        return fill(rng, cool, {**meaning, "device": "ac"}, room=where, t=degrees)
    warm = ("heat the {room} to {t}", "make the {room} {t}", "i want {t} in the {room}",
            "set the {room} to {t}", "warm the {room} up to {t}", "the {room} should be {t}",
            "keep the {room} at {t}")  # fmt: skip
    return fill(rng, warm, {**meaning, "device": "thermostat"}, room=where, t=degrees)


def _warmer_or_cooler(rng: random.Random, meaning: Slots) -> Phrase:
    up = rng.random() < 0.5
    meaning = {**meaning, "change": "up" if up else "down"}
    if rng.random() < 0.4:
        warmer = (
            "make it warmer{in_room}",
            "it is too cold{in_room}",
            "i am freezing{in_room}",
            "warm it up{in_room}",
        )
        cooler = (
            "make it cooler{in_room}",
            "it is too hot{in_room}",
            "i am sweating{in_room}",
            "cool it down{in_room}",
        )
        where = phrases.maybe_place(rng, 0.7)
        return fill(rng, warmer if up else cooler, {**meaning, "device": "thermostat"}, in_room=where)
    way = "up" if up else "down"
    verb = "raise" if up else "lower"
    templates = (f"turn {{x}} {way}", f"turn {{x}} {way} by {{d}}", f"{verb} {{x}} by {{d}}",
                 f"{{x}} {way} {{d}}", f"turn {way} {{x}}")  # fmt: skip
    return fill(rng, templates, meaning, x=phrases.thing(rng, CLIMATE), d=phrases.step_in_degrees(rng))


def set_color(rng: random.Random) -> Phrase:
    templates = (
        "make {x} {c}", "set {x} to {c}", "turn {x} {c}", "change {x} to {c}",
        "change the color of {x} to {c}", "set the colour of {x} to {c}", "i want {x} in {c}", "{x} {c}",
        "give {x} a {c} glow", "switch {x} to {c}", "paint {x} {c}", "{c} for {x}",
    )  # fmt: skip
    color = phrases.pick(rng, COLORS, "color")
    return fill(rng, templates, {"intent": "set_color"}, x=phrases.thing(rng, LIGHTS), c=color)


def open_cover(rng: random.Random) -> Phrase:
    templates = ("open {x}", "open up {x}", "raise {x}", "roll up {x}", "pull up {x}", "open {x} to {n}",
                 "open {x} {n}", "raise {x} to {n}", "{x} open", "open {x} halfway")  # fmt: skip
    return _cover(rng, "open", templates)


def close_cover(rng: random.Random) -> Phrase:
    templates = ("close {x}", "shut {x}", "lower {x}", "roll down {x}", "pull down {x}", "close {x} to {n}",
                 "close {x} {n}", "lower {x} to {n}", "{x} closed", "close {x} halfway")  # fmt: skip
    return _cover(rng, "close", templates)


def _cover(rng: random.Random, intent: str, templates: tuple[str, ...]) -> Phrase:
    template = rng.choice(templates)
    halfway: Slots = {"value": 50, "unit": "percent"} if template.endswith("halfway") else {}
    parts = {"x": phrases.thing(rng, COVERS), "n": phrases.percentage(rng)}
    return fill(rng, (template,), {"intent": intent, **halfway}, **parts)


def lock(rng: random.Random) -> Phrase:
    templates = ("lock {x}", "lock up {x}", "secure {x}", "bolt {x}", "make sure {x} is locked", "{x} must be locked")
    return fill(rng, templates, {"intent": "lock"}, x=phrases.thing(rng, LOCKS))


def unlock(rng: random.Random) -> Phrase:
    templates = ("unlock {x}", "unbolt {x}", "release the lock on {x}", "remove the lock from {x}",
                 "make sure {x} is unlocked", "take the lock off {x}")  # fmt: skip
    return fill(rng, templates, {"intent": "unlock"}, x=phrases.thing(rng, LOCKS))


def set_timer(rng: random.Random) -> Phrase:
    name = rng.choice(TIMER_NAMES)
    templates = (
        "set a timer for {d}", "timer {d}", "start a timer for {d}", "count down {d}", "timer for {d}",
        "{d} timer", "set a {label} timer for {d}", "set a timer for the {label} for {d}",
        "{label} timer {d}", "start the {label} timer with {d}", "remind me of the {label} in {d}",
    )  # fmt: skip
    label = Phrase(text=name, slots={"name": name})
    return fill(rng, templates, {"intent": "set_timer"}, d=phrases.duration(rng), label=label)


def play_music(rng: random.Random) -> Phrase:
    templates = (
        "play {g}{in_room}", "play some {g} music{in_room}", "put on some {g}{in_room}",
        "i want to hear {g}{in_room}", "{g} music{in_room}", "play music{in_room}",
        "put some music on{in_room}", "start the {g} playlist{in_room}", "play {g} on the {room} speaker",
    )  # fmt: skip
    parts = {"g": phrases.pick(rng, GENRES, "genre"), "in_room": phrases.maybe_place(rng), "room": phrases.room(rng)}
    return fill(rng, templates, {"intent": "play_music"}, **parts)


def stop_music(rng: random.Random) -> Phrase:
    templates = ("stop the music{in_room}", "pause the music{in_room}", "no more music{in_room}",
                 "music off{in_room}", "stop playing music{in_room}", "end the song{in_room}")  # fmt: skip
    return fill(rng, templates, {"intent": "stop_music"}, in_room=phrases.maybe_place(rng, 0.7))


def set_volume(rng: random.Random) -> Phrase:
    player, percent = phrases.thing(rng, PLAYERS), phrases.percentage(rng)
    meaning: Slots = {"intent": "set_volume"}
    roll = rng.random()
    if roll < 0.45:
        templates = ("set the volume of {x} to {n}", "set {x} volume to {n}", "{x} volume {n}",
                     "volume to {n} on {x}", "volume {n}", "set the volume to {n}",
                     "change the volume of {x} to {n}")  # fmt: skip
        return fill(rng, templates, meaning, x=player, n=percent)
    if roll < 0.55:
        mute: Slots = {**meaning, "value": 0, "unit": "percent"}
        return fill(rng, ("mute {x}", "silence {x}", "no sound from {x}"), mute, x=player)
    if roll < 0.78:
        louder = ("turn {x} up", "make {x} louder", "turn up {x}", "{x} is too quiet", "volume up on {x}",
                  "turn {x} up by {n}", "louder", "raise the volume", "i can't hear {x}")  # fmt: skip
        return fill(rng, louder, {**meaning, "change": "up"}, x=player, n=percent)
    quieter = ("turn {x} down", "make {x} quieter", "turn down {x}", "{x} is too loud", "volume down on {x}",
               "turn {x} down by {n}", "quieter", "lower the volume", "keep {x} down")  # fmt: skip
    return fill(rng, quieter, {**meaning, "change": "down"}, x=player, n=percent)


def query_state(rng: random.Random) -> Phrase:
    meaning: Slots = {"intent": "query_state"}
    roll = rng.random()
    if roll < 0.7:
        words, states = rng.choice((
            (SWITCHES, ("on", "off")), (COVERS, ("open", "closed")), (LOCKS, ("locked", "unlocked")),
        ))  # fmt: skip
        state = rng.choice(states)
        asked = Phrase(text=state, slots={"state": state})
        templates = ("is {x} {s}", "check if {x} is {s}", "tell me if {x} is {s}", "did i leave {x} {s}",
                     "do you know whether {x} is {s}", "are you sure {x} is {s}")  # fmt: skip
        return fill(rng, templates, meaning, x=phrases.thing(rng, words), s=asked)
    if roll < 0.82:
        warm = ("what is the temperature in the {room}", "how warm is it in the {room}",
                "how cold is the {room}", "how many degrees is it in the {room}")  # fmt: skip
        return fill(rng, warm, {**meaning, "device": "thermostat", "state": "temperature"}, room=phrases.room(rng))
    if roll < 0.86:
        left = ("how much time is left", "how long until the timer rings", "what is left on the timer")
        return fill(rng, left, {**meaning, "device": "timer", "state": "time_left"})
    words, state, questions = rng.choice((
        (LIGHTS, "brightness", ("how bright is {x}", "what is the brightness of {x}",
                                "what level is {x} at")),
        (LIGHTS, "color", ("what color is {x}", "which colour does {x} have", "tell me the color of {x}")),
        (PLAYERS, "volume", ("how loud is {x}", "what is the volume of {x}", "tell me the volume of {x}")),
    ))  # fmt: skip
    return fill(rng, questions, {**meaning, "state": state}, x=phrases.thing(rng, words))


def set_scene(rng: random.Random) -> Phrase:
    meaning: Slots = {"intent": "set_scene"}
    if rng.random() < 0.2:
        text, scene = rng.choice((
            ("i am going to bed", "sleep"), ("good night", "sleep"), ("good morning", "morning"),
            ("i am awake", "morning"),
            ("we are leaving", "away"), ("i am leaving the house", "away"), ("guests are coming to celebrate",
                                                                             "party"),
            ("i am going to read a book", "reading"), ("dinner is ready", "dinner"), ("i have to concentrate",
                                                                                      "focus"),
        ))  # fmt: skip
        return fill(rng, (text,), {**meaning, "scene": scene})
    templates = (
        "activate {s} mode{in_room}", "set the scene to {s}{in_room}", "start the {s} scene{in_room}",
        "{s} mode{in_room}", "switch to {s} mode{in_room}", "get everything ready for {s}{in_room}",
        "{s} scene{in_room}", "prepare the {room} for {s}",
    )  # fmt: skip
    parts = {"s": phrases.pick(rng, SCENES, "scene"), "in_room": phrases.maybe_place(rng), "room": phrases.room(rng)}
    return fill(rng, templates, meaning, **parts)


# How often each intent comes up, in parts of the whole; what can't be done is made in its own module.
WEIGHTS: Mapping[Maker, int] = {
    turn_on: 11, turn_off: 11, set_brightness: 13, set_temperature: 13, set_color: 8, open_cover: 7,
    close_cover: 7,
    lock: 4, unlock: 4, set_timer: 8, play_music: 6, stop_music: 2, set_volume: 8, query_state: 10,
    set_scene: 5,
}  # fmt: skip

"""The calibration text that the package carries: written for it, and made longer by a seeded generator.

    python -m demo.calibration            write edgepack/data/calibration.txt again

What a model meets on a small device, in small pieces: prose in many languages, conversations, code, data, numbers.
No sentence is from elsewhere. The passages are in `passages.txt`; between them go records that the generator makes.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path

SEED = 5
_PASSAGES = Path(__file__).with_name("passages.txt")
_TEXT = Path(__file__).parents[1] / "edgepack" / "data" / "calibration.txt"
# Records after each passage.
_EACH = 3

_PLACES = (
    "Aarhus", "Bergen", "Coimbra", "Dakar", "Erfurt", "Fukuoka", "Gdańsk", "Haifa", "Ioannina", "Jaén", "Kraków",
    "Lille", "Mombasa", "Nantes", "Odense", "Puebla", "Quito", "Riga", "Szeged", "Tartu", "Uppsala", "Varna",
    "Windhoek", "Žilina",
)  # fmt: skip
_NAMES = (
    "Amara", "Björn", "Chiara", "Dmitri", "Elif", "Farid", "Grace", "Hiroshi", "Ines", "Jamal", "Katya", "Lars",
    "Mei", "Nuno", "Olga", "Priya", "Quentin", "Rosa", "Sven", "Tomás", "Ursula", "Vikram", "Wen", "Yusuf", "Zoë",
)  # fmt: skip
_THINGS = (
    "bearing", "bicycle pump", "ceramic mug", "desk lamp", "fuse", "garden hose", "hinge", "kettle", "ladder", "map",
    "notebook", "oil filter", "paint brush", "rope", "sensor board", "spare key", "tent peg", "thermostat",
    "umbrella", "valve",
)  # fmt: skip
_STATES = ("ok", "pending", "late", "returned", "lost", "repaired", "sold out", "on its way")


def _order(make: random.Random) -> str:
    """A JSON document."""
    lines = [
        {"item": make.choice(_THINGS), "quantity": make.randint(1, 40), "price": round(make.uniform(0.5, 300), 2)}
        for _ in range(make.randint(1, 3))
    ]
    order = {
        "order": make.randint(10_000, 99_999), "customer": make.choice(_NAMES), "city": make.choice(_PLACES),
        "lines": lines, "express": make.random() < 0.4, "note": None, "state": make.choice(_STATES),
    }  # fmt: skip
    return json.dumps(order, ensure_ascii=False, indent=make.choice((None, 2)))


def _readings(make: random.Random) -> str:
    """A table of comma-separated values."""
    rows = [
        f"{_day(make)}T{_time(make)},{make.choice(_PLACES)},{make.gauss(12, 9):.1f},{make.uniform(20, 99):.0f},"
        f"{make.gauss(1013, 8):.1f}"
        for _ in range(make.randint(3, 5))
    ]
    return "\n".join(["time,station,celsius,humidity,pressure_hpa", *rows])


def _log(make: random.Random) -> str:
    """What a service writes while it runs."""
    lines = (f"{_day(make)} {_time(make)} {make.choice(_LINES)(make)}" for _ in range(4))
    return "\n".join(sorted(lines))


_LINES: tuple[Callable[[random.Random], str], ...] = (
    lambda make: f"INFO  gateway: {make.randint(2, 60)} sensors answered in {make.randint(3, 900)} ms",
    lambda make: f"WARN  store: {make.uniform(80, 99):.1f} % of /var used, {make.randint(10, 900)} MB left",
    lambda make: (
        f"ERROR mqtt: connection to 10.0.{make.randrange(256)}.{make.randrange(256)}:1883 refused (errno 111)"
    ),
    lambda make: f"DEBUG model: {make.randint(20, 400)} tokens, {make.uniform(4, 60):.2f} tokens/s",
)


def _sums(make: random.Random) -> str:
    """Arithmetic that is right."""
    return "\n".join(_sum(make, make.randint(2, 999), make.randint(2, 99)) for _ in range(4))


def _sum(make: random.Random, a: int, b: int) -> str:
    return make.choice((
        f"{a} + {b} = {a + b}", f"{a} - {b} = {a - b}", f"{a} * {b} = {a * b}", f"{a * b} / {b} = {a}",
        f"{b} % of {a * 100} is {a * b}", f"{a} divided by {b} leaves {a % b}", f"{b}² = {b * b}",
        f"{a} in hexadecimal: {a:#x}",
    ))  # fmt: skip


def _command(make: random.Random) -> str:
    """A wish and the call that answers it."""
    place, thing, number = make.choice(_PLACES), make.choice(_THINGS), make.randint(1, 30)
    asked, name, arguments = make.choice((
        (f"Is the train to {place} on time?", "departures", {"to": place, "next": number}),
        (f"Remind me about the {thing} in {number} days.", "remind", {"about": thing, "days": number}),
        (f"Set the heating to {number} degrees.", "heat", {"celsius": number, "room": "all"}),
        (f"How many of the {thing} do we have in {place}?", "stock", {"item": thing, "site": place}),
    ))  # fmt: skip
    call = json.dumps({"name": name, "arguments": arguments}, ensure_ascii=False)
    return f"User: {asked}\nAssistant: {call}"


def _labels(make: random.Random) -> str:
    """Short texts, each with what it is about."""
    texts = (
        lambda: (f"The {make.choice(_THINGS)} arrived broken and nobody answers the phone.", "complaint"),
        lambda: (f"Do you deliver to {make.choice(_PLACES)} on Saturdays?", "question"),
        lambda: (f"Thank you, {make.choice(_NAMES)}, that was quick!", "praise"),
        lambda: (f"Please cancel order {make.randint(10_000, 99_999)}.", "cancellation"),
        lambda: (f"I paid {make.uniform(5, 90):.2f} € twice for one {make.choice(_THINGS)}.", "billing"),
    )
    return "\n".join(f"text: {text}\nlabel: {label}" for text, label in (make.choice(texts)() for _ in range(3)))


def _time(make: random.Random) -> str:
    return f"{make.randrange(24):02}:{make.randrange(60):02}"


def _day(make: random.Random) -> str:
    return f"{make.randint(2019, 2031)}-{make.randint(1, 12):02}-{make.randint(1, 28):02}"


_RECORDS: tuple[Callable[[random.Random], str], ...] = (_order, _readings, _log, _sums, _command, _labels)


def text(seed: int = SEED) -> str:
    """The whole text; the same for the same seed and passages."""
    return "\n\n".join(_pieces(random.Random(seed))) + "\n"


def _pieces(make: random.Random) -> Iterator[str]:
    passages = _PASSAGES.read_text(encoding="utf-8").strip().split("\n----\n")
    make.shuffle(passages)
    for passage in passages:
        yield passage
        for record in make.sample(_RECORDS, _EACH):
            yield record(make)


if __name__ == "__main__":
    _TEXT.write_text(text(), encoding="utf-8")

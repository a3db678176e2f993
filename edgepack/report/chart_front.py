"""The front: quality over speed, size as area, what was chosen in colour, what something else beats hollow."""

from math import pi

from markupsafe import Markup

from edgepack.domain.report_front import Contestant, Front
from edgepack.domain.report_records import Role
from edgepack.report import words
from edgepack.report.axes import domain, is_wide, log_domain, log_ticks, ticks
from edgepack.report.drawing import (
    ACCENT,
    INK,
    LINE,
    NARROW,
    PAPER,
    SOFT,
    WIDE,
    Frame,
    Spec,
    data,
    draw,
    exact,
    quantity,
    x_axis,
    y_axis,
)
from edgepack.report.view import Chart, Grid, Mark, table

_SMALLEST, _LARGEST = 60, 1100
"""Square pixels of a mark."""


def front_chart(front: Front, metric: str) -> Chart:
    unit = "tokens/s" if front.writing else "answers/s"
    best = [one for one in front.contestants if not one.beaten]
    named = ", ".join(f"{words.shortened(one.title, 60)} ({words.share(one.quality.value)})" for one in best)
    return Chart(
        title="Quality, speed, size",
        said=f"{words.capital(metric)} against speed of {words.count(len(front.contestants), 'candidate')}. "
        f"Nothing beats: {named}.",
        wide=_drawn(front, Frame(width=WIDE, height=420, top=30), metric, unit),
        narrow=_drawn(front, Frame(width=NARROW, height=340, top=30, left=40), metric, unit),
        note="Filled: nothing else is better in quality, speed and size at once. The larger the mark, the larger the "
        "weights; the whiskers are 95 % intervals, the numbers those of the table.",
        grid=_grid(front, metric, unit),
    )  # fmt: skip


def _grid(front: Front, metric: str, unit: str) -> Grid:
    chosen = [index for index, one in enumerate(front.contestants) if one.role is Role.CHOSEN]
    rows = [
        (str(number), words.shortened(one.title, 60), _standing(one), *_numbers(one, front))
        for number, one in numbered(front)
    ]
    head = ("#", "Candidate", "", words.capital(metric), "95 % interval", words.capital(unit), "First token")
    return table(
        "What was asked, the smallest first", (*head, "Weights", "Memory"), rows,
        words=3, numbered=True, marked=chosen[0] if chosen else None,
    )  # fmt: skip


def numbered(front: Front) -> list[tuple[int, Contestant]]:
    """As the chart and its table number them."""
    return list(enumerate(front.contestants, 1))


def _standing(one: Contestant) -> Mark | str:
    if one.role is Role.CHOSEN:
        return Mark(text="chosen", good=True)
    if one.passed is not None:
        return Mark(text="meets all" if one.passed else "misses", good=one.passed)
    return "beaten" if one.beaten else "front"


def _numbers(one: Contestant, front: Front) -> tuple[str, ...]:
    return (
        words.share(one.quality.value),
        words.interval(one.quality.low, one.quality.high),
        words.figure(front.speed(one)),
        "" if one.first_token is None else words.seconds(one.first_token),
        words.size(one.size),
        "" if one.memory is None else words.size(one.memory),
    )


def _drawn(front: Front, frame: Frame, metric: str, unit: str) -> Markup:
    speeds = [front.speed(one) for one in front.contestants]
    bounds = [bound for one in front.contestants for bound in (one.quality.low, one.quality.high)]
    low, high = domain(bounds)
    wide = is_wide(speeds)
    span = log_domain(speeds) if wide else domain(speeds)
    top = min(1.0, high)
    x = quantity(
        "speed",
        scale={"type": "log" if wide else "linear", "domain": list(map(exact, span)), "nice": False, "zero": False},
        axis=x_axis(frame, f"{unit} →", log_ticks(*span) if wide else ticks(*span), "~s"),
    )
    y = quantity(
        "quality",
        scale={"domain": [exact(low), exact(top)], "nice": False, "zero": False, "clamp": True},
        axis=y_axis(frame, f"{metric} ↑", ticks(low, top), ".0%" if top - low > 0.04 else ".1%"),
    )
    middle = (span[0] * span[1]) ** 0.5 if wide else sum(span) / 2
    named = _named(front, middle)
    return draw(frame, [*_layers(front, x, y), *([{**named, "encoding": _place(x, y, "said")}] if named else [])])


def _place(x: Spec, y: Spec, text: str) -> Spec:
    return {"x": x, "y": y, "text": {"field": text}}


def _named(front: Front, middle: float) -> Spec | None:
    """The word beside the chosen one's mark, on the side where there is room."""
    chosen = next((one for one in front.contestants if one.role is Role.CHOSEN), None)
    if chosen is None:
        return None
    share = (chosen.size / max(one.size for one in front.contestants)) ** 0.5
    beside = ((_SMALLEST + (_LARGEST - _SMALLEST) * share) / pi) ** 0.5 + 8
    left = front.speed(chosen) > middle
    return {
        "data": data({**_row(0, chosen, front), "said": "chosen"}),
        "mark": {
            "type": "text", "color": ACCENT, "fontSize": 13, "fontWeight": 600, "align": "right" if left else "left",
            "dx": -beside if left else beside,
        },
    }  # fmt: skip


def _layers(front: Front, x: Spec, y: Spec) -> list[Spec]:
    rows = [_row(index, one, front) for index, one in numbered(front)]
    largest = max(one.size for one in front.contestants)
    area = {"type": "sqrt", "domain": [0, largest], "range": [_SMALLEST, _LARGEST]}
    fill = {"condition": [{"test": "datum.chosen", "value": ACCENT}, {"test": "datum.beaten", "value": PAPER}]}
    edge = [{"speed": exact(front.speed(one)), "quality": exact(one.quality.value)} for one in front.edge]
    return [
        {
            "data": data(*edge),
            "mark": {"type": "line", "color": LINE, "strokeWidth": 6, "strokeCap": "round", "strokeJoin": "round"},
            "encoding": {"x": x, "y": y},
        },
        {
            "data": data(*rows),
            "mark": {"type": "rule", "strokeWidth": 1.5, "opacity": 0.55},
            "encoding": {
                "x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"},
                "color": {"condition": {"test": "datum.chosen", "value": ACCENT}, "value": SOFT},
            },
        },
        {
            "data": data(*sorted(rows, key=lambda row: -float(str(row["size"])))),
            "mark": {"type": "point", "strokeWidth": 1.5, "opacity": 1, "fillOpacity": 0.9},
            "encoding": {
                "x": x, "y": y, "size": quantity("size", scale=area, legend=None),
                "fill": {**fill, "value": SOFT},
                "stroke": {"condition": {"test": "datum.chosen", "value": ACCENT}, "value": SOFT},
            },
        },
        {
            "data": data(*rows),
            "mark": {"type": "text", "dy": 1, "fontSize": 11, "fontWeight": 600},
            "encoding": {
                **_place(x, y, "number"),
                "color": {"condition": {"test": "datum.beaten", "value": INK}, "value": PAPER},
            },
        },
    ]  # fmt: skip


def _row(index: int, one: Contestant, front: Front) -> Spec:
    return {
        "number": str(index), "speed": exact(front.speed(one)), "quality": exact(one.quality.value),
        "low": exact(one.quality.low), "high": exact(one.quality.high), "size": one.size,
        "chosen": one.role is Role.CHOSEN, "beaten": one.beaten and one.role is not Role.CHOSEN,
    }  # fmt: skip

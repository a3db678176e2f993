"""The front: quality over speed, size as area, what was chosen in colour, what something else beats hollow."""

from collections.abc import Sequence

from markupsafe import Markup

from edgepack.domain.report_front import Contestant, Front
from edgepack.domain.trials import Role
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
from edgepack.report.front_marks import LARGEST, SMALLEST, Area, Spot, spots, word_beside
from edgepack.report.view import Chart, Grid, Mark, table

_NAMED = 6
"""Candidates that a sentence names."""


def front_chart(front: Front, metric: str) -> Chart:
    unit = front.pace.value
    best = [one for one in front.contestants if not one.beaten]
    named = ", ".join(f"{words.shortened(one.title, 60)} ({words.share(one.quality.value)})" for one in best[:_NAMED])
    named += f" and {len(best) - _NAMED} more" if len(best) > _NAMED else ""
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
    taken = front.taken
    rows = [
        (str(number), words.shortened(one.title, 60), _standing(one), *_numbers(one, front))
        for number, one in numbered(front)
    ]
    head = ("#", "Candidate", "", words.capital(metric), "95 % interval", words.capital(unit), "First token")
    return table(
        "What was asked, the smallest first", (*head, "Weights"), rows,
        words=3, numbered=True, marked=front.contestants.index(taken) if taken else None,
    )  # fmt: skip


def numbered(front: Front) -> list[tuple[int, Contestant]]:
    """As the chart and its table number them."""
    return list(enumerate(front.contestants, 1))


def _standing(one: Contestant) -> Mark | str:
    if one.role is Role.CHOSEN:
        return Mark(text="chosen", good=True)
    if one.given_up:
        return Mark(text="given up", good=False)
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
    )


def _drawn(front: Front, frame: Frame, metric: str, unit: str) -> Markup:
    speeds = [front.speed(one) for one in front.contestants]
    low, high = domain([bound for one in front.contestants for bound in (one.quality.low, one.quality.high)])
    wide, top = is_wide(speeds), min(1.0, high)
    span = log_domain(speeds) if wide else domain(speeds)
    area = Area(width=frame.inner[0], height=frame.inner[1], speeds=span, ratios=wide, qualities=(low, top))
    x = quantity(
        "speed",
        scale={"type": "log" if wide else "linear", "domain": list(map(exact, span)), "nice": False, "zero": False},
        axis=x_axis(frame, f"{unit} →", log_ticks(*span) if wide else ticks(*span), ",~f"),
    )
    y = quantity(
        "quality",
        scale={"domain": [exact(low), exact(top)], "nice": False, "zero": False, "clamp": True},
        axis=y_axis(frame, f"{metric} ↑", ticks(low, top), ".0%" if top - low > 0.04 else ".1%"),
    )
    marks = spots(front, area)
    return draw(frame, [*_marks(front, x, y), *_numbers_beside(marks, front, x, y), *_word(marks, front, area, x, y)])


def _marks(front: Front, x: Spec, y: Spec) -> list[Spec]:
    """The edge's line, whiskers, and the largest marks under the smaller ones."""
    rows = [_row(one, front) for one in sorted(front.contestants, key=lambda one: -one.size)]
    area = {"type": "sqrt", "domain": [0, rows[0]["size"]], "range": [SMALLEST, LARGEST]}
    colour = {"condition": {"test": "datum.taken", "value": ACCENT}, "value": SOFT}
    fill = {"condition": [{"test": "datum.taken", "value": ACCENT}, {"test": "datum.beaten", "value": PAPER}]}
    line = {"type": "line", "color": LINE, "strokeWidth": 6, "strokeCap": "round", "strokeJoin": "round"}
    return [
        {"data": data(*(_row(one, front) for one in front.edge)), "mark": line, "encoding": {"x": x, "y": y}},
        {
            "data": data(*rows), "mark": {"type": "rule", "strokeWidth": 1.5, "opacity": 0.55},
            "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}, "color": colour},
        },
        {
            "data": data(*rows), "mark": {"type": "point", "strokeWidth": 1.5, "opacity": 1, "fillOpacity": 0.9},
            "encoding": {
                "x": x, "y": y, "size": quantity("size", scale=area, legend=None), "fill": {**fill, "value": SOFT},
                # Filled marks that overlap are told apart by a line of paper around them.
                "stroke": {"condition": {"test": "datum.beaten", "value": SOFT}, "value": PAPER},
            },
        },
    ]  # fmt: skip


def _numbers_beside(marks: Sequence[Spot], front: Front, x: Spec, y: Spec) -> list[Spec]:
    """Those in the marks together; each that stands beside its mark alone, at its distance."""
    colour = {"condition": {"test": "datum.beaten || datum.beside", "value": INK}, "value": PAPER}
    text = {"type": "text", "fontSize": 11, "fontWeight": 600}
    layers: list[Spec] = []
    for group in ([mark for mark in marks if mark.inside], *([mark] for mark in marks if not mark.inside)):
        rows = [{**_row(mark.one, front), "number": str(mark.number), "beside": not mark.inside} for mark in group]
        dx, dy = group[0].offset if group else (0, 0)
        layers.append({
            "data": data(*rows), "mark": {**text, "dx": exact(dx), "dy": exact(dy + 1)},
            "encoding": {"x": x, "y": y, "text": {"field": "number"}, "color": colour},
        })  # fmt: skip
    return layers


def _word(marks: Sequence[Spot], front: Front, area: Area, x: Spec, y: Spec) -> list[Spec]:
    """What the coloured mark is, where there is room to say it."""
    taken = next((mark for mark in marks if mark.one is front.taken), None)
    if taken is None:
        return []
    said = "chosen" if taken.one.role is Role.CHOSEN else "smallest that passes"
    word = word_beside(said, taken, marks, area)
    if word is None:
        return []
    dx, dy = map(exact, word.offset)
    text = {"type": "text", "color": ACCENT, "fontSize": 13, "fontWeight": 600}
    return [{
        "data": data({**_row(taken.one, front), "said": said}),
        "mark": {**text, "align": word.align, "dx": dx, "dy": dy},
        "encoding": {"x": x, "y": y, "text": {"field": "said"}},
    }]  # fmt: skip


def _row(one: Contestant, front: Front) -> Spec:
    return {
        "speed": exact(front.speed(one)), "quality": exact(one.quality.value), "low": exact(one.quality.low),
        "high": exact(one.quality.high), "size": one.size, "taken": one is front.taken,
        "beaten": one.beaten and one is not front.taken,
    }  # fmt: skip

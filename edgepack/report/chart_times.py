"""How long requests took, one by one: histograms with their median and 95th percentile."""

from collections.abc import Sequence

from markupsafe import Markup

from edgepack.domain.evaluation import Times
from edgepack.domain.metrics import quantile
from edgepack.report import words
from edgepack.report.axes import ticks
from edgepack.report.drawing import ACCENT, HALF, INK, Frame, Spec, data, draw, exact, quantity, x_axis, y_axis
from edgepack.report.view import Chart, table

_BINS = 24
_NEAR = 62
"""Pixels between two names that need them to stand beside each other."""
_MOST = 1.25
"""Times the 99th percentile: what took longer stands in the note, not far off to the right."""


def times_chart(title: str, seconds: Sequence[float], said: Times) -> Chart:
    """A histogram of seconds."""
    ordered = sorted(seconds)
    end = max(min(ordered[-1], quantile(ordered, 0.99) * _MOST), said.p95 * 1.05, 1e-6)
    scale, unit = (1e3, "ms") if end < 1 else (1.0, "s")
    bins = _bins(ordered, end)
    beyond = sum(value > end for value in ordered)
    median, p95 = words.seconds(said.median), words.seconds(said.p95)
    return Chart(
        title=title,
        said=f"Of {words.count(len(ordered), 'request')}, half within {median}, 95 of 100 within {p95}, "
        f"the slowest {words.seconds(ordered[-1])}.",
        wide=_drawn(bins, end, scale, unit, said),
        note=f"{words.count(beyond, 'request')} took longer than is drawn, up to {words.seconds(ordered[-1])}."
        if beyond
        else "",
        grid=table(
            f"{title}: percentiles",
            ("Share of requests", "within"),
            [(f"{share} %", words.seconds(quantile(ordered, share / 100))) for share in (50, 75, 90, 95, 99, 100)],
            folded=True,
        ),
    )


def _bins(ordered: Sequence[float], end: float) -> list[int]:
    counts = [0] * _BINS
    for value in ordered:
        if value <= end:
            counts[min(int(value / end * _BINS), _BINS - 1)] += 1
    return counts


def _drawn(bins: list[int], end: float, scale: float, unit: str, said: Times) -> Markup:
    frame = Frame(width=HALF, height=220, top=34, left=34, right=26)
    step, most = end * scale / _BINS, max(bins)
    counts = [tick for tick in ticks(0, most, 3) if tick == int(tick)]
    x = quantity(
        "start", scale={"domain": [0, exact(end * scale)], "nice": False},
        axis=x_axis(frame, unit, ticks(0, end * scale), ",~f"),
    )  # fmt: skip
    y = quantity("count", scale={"domain": [0, most], "nice": False}, axis=y_axis(frame, None, counts, "d"))
    rows = [
        {"start": exact(index * step), "end": exact((index + 0.9) * step), "count": count}
        for index, count in enumerate(bins)
        if count
    ]
    # Where both are near each other, one name stands over the other.
    near = (said.p95 - said.median) / end * frame.inner[0] < _NEAR
    rules = [(said.median, "median", -21 if near else -10), (said.p95, "95 of 100", -10)]
    layers: list[Spec] = [
        {"data": data(*rows), "mark": {"type": "rect", "color": ACCENT, "opacity": 0.85},
         "encoding": {"x": x, "x2": {"field": "end"}, "y": y, "y2": {"datum": 0}}},
    ]  # fmt: skip
    for seconds, name, dy in rules:
        at = data({"start": exact(seconds * scale), "name": name, "count": most})
        layers += [
            {"data": at, "mark": {"type": "rule", "color": INK, "strokeDash": [3, 3]}, "encoding": {"x": x}},
            {"data": at, "mark": {"type": "text", "dy": dy, "fontSize": 11, "align": "center"},
             "encoding": {"x": x, "y": y, "text": {"field": "name"}}},
        ]  # fmt: skip
    return draw(frame, layers)

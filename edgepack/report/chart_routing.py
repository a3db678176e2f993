"""Quality against cost of two models together, threshold by threshold; where the bundle runs is in colour."""

from markupsafe import Markup

from edgepack.domain.report_records import RouteCurve, RoutePoint
from edgepack.report import words
from edgepack.report.axes import domain, ticks
from edgepack.report.drawing import (
    ACCENT,
    NARROW,
    PAPER,
    SOFT,
    WIDE,
    Frame,
    data,
    draw,
    exact,
    quantity,
    x_axis,
    y_axis,
)
from edgepack.report.view import Chart, Grid, table

_MOST_ROWS = 24


def routing_chart(curve: RouteCurve, metric: str) -> Chart:
    chosen = curve.points[curve.chosen]
    small, large = words.shortened(curve.small, 60), words.shortened(curve.large, 60)
    return Chart(
        title="Quality against cost",
        said=f"At the threshold {chosen.threshold:.3g}, {words.share(chosen.sent_up)} of the requests go to "
        f"{large}: {words.share(chosen.quality)} {metric} at {words.share(chosen.cost)} of "
        f"what {large} alone costs.",
        wide=_drawn(curve, Frame(width=WIDE, height=340, top=30), metric),
        narrow=_drawn(curve, Frame(width=NARROW, height=280, top=30, left=42), metric),
        note=f"The leftmost point is {small} alone, the rightmost {large} asked after {small}. In colour: the "
        f"threshold that was chosen{_expected(curve, metric)}",
        grid=_grid(curve, metric),
    )  # fmt: skip


def _expected(curve: RouteCurve, metric: str) -> str:
    """A threshold says little of the examples that it was chosen on."""
    if curve.expected is None:
        return "."
    return (
        f"; hollow, what to expect of it on others: {words.share(curve.expected.quality)} {metric} at "
        f"{words.share(curve.expected.cost)} of the cost, seen on examples that it was not chosen on."
    )


def _grid(curve: RouteCurve, metric: str) -> Grid:
    every = max(1, -(-len(curve.points) // _MOST_ROWS))
    kept = [index for index in range(len(curve.points)) if index % every == 0 or index == curve.chosen]
    rows = [_row(curve.points[index]) for index in kept]
    return table(
        "Thresholds" if every == 1 else f"Thresholds, one of {every}",
        ("Threshold", "Sent up", words.capital(metric), "Cost"), rows,
        words=0, marked=kept.index(curve.chosen), folded=True,
    )  # fmt: skip


def _row(point: RoutePoint) -> tuple[str, ...]:
    return f"{point.threshold:.4g}", words.share(point.sent_up), words.share(point.quality), words.share(point.cost)


def _drawn(curve: RouteCurve, frame: Frame, metric: str) -> Markup:
    points = sorted(curve.points, key=lambda point: (point.cost, point.quality))
    seen = [*points, *([curve.expected] if curve.expected else [])]
    low, high = domain([point.quality for point in seen])
    costs = domain([*(point.cost for point in seen), 0.0, 1.0], 0.03)
    top = min(high, 1.0)
    x = quantity(
        "cost", scale={"domain": list(map(exact, costs)), "nice": False},
        axis=x_axis(frame, "cost, the larger model's = 100 %", ticks(*costs), ".0%"),
    )  # fmt: skip
    y = quantity(
        "quality", scale={"domain": [exact(low), exact(top)], "nice": False, "zero": False},
        axis=y_axis(frame, f"{metric} ↑", ticks(low, top), ".0%" if top - low > 0.04 else ".1%"),
    )  # fmt: skip
    taken = [{**_place(curve.points[curve.chosen]), "seen": True}]
    if curve.expected:
        taken.append({**_place(curve.expected), "seen": False})
    place = {"x": x, "y": y}
    fill = {"condition": {"test": "datum.seen", "value": ACCENT}, "value": PAPER}
    return draw(frame, [
        {"data": data(*map(_place, points)), "mark": {"type": "line", "color": SOFT, "strokeWidth": 2},
         "encoding": place},
        {"data": data(taken[0]), "mark": {"type": "rule", "color": ACCENT, "strokeDash": [3, 3]},
         "encoding": {"x": x}},
        {"data": data(*taken[::-1]), "mark": {"type": "point", "size": 150, "opacity": 1, "strokeWidth": 2},
         "encoding": {**place, "fill": fill, "stroke": {"value": ACCENT}}},
    ])  # fmt: skip


def _place(point: RoutePoint) -> dict[str, object]:
    return {"cost": exact(point.cost), "quality": exact(point.quality)}

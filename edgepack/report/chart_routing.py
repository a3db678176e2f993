"""Quality against cost of two models together, threshold by threshold; where the bundle runs is in colour."""

from markupsafe import Markup

from edgepack.domain.report_records import RouteCurve, RoutePoint
from edgepack.report import words
from edgepack.report.axes import domain, ticks
from edgepack.report.drawing import ACCENT, NARROW, SOFT, WIDE, Frame, data, draw, exact, quantity, x_axis, y_axis
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
        note=f"The leftmost point is {small} alone. In colour: the threshold that the bundle runs at.",
        grid=_grid(curve, metric),
    )  # fmt: skip


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
    rows = [{"cost": exact(point.cost), "quality": exact(point.quality)} for point in points]
    low, high = domain([point.quality for point in points])
    costs = domain([*(point.cost for point in points), 0.0, 1.0], 0.03)
    top = min(high, 1.0)
    x = quantity(
        "cost", scale={"domain": list(map(exact, costs)), "nice": False},
        axis=x_axis(frame, "cost, the larger model's = 100 %", ticks(*costs), ".0%"),
    )  # fmt: skip
    y = quantity(
        "quality", scale={"domain": [exact(low), exact(top)], "nice": False, "zero": False},
        axis=y_axis(frame, f"{metric} ↑", ticks(low, top), ".0%" if top - low > 0.04 else ".1%"),
    )  # fmt: skip
    chosen = curve.points[curve.chosen]
    mark = {"cost": exact(chosen.cost), "quality": exact(chosen.quality)}
    place = {"x": x, "y": y}
    return draw(frame, [
        {"data": data(*rows), "mark": {"type": "line", "color": SOFT, "strokeWidth": 2}, "encoding": place},
        {"data": data(mark), "mark": {"type": "rule", "color": ACCENT, "strokeDash": [3, 3]}, "encoding": {"x": x}},
        {"data": data(mark), "mark": {"type": "point", "filled": True, "size": 160, "color": ACCENT, "opacity": 1},
         "encoding": place},
    ])  # fmt: skip

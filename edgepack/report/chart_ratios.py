"""What was measured as a multiple of what was predicted: a dot a figure, on one axis around 1."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from edgepack.report import words
from edgepack.report.drawing import ACCENT, INK, NARROW, SOFT, WIDE, Frame, data, draw, exact, quantity
from edgepack.report.view import Chart, table

_ROW = 34
_FEW_TICKS = (0.01, 0.1, 0.5, 1, 2, 10, 100)
_TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5, 0.8, 1, 1.25, 2, 4, 5, 10, 20, 50, 100)


@dataclass(frozen=True, kw_only=True, slots=True)
class Compared:
    """One figure, predicted and measured, and both in words."""

    name: str
    predicted: float
    measured: float
    said: tuple[str, str]

    @property
    def ratio(self) -> float:
        return self.measured / self.predicted


def ratios_chart(compared: Sequence[Compared]) -> Chart:
    worst = max(compared, key=lambda one: max(one.ratio, 1 / one.ratio))
    return Chart(
        title="Measured ÷ predicted",
        said=f"{words.count(len(compared), 'figure')}, measured as a multiple of predicted; the furthest from 1 is "
        f"{worst.name}: {words.times(worst.ratio)}.",
        wide=_drawn(compared, WIDE, left=210),
        narrow=_drawn(compared, NARROW, left=158),
        grid=table(
            "Predicted and measured",
            ("Figure", "Predicted", "Measured", "Ratio"),
            [(one.name, *one.said, words.figure(one.ratio)) for one in compared],
        ),
    )


def _drawn(compared: Sequence[Compared], width: int, left: int) -> Markup:
    frame = Frame(width=width, height=_ROW * len(compared) + 44, left=left, right=24, top=4, bottom=40)
    reach = max(1.25, *(max(one.ratio, 1 / one.ratio) for one in compared)) * 1.1
    inside = [tick for tick in _TICKS if 1 / reach <= tick <= reach]
    few = [tick for tick in inside if tick in _FEW_TICKS]
    kept = few if len(few) > 1 and (width == NARROW or len(inside) > 5) else inside
    x = quantity(
        "ratio", scale={"type": "log", "domain": [exact(1 / reach), exact(reach)], "nice": False},
        axis={"title": None, "values": kept, "format": "~g"},
    )  # fmt: skip
    y = {
        "field": "name", "type": "nominal", "sort": [one.name for one in compared],
        "axis": {"title": None, "labelFontSize": 13 if width == WIDE else 11, "labelColor": INK, "labelPadding": 12},
    }  # fmt: skip
    rows = [{"name": one.name, "ratio": exact(one.ratio), "one": 1} for one in compared]
    return draw(frame, [
        {"data": data({"ratio": 1}), "mark": {"type": "rule", "color": SOFT}, "encoding": {"x": x}},
        {"data": data(*rows), "mark": {"type": "rule", "color": ACCENT, "strokeWidth": 2},
         "encoding": {"x": quantity("one", scale=x["scale"]), "x2": {"field": "ratio"}, "y": y}},
        {"data": data(*rows), "mark": {"type": "point", "filled": True, "size": 90, "color": ACCENT, "opacity": 1},
         "encoding": {"x": x, "y": y}},
    ])  # fmt: skip

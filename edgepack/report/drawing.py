"""Draws charts as static SVG, with Vega-Lite: the one file that knows the library, and not what they show.

Nothing depends on the machine's fonts: sizes and margins are given, no label is dropped or cut for its width. Colours
are the page's (`var(--accent)`), so a chart follows it into the dark and onto paper.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from edgepack.report.words import harmless

VEGA_LITE = "6.4"
WIDE, HALF, NARROW = 880, 400, 330
"""Pixels that a chart has: on a desk, beside another, on a phone."""

INK, SOFT, LINE, ACCENT, FAINT, PAPER = (
    f"var(--{name})" for name in ("ink", "soft", "line", "accent", "faint", "paper")
)
Spec = dict[str, object]


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """A drawing's size and margins, in pixels."""

    width: int
    height: int
    left: int = 44
    right: int = 16
    top: int = 12
    bottom: int = 44

    @property
    def inner(self) -> tuple[int, int]:
        return self.width - self.left - self.right, self.height - self.top - self.bottom


def draw(frame: Frame, layers: list[Spec]) -> Markup:
    """One SVG of these layers; text in them comes as data, which Vega escapes."""
    from vl_convert import vegalite_to_svg

    width, height = frame.inner
    spec: Spec = {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "width": width,
        "height": height,
        "autosize": "none",
        "padding": {"left": frame.left, "right": frame.right, "top": frame.top, "bottom": frame.bottom},
        "background": None,
        "layer": layers,
        "config": _config(),
    }
    # No address is allowed: data stands in the spec. S704: Vega wrote it, and escapes what is text in it.
    return Markup(vegalite_to_svg(spec, vl_version=VEGA_LITE, allowed_base_urls=[]))  # noqa: S704


def _config() -> Spec:
    # Screen readers get the chart's sentence and table instead of a hundred marks.
    axis = {
        "domain": False, "ticks": False, "gridColor": LINE, "gridWidth": 1, "labelColor": SOFT, "labelFontSize": 12,
        "labelPadding": 8, "labelOverlap": False, "labelLimit": 0, "labelBound": False, "labelFlush": False,
        "titleColor": SOFT, "titleFontSize": 12, "titleFontWeight": "normal", "titleLimit": 0,
        "aria": False,
    }  # fmt: skip
    return {
        "aria": False,
        "mark": {"aria": False},
        "font": "sans-serif",
        "view": {"stroke": None},
        "axis": axis,
        "text": {"color": INK, "fontSize": 12, "limit": 0},
        "style": {"cell": {"stroke": None}},
    }


def data(*rows: Mapping[str, object]) -> Spec:
    """Rows of a layer; whatever is text in them may be a stranger's."""
    return {
        "values": [
            {name: harmless(value) if isinstance(value, str) else value for name, value in row.items()}
            for row in rows
        ]
    }


def quantity(field: str, **more: object) -> Spec:
    """A number's channel."""
    return {"field": field, "type": "quantitative", **more}


def x_axis(frame: Frame, title: str, values: Sequence[float], format: str) -> Spec:
    """Its title at the right end, under the numbers."""
    return {
        "title": title, "titleX": frame.inner[0], "titleAlign": "right", "titleY": 27, "grid": False,
        "values": list(values), "format": format,
    }  # fmt: skip


def y_axis(frame: Frame, title: str | None, values: Sequence[float], format: str) -> Spec:
    """Its title above the numbers, to be read without turning the head."""
    return {
        "title": title, "titleAngle": 0, "titleAlign": "left", "titleX": 2 - frame.left, "titleY": -16,
        "values": list(values), "format": format,
    }  # fmt: skip


def exact(value: float) -> float:
    """Six digits: what can be seen, and no byte more."""
    return float(f"{value:.6g}")

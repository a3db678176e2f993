"""Where a bundle's memory goes: a bar a part, as planned, and what was seen beside them."""

from collections.abc import Sequence

from markupsafe import Markup

from edgepack.report import words
from edgepack.report.drawing import ACCENT, INK, NARROW, SOFT, WIDE, Frame, data, draw, quantity
from edgepack.report.view import Chart, table

NAMES = {
    "weights": "weights", "repacked": "repacked copies", "kv_cache": "KV cache", "state": "recurrent states",
    "compute": "compute buffers", "runtime": "runtime",
}  # fmt: skip
_ROW = 34


def memory_chart(parts: Sequence[tuple[str, int]], seen: int | None, budget: int | None) -> Chart:
    """`seen` is the peak of the resident set on the device, `budget` what the profile gives a model."""
    kept = sorted(((NAMES.get(name, name), size) for name, size in parts if size), key=lambda part: -part[1])
    total = sum(size for _, size in kept)
    rows = [*((name, size, "part") for name, size in kept), ("all, predicted", total, "total")]
    rows += [("peak, measured", seen, "seen")] if seen else []
    said = (
        f"Predicted: {words.size(total)} in all, most of it {kept[0][0]} ({words.size(kept[0][1])})." if kept else ""
    )
    said += f" Measured: {words.size(seen)} at the peak." if seen else ""
    said += f" The profile gives a model {words.size(budget)}." if budget else ""
    return Chart(
        title="Memory by part", said=said, wide=_drawn(rows, WIDE, left=150), narrow=_drawn(rows, NARROW, left=118),
        grid=table(
            "Memory by part", ("Part", "Bytes", ""),
            [(name, f"{size:,}", words.size(size)) for name, size, _ in rows], folded=True,
        ),
    )  # fmt: skip


def _drawn(rows: Sequence[tuple[str, int, str]], width: int, left: int) -> Markup:
    frame = Frame(width=width, height=_ROW * len(rows) + 8, left=left, right=76, top=4, bottom=4)
    values = [{"name": name, "size": size, "said": words.size(size), "what": what} for name, size, what in rows]
    order = [name for name, _, _ in rows]
    y = {
        "field": "name", "type": "nominal", "sort": order, "scale": {"paddingInner": 0.42, "paddingOuter": 0.21},
        "axis": {"title": None, "labelFontSize": 13, "labelColor": INK, "labelPadding": 12},
    }  # fmt: skip
    x = quantity("size", axis=None, scale={"domain": [0, max(size for _, size, _ in rows)], "nice": False})
    colour = {"condition": {"test": "datum.what === 'part'", "value": SOFT}, "value": ACCENT}
    return draw(frame, [
        {"data": data(*values), "mark": {"type": "bar", "strokeWidth": 1.5},
         "encoding": {"y": y, "x": x, "stroke": colour,
                      "fill": _fill()}},
        {"data": data(*values), "mark": {"type": "text", "align": "left", "dx": 8},
         "encoding": {"y": y, "x": x, "text": {"field": "said"}}},
    ])  # fmt: skip


def _fill() -> dict[str, object]:
    return {
        "condition": [
            {"test": "datum.what === 'seen'", "value": "transparent"},
            {"test": "datum.what === 'total'", "value": ACCENT},
        ],
        "value": SOFT,
    }  # fmt: skip

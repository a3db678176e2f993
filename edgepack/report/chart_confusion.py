"""What was said where something else was wanted: a square a pair, the darker the larger its share of the row."""

from markupsafe import Markup

from edgepack.domain.report_evaluation import Confusion
from edgepack.report import words
from edgepack.report.drawing import ACCENT, INK, NARROW, PAPER, WIDE, Frame, Spec, data, draw, exact
from edgepack.report.view import Chart, Code, Grid, table

_NAMED = 24
"""Labels beyond which names cannot be read beside the squares."""
_COUNTED = 16
"""Labels up to which counts fit into the squares, and the whole table is told."""
_MOST_PAIRS = 20
_LETTERS, _FEW_LETTERS = 18, 13
"""Of a name beside the squares; on a phone."""


def confusion_chart(confusion: Confusion) -> Chart:
    of = confusion.of or "label"
    right = sum(row[index] for index, row in enumerate(confusion.rows))
    everything = sum(map(sum, confusion.rows))
    pairs = _pairs(confusion)
    often = f" Most often {_quoted(pairs[0])}." if pairs else " Nothing was confused."
    return Chart(
        title=f"Confusion by {words.shortened(of, 40)}",
        said=f"The right {words.shortened(of, 40)} in {right:,} of {everything:,} answers, among "
        f"{words.count(len(confusion.labels), 'value')}.{often}",
        wide=_drawn(confusion, WIDE),
        narrow=_drawn(confusion, NARROW),
        note="Rows: what was wanted. Columns, in the same order: what was said. A row's squares share its examples.",
        grid=_matrix(confusion) if len(confusion.labels) <= _COUNTED else None,
    )


def confused_pairs(confusion: Confusion) -> Grid | None:
    """The most frequent mistakes."""
    pairs = _pairs(confusion)[:_MOST_PAIRS]
    if not pairs:
        return None
    return table(
        "The most frequent confusions", ("Wanted", "Said instead", "Times", "Of its examples"),
        [
            (_code(wanted), _code(said), str(times), words.share(part))
            for times, part, wanted, said in pairs
        ],
        words=2,
    )  # fmt: skip


def _code(label: str) -> Code:
    return Code(text=words.shortened(label, 60))


def _pairs(confusion: Confusion) -> list[tuple[int, float, str, str]]:
    """(times, share of the wanted label's examples, wanted, said), the most frequent first."""
    labels = confusion.labels
    found = [
        (times, times / sum(row), labels[wanted], labels[said])
        for wanted, row in enumerate(confusion.rows)
        for said, times in enumerate(row)
        if times and wanted != said
    ]
    return sorted(found, key=lambda pair: (-pair[0], pair[2], pair[3]))


def _quoted(pair: tuple[int, float, str, str]) -> str:
    times, _, wanted, said = pair
    return f"“{words.shortened(said, 40)}” for “{words.shortened(wanted, 40)}” ({words.count(times, 'time')})"


def _matrix(confusion: Confusion) -> Grid:
    names = [words.shortened(label, 30) for label in confusion.labels]
    rows = [
        (name, *(str(times) if times else "·" for times in row))
        for name, row in zip(names, confusion.rows, strict=True)
    ]
    caption = "All of the matrix: rows wanted, columns said"
    return table(caption, ("wanted ↓ said →", *names), rows, folded=True)


def _drawn(confusion: Confusion, width: int) -> Markup:
    count = len(confusion.labels)
    phone = width == NARROW
    named = count <= _NAMED
    longest = max(len(words.shortened(label, _FEW_LETTERS if phone else _LETTERS)) for label in confusion.labels)
    left = 14 + round(7.6 * longest) if named else 12
    side = min(width - left - 12, 44 * count)
    top = 18 + round(5.6 * longest) if named and not phone else 12
    frame = Frame(width=width, height=side + top + 12, left=left, right=width - left - side, top=top, bottom=12)
    order = list(range(count))
    x, y = _channel("said", order), _channel("wanted", order)
    rows = [
        {"wanted": wanted, "said": said, "times": times, "part": exact(times / sum(row))}
        for wanted, row in enumerate(confusion.rows)
        for said, times in enumerate(row)
        if times
    ]
    layers: list[Spec] = [
        {"data": data(*rows), "mark": {"type": "rect", "color": ACCENT},
         "encoding": {"x": x, "y": y, "opacity": {
             "field": "part", "type": "quantitative", "legend": None,
             "scale": {"domain": [0, 1], "range": [0.12, 1]}}}},
    ]  # fmt: skip
    if count <= (_COUNTED if not phone else 8):
        layers.append(
            {"data": data(*rows), "mark": {"type": "text", "fontSize": 11},
             "encoding": {"x": x, "y": y, "text": {"field": "times"},
                          "color": {"condition": {"test": "datum.part > 0.55", "value": PAPER}, "value": INK}}}
        )  # fmt: skip
    if named:
        layers += _names(confusion, x, y, columns=not phone)
    return draw(frame, layers)


def _channel(field: str, order: list[int]) -> Spec:
    return {
        "field": field, "type": "ordinal", "sort": order, "axis": None,
        "scale": {"domain": order, "paddingInner": 0.06, "paddingOuter": 0},
    }  # fmt: skip


def _names(confusion: Confusion, x: Spec, y: Spec, *, columns: bool) -> list[Spec]:
    """Labels as data beside the squares, not as an axis' expression: a stranger's words are never code."""
    rows = [
        {"place": place, "name": words.shortened(label, _LETTERS if columns else _FEW_LETTERS)}
        for place, label in enumerate(confusion.labels)
    ]
    text = {"type": "text", "fontSize": 12 if len(rows) <= _COUNTED else 10}
    beside: list[Spec] = [
        {"data": data(*rows), "mark": {**text, "align": "right"},
         "encoding": {"y": {**y, "field": "place"}, "x": {"value": -8}, "text": {"field": "name"}}},
    ]  # fmt: skip
    if columns:
        beside.append(
            {"data": data(*rows), "mark": {**text, "align": "left", "angle": -45},
             "encoding": {"x": {**x, "field": "place"}, "y": {"value": -8}, "text": {"field": "name"}}}
        )  # fmt: skip
    return beside

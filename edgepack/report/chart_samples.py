"""Every sample of a measurement: tokens/s in the order taken, and over minutes where it was sustained."""

from collections.abc import Sequence

from markupsafe import Markup

from edgepack.domain.measurement import Phase, Series, Sustained
from edgepack.report import words
from edgepack.report.axes import ticks
from edgepack.report.drawing import (
    ACCENT,
    HALF,
    NARROW,
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
from edgepack.report.view import Chart, table

_FEW = 12
"""Samples that are each numbered."""
_TITLES = {Phase.PREFILL: "Reading the prompt", Phase.DECODE: "Writing the answer"}


def series_chart(series: Series) -> Chart:
    rates = series.rates
    title = f"{_TITLES[series.phase]} ({series.name})"
    said = f"{words.figure(series.median)} tokens/s, "
    said += _spread(series) if len(rates) > 1 else "one sample."
    return Chart(
        title=title, said=said,
        wide=_drawn(range(1, len(rates) + 1), rates, series.median, HALF, "sample", dots=True),
        grid=table(
            f"{title}: every sample", ("Sample", "Tokens/s", "Seconds"),
            [
                (str(index), words.figure(rate), f"{sample.seconds:.4g}")
                for index, (rate, sample) in enumerate(zip(rates, series.samples, strict=True), 1)
            ],
            folded=True,
        ),
    )  # fmt: skip


def _spread(series: Series) -> str:
    low, high = min(series.rates), max(series.rates)
    return (
        f"the median of {words.count(len(series.rates), 'sample')} between {words.figure(low)} and "
        f"{words.figure(high)}; the middle half within {words.share(series.spread)}."
    )


def sustained_chart(sustained: Sustained) -> Chart:
    rates = [sustained.tokens / sample.seconds for sample in sustained.samples]
    minutes = [sample.at / 60 for sample in sustained.samples]
    drawn = [_drawn(minutes, rates, sustained.last, width, "minutes", dots=False) for width in (WIDE, NARROW)]
    return Chart(
        title="Writing without a pause",
        said=f"{words.figure(sustained.first)} tokens/s in the first minute, {words.figure(sustained.last)} in the "
        f"last third of {minutes[-1]:.0f} minutes: {words.share(sustained.ratio)} is left.",
        wide=drawn[0], narrow=drawn[1],
    )  # fmt: skip


def _drawn(
    places: Sequence[float], rates: Sequence[float], middle: float, width: int, unit: str, *, dots: bool
) -> Markup:
    frame = Frame(width=width, height=170, top=14, left=52)
    most = max(rates) * 1.08
    whole = [tick for tick in ticks(0, max(places), 4) if tick == int(tick)]
    if dots:
        whole = [place for place in places if len(places) <= _FEW or place in whole]
    x = quantity(
        "at", scale={"domain": [0, exact(max(places) * 1.04)], "nice": False}, axis=x_axis(frame, unit, whole, "d")
    )
    y = quantity(
        "rate", scale={"domain": [0, exact(most)], "nice": False}, axis=y_axis(frame, None, ticks(0, most, 4), ",~f")
    )
    rows = [{"at": exact(place), "rate": exact(rate)} for place, rate in zip(places, rates, strict=True)]
    mark = (
        {"type": "point", "filled": True, "size": 42, "opacity": 0.9}
        if dots
        else {"type": "line", "strokeWidth": 1.5}
    )
    return draw(frame, [
        {"data": data({"rate": exact(middle)}), "mark": {"type": "rule", "color": SOFT, "strokeDash": [3, 3]},
         "encoding": {"y": y}},
        {"data": data(*rows), "mark": {**mark, "color": ACCENT}, "encoding": {"x": x, "y": y}},
    ])  # fmt: skip

"""Figures in a reader's words: bytes, seconds, shares; short, and never more exact than they are."""

from datetime import datetime

_MIB, _GIB = 1 << 20, 1 << 30
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_TOGETHER = "\N{NO-BREAK SPACE}"


def size(count: int) -> str:
    """Bytes, in the unit that fits."""
    return _TOGETHER.join(size_parts(count))


def size_parts(count: int) -> tuple[str, str]:
    """The number, and its unit."""
    if count >= _GIB:
        return f"{count / _GIB:,.2f}", "GiB"
    if count >= _MIB:
        return (f"{count / _MIB:,.1f}" if count < 100 * _MIB else f"{count / _MIB:,.0f}"), "MiB"
    return f"{count / 1024:,.0f}", "KiB"


def seconds(value: float) -> str:
    return _TOGETHER.join(seconds_parts(value))


def seconds_parts(value: float) -> tuple[str, str]:
    if value < 1:
        return figure(value * 1e3), "ms"
    return (f"{value:,.2f}" if value < 10 else f"{value:,.1f}"), "s"


def share(value: float) -> str:
    """0.9512 as 95.1 %."""
    return f"{share_number(value)}{_TOGETHER}%"


def share_number(value: float) -> str:
    return f"{value * 100:.1f}"


def figure(value: float) -> str:
    """Three digits, or all before the point; two of what is below 1."""
    if value >= 100:
        return f"{value:,.0f}"
    if value < 1:
        return f"{value:.2g}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def times(value: float) -> str:
    return f"{figure(value)}{_TOGETHER}×"


def points(value: float) -> str:
    """A difference of shares."""
    return f"{value * 100:+.1f} points".replace("-", "−")


def count(number: int, noun: str) -> str:
    """3 examples, 1 example."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def parameters(number: int) -> str:
    return f"{number / 1e9:.2f} B parameters" if number >= 1e9 else f"{number / 1e6:,.1f} M parameters"


def day(date: datetime) -> str:
    """20 November 2026, whatever language the machine speaks."""
    return f"{date.day} {_MONTHS[date.month - 1]} {date.year}"


def harmless(text: str) -> str:
    """A stranger's text, without what would turn its neighbours around or be obeyed: it is shown as such."""
    return "".join(
        letter if letter.isprintable() or letter == _TOGETHER else "\N{REPLACEMENT CHARACTER}" for letter in text
    )


def shortened(text: str, most: int = 160) -> str:
    """A stranger's text on one line, its middle left out where it is long."""
    line, half = harmless(" ".join(text.split())), most // 2
    return line if len(line) <= most else f"{line[:half]} … {line[-half:]}"


def interval(low: float, high: float) -> str:
    return _TOGETHER.join((share_number(low), "to", share_number(high), "%"))


METRICS = {
    "accuracy": "accuracy",
    "macro-f1": "macro-F1",
    "exact-match": "exact match",
    "field-f1": "field-F1",
    "entity-f1": "entity-F1",
    "rouge-l": "ROUGE-L",
}


def engine(name: str | None) -> str:
    """What runs the weights, as its makers call it."""
    return {"llamacpp": "llama.cpp", "onnx": "ONNX Runtime", None: ""}.get(name, str(name))


def metric(name: str) -> str:
    return METRICS.get(name, name)


def spaced(name: str) -> str:
    """A record's name for something, as words."""
    return name.replace("-", " ").replace("_", " ")


def capital(text: str) -> str:
    """With a large first letter, and the rest as it is: macro-F1 becomes Macro-F1."""
    return text[:1].upper() + text[1:]

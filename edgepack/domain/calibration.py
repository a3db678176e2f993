"""What a device gave with synthetic weights of a known shape: the figures that predictions are scaled by."""

from dataclasses import dataclass
from datetime import date

from edgepack.domain.quant import Quant
from edgepack.domain.reading import Table


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """Tokens a second of one model's shape at one quantization, with the threads that were fastest."""

    model: str
    """The catalogue's id of the shape."""
    quant: str
    threads: int
    prompt_tokens: int
    """Tokens of the prompt that `prefill` was measured with."""
    prefill: float
    """Tokens a second while a prompt is read."""
    decode: float
    """Tokens a second while text is generated, from an empty cache."""
    measured: str
    """ISO 8601 day."""
    source: str


def parse_calibration(table: Table) -> Calibration:
    """One `[[calibration]]` of a profile; BadInputError names the place of whatever is wrong with it."""
    calibration = Calibration(
        model=table.text("model"),
        quant=table.choice("quant", Quant).value,
        threads=table.whole("threads", least=1),
        prompt_tokens=table.whole("prompt_tokens", least=1),
        prefill=table.number("prefill", above=0),
        decode=table.number("decode", above=0),
        measured=_day(table, "measured"),
        source=table.text("source"),
    )
    table.finish()
    return calibration


def calibration_table(calibration: Calibration) -> dict[str, object]:
    """The table that `parse_calibration` reads the same from."""
    return {
        "model": calibration.model,
        "quant": calibration.quant,
        "threads": calibration.threads,
        "prompt_tokens": calibration.prompt_tokens,
        "prefill": calibration.prefill,
        "decode": calibration.decode,
        "measured": calibration.measured,
        "source": calibration.source,
    }


def _day(table: Table, key: str) -> str:
    text = table.text(key)
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        table.fail(key, f"expected a day as in 2026-11-26, got {text!r}")

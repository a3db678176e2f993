"""What a device gave with synthetic weights of a known shape: the figures that predictions are scaled by."""

from dataclasses import dataclass


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

"""The text that a device reads to show that it computes right: the same for one sample prompt everywhere."""

from importlib.resources import files

GOLDEN_TEXT = "golden/text.txt"
"""Where it lies in a bundle."""
GOLDEN_LOSSES = "golden.txt"
"""What reading it gave where the bundle was built, among the evidence: every CPU rounds in its own way."""


def golden_text(sample_prompt: str) -> str:
    """The model's own kind of prompt, and then prose."""
    prose = files("edgepack").joinpath("data", "golden.txt").read_text(encoding="utf-8")
    return f"{sample_prompt}\n{prose}"

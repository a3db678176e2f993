"""One file of weights and what is known of it without running it."""

from dataclasses import dataclass
from pathlib import Path

from edgepack.domain.quant import Quant

SYNTHETIC_KEY = "edgepack.synthetic"
"""The GGUF key of weights that were made up, not trained: good for speed and memory alone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Weights:
    """A GGUF file: where it lies, its bytes and sha256, and what its metadata says."""

    path: Path
    sha256: str
    size: int
    name: str
    architecture: str
    quant: Quant | None
    """None for a file that edgepack did not make and whose `general.file_type` it does not know."""
    parameters: int
    context_length: int
    synthetic: bool = False
    """Whether its values were made up."""

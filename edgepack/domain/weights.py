"""One file of weights and what is known of it without running it."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from edgepack.domain.quant import OnnxQuant, Quant

SYNTHETIC_KEY = "edgepack.synthetic"
"""The GGUF key of weights that were made up, not trained: good for speed and memory alone."""


class WeightsFormat(StrEnum):
    """What a file of weights is written in, and so which engine runs it."""

    GGUF = "gguf"
    ONNX = "onnx"


@dataclass(frozen=True, kw_only=True, slots=True)
class Weights:
    """A GGUF or ONNX file: where it lies, its bytes and sha256, and what its metadata says."""

    path: Path
    sha256: str
    size: int
    name: str
    architecture: str
    quant: Quant | OnnxQuant | None
    """None for a file that edgepack did not make and whose `general.file_type` it does not know."""
    parameters: int
    context_length: int
    synthetic: bool = False
    """Whether its values were made up."""
    format: WeightsFormat = WeightsFormat.GGUF

    @property
    def gguf_quant(self) -> Quant | None:
        """Its quantization by llama.cpp's name; None too for what is no GGUF."""
        return self.quant if isinstance(self.quant, Quant) else None

"""What an encoder needs in memory under onnxruntime, by arithmetic.

Fitted to the peaks of a bundle's encoder.py on x86-64 with one thread (docs/onnx.md has them).
"""

from dataclasses import dataclass

from edgepack.domain.memory import MemoryPlan
from edgepack.domain.quant import OnnxQuant

USUAL_CONTEXT = 512
"""Tokens that a text may have, where nobody asks for more: scores grow with their square."""
_PROGRAM = 48 << 20
"""Python with onnxruntime, numpy and tokenizers, resident before a model is opened."""
_SESSION = 13 << 20
"""onnxruntime's own of a session."""
_COPIES = {OnnxQuant.F32: 0.22, OnnxQuant.Q8: 0.29}
"""Bytes a byte of the file: what is laid out again for the kernels, and stays of the file's message."""
_TOKEN = 340
"""Bytes a token of the tokenizer's tables."""
_SCORES, _WIDE, _FLOAT = 3, 2, 4
"""Tensors alive at the largest moment: scores of all heads, rows of the feed-forward part; bytes of their numbers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EncoderShape:
    """What activations grow with."""

    heads: int
    feed_forward: int


BASE = EncoderShape(heads=12, feed_forward=3072)
"""Of most encoders of up to 300 M parameters."""


def onnx_memory(
    size: int, vocabulary: int, *, quant: OnnxQuant = OnnxQuant.Q8, shape: EncoderShape = BASE,
    context: int = USUAL_CONTEXT,
) -> MemoryPlan:  # fmt: skip
    """For a file of `size` bytes and texts of up to `context` tokens; all of it stays resident."""
    numbers = context * (_SCORES * shape.heads * context + _WIDE * shape.feed_forward)
    return MemoryPlan(
        weights=size, repacked=round(size * _COPIES[quant]), compute=numbers * _FLOAT,
        runtime=_PROGRAM + _SESSION + vocabulary * _TOKEN,
    )  # fmt: skip

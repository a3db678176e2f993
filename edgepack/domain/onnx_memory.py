"""What an encoder needs in memory under onnxruntime, by arithmetic."""

from edgepack.domain.memory import MemoryPlan

PROGRAM = 48 << 20
"""Python with onnxruntime, numpy and tokenizers, resident before a model is opened."""
_COPIES = 2.0
"""Bytes a byte of the file: the file's message, and what onnxruntime lays out again for its kernels."""
_TOKEN = 350
"""Bytes a token of the tokenizer's tables."""
_WORK = 16 << 20
"""Activations of a text of a few hundred tokens."""


def onnx_memory(size: int, vocabulary: int) -> MemoryPlan:
    """For a file of `size` bytes; all of it stays resident, so nothing of it may go."""
    return MemoryPlan(
        weights=size, repacked=round(size * (_COPIES - 1)), compute=_WORK, runtime=PROGRAM + vocabulary * _TOKEN
    )

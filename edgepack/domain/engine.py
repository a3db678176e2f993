"""Which engine runs a bundle's weights."""

from enum import StrEnum


class Engine(StrEnum):
    """An engine, as --engine names it."""

    LLAMA_CPP = "llamacpp"
    """GGUF: models that write text."""
    ONNX = "onnx"
    """onnxruntime: encoders."""

"""Who makes the GGUF of a checkpoint."""

from enum import StrEnum


class Converter(StrEnum):
    """What `--converter` takes."""

    EDGEPACK = "edgepack"
    """The families in convert/, in one pass."""
    UPSTREAM = "upstream"
    """The pinned llama.cpp's own script, for architectures without a family; then edgepack's quantizer."""

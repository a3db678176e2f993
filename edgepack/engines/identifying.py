"""Which engine knows a file of weights: onnxruntime those whose name ends in .onnx, llama.cpp all others."""

from collections.abc import Callable
from pathlib import Path

from edgepack.domain.weights import Weights

_ONNX_SUFFIX = ".onnx"


def identify(weights: Path, *, memo: Path | None = None, advance: Callable[[int], None] | None = None) -> Weights:
    """A file that edgepack may not have made; raises BadInputError for what is no file of weights."""
    if weights.suffix == _ONNX_SUFFIX:
        from edgepack.engines.onnxruntime_library import identify as identify_onnx

        return identify_onnx(weights, memo=memo, advance=advance)
    from edgepack.engines.llamacpp import identify as identify_gguf

    return identify_gguf(weights, memo=memo, advance=advance)

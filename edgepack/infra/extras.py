"""What edgepack can do without: packages of an extra, asked for by the name that installs them."""

from collections.abc import Iterator
from contextlib import contextmanager

from edgepack.domain.errors import UsageError

_ONNX = ("onnx", "onnxruntime")


@contextmanager
def onnx_extra() -> Iterator[None]:
    """Import onnx or onnxruntime within it; raises UsageError where they are not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in _ONNX:
            raise
        raise UsageError(
            f"ONNX: {error.name} is not installed", hint="install it with: pip install 'edgepack[onnx]'"
        ) from error

"""What edgepack can do without: packages of an extra, asked for by the name that installs them."""

from collections.abc import Iterator
from contextlib import contextmanager

from edgepack.domain.errors import UsageError

_ONNX = {"onnx": "onnx", "onnxruntime": "onnxruntime", "sklearn": "scikit-learn"}
"""Packages by what is imported of them."""


@contextmanager
def onnx_extra() -> Iterator[None]:
    """Import onnx, onnxruntime or scikit-learn within it; raises UsageError where they are not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in _ONNX:
            raise
        raise UsageError(
            f"ONNX: {_ONNX[error.name]} is not installed", hint="install it with: pip install 'edgepack[onnx]'"
        ) from error

"""What edgepack can do without: packages of an extra, asked for by the name that installs them."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec

from edgepack.domain.errors import UsageError

_ONNX = {"onnx": "onnx", "onnxruntime": "onnxruntime", "sklearn": "scikit-learn"}
"""Packages by what is imported of them."""


def onnx_missing() -> str | None:
    """A package that running ONNX needs and that is not installed; nothing is imported."""
    return next((package for name, package in _ONNX.items() if name != "sklearn" and find_spec(name) is None), None)


def onnxruntime_said() -> str:
    """Its version, or that there is none; nothing is imported."""
    return f"onnxruntime {version('onnxruntime')}" if onnx_missing() is None else "no onnxruntime"


def has_onnx_extra() -> bool:
    """Whether all of it is installed."""
    return all(find_spec(package) is not None for package in _ONNX)


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

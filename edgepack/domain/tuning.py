"""How a user bends a quantization: types of tensors set by name, and an importance matrix."""

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from edgepack.domain.errors import UsageError
from edgepack.domain.quant import TensorType

_TYPES = {type.name.lower(): type for type in TensorType}


@dataclass(frozen=True, kw_only=True, slots=True)
class TypeOverride:
    """A type for all tensors in whose name `pattern` is found, over what the quantization would give them."""

    pattern: str
    """A regular expression (ECMAScript) in lower case, as llama-quantize's --tensor-type takes it."""
    type: TensorType

    def __str__(self) -> str:
        return f"{self.pattern}={self.type.name}"


@dataclass(frozen=True, kw_only=True, slots=True)
class ComputedMatrix:
    """An importance matrix that edgepack computes itself."""

    calibration: Path | None = None
    """The text to run; None: the package's own."""


MatrixChoice: TypeAlias = Path | ComputedMatrix
"""A file that llama-imatrix wrote, or one to be computed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tuning:
    """What the user asks for beyond the quantization's name; by default nothing."""

    overrides: tuple[TypeOverride, ...] = ()
    """The first whose pattern is found in a tensor's name counts."""
    matrix: MatrixChoice | None = None

    @property
    def options(self) -> tuple[str, ...]:
        """The options that asked for it, for errors."""
        return (*(["--tensor-type"] if self.overrides else []), *(["--imatrix"] if self.matrix else []))


UNTUNED = Tuning()
"""Nothing beyond the quantization's name."""


def parse_override(text: str) -> TypeOverride:
    """`PATTERN=TYPE`, read as llama-quantize reads it: up to the first `=`, and in lower case.

    Raises UsageError, which lists the types for one that does not exist.
    """
    pattern, equals, type = text.partition("=")
    if not pattern or not equals or not type:
        raise UsageError(
            f"--tensor-type {text}: expected PATTERN=TYPE", hint="for example: --tensor-type ffn_down=q6_k"
        )
    if type.lower() not in _TYPES:
        raise UsageError(
            f"--tensor-type {text}: no tensor type {type!r}", hint=f"use one of: {', '.join(sorted(_TYPES))}"
        )
    # Letters beyond ASCII stay as they are: llama-quantize goes byte by byte.
    lower = "".join(letter.lower() if letter.isascii() else letter for letter in pattern)
    return TypeOverride(pattern=lower, type=_TYPES[type.lower()])


def parse_matrix(imatrix: str | None, calibration: Path | None) -> MatrixChoice | None:
    """What --imatrix and --calibration say together; raises UsageError where they do not agree."""
    if imatrix == "auto":
        return ComputedMatrix(calibration=calibration)
    if calibration is not None:
        raise UsageError("--calibration without --imatrix auto", hint="add --imatrix auto, which runs that text")
    return Path(imatrix) if imatrix else None

"""The options that bend a quantization, and what --json says of them; `convert` and `build` share both."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from edgepack.domain.fallback import Fallback, larger_by
from edgepack.domain.tuning import Tuning, parse_matrix, parse_override

Command = TypeVar("Command", bound=Callable[..., Any])


def tuning_options(command: Command) -> Command:
    """Add --imatrix, --calibration and --tensor-type; `tuning_of` reads what they say."""
    return _imatrix(_calibration(_tensor_type(command)))


def tuning_of(imatrix: str | None, calibration: Path | None, tensor_types: Sequence[str]) -> Tuning:
    """What the three options ask for; raises UsageError where they make no sense."""
    return Tuning(
        overrides=tuple(parse_override(text) for text in tensor_types), matrix=parse_matrix(imatrix, calibration)
    )


def types_data(tuning: Tuning, fallen: Sequence[Fallback], *, weights: int) -> dict[str, object]:
    """What decides the types beside the quantization's name, and what the shapes made of it; `weights` in bytes."""
    return {
        "imatrix": _choice(tuning),
        "tensor_types": [str(override) for override in tuning.overrides],
        "fallbacks": [
            {
                "tensors": fallback.tensors, "columns": fallback.columns, "wanted": fallback.wanted.name,
                "given": fallback.given.name, "extra_bytes": fallback.extra_bytes,
            }
            for fallback in fallen
        ],
        "larger_by": round(larger_by(fallen, total=weights), 6),
    }  # fmt: skip


def _choice(tuning: Tuning) -> str | None:
    """The file's name without its folder, as the GGUF has it."""
    if tuning.matrix is None:
        return None
    return tuning.matrix.name if isinstance(tuning.matrix, Path) else "auto"


_imatrix = click.option(
    "--imatrix", metavar="FILE|auto",
    help="An importance matrix that llama-imatrix wrote; `auto` computes one.",
)  # fmt: skip
_calibration = click.option(
    "--calibration", type=click.Path(path_type=Path), metavar="FILE",
    help="The text that --imatrix auto runs; default: edgepack's own.",
)  # fmt: skip
_tensor_type = click.option(
    "--tensor-type", "tensor_types", multiple=True, metavar="PATTERN=TYPE",
    help="A type for the tensors whose names PATTERN is found in; the first that fits counts. Repeatable.",
)  # fmt: skip

"""A verb's weights identified, and its record written to a file: what `bench` and `eval` share."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.cli.output import Output
from edgepack.domain.errors import UsageError

if TYPE_CHECKING:
    from edgepack.domain.weights import Weights


def identified(weights: Path, output: Output) -> "Weights":
    """The file, hashed, whichever engine runs it."""
    from edgepack.engines.identifying import identify

    return _identified(weights, identify, output)


def identified_gguf(weights: Path, output: Output) -> "Weights":
    """The same for a GGUF; raises BadInputError for other files."""
    from edgepack.engines.llamacpp import identify

    return _identified(weights, identify, output)


def _identified(weights: Path, identify: "Callable[..., Weights]", output: Output) -> "Weights":
    size = weights.stat().st_size if weights.is_file() else None
    with output.bar(f"sha256 of {weights.name}", size, "B") as bar:
        return identify(weights, advance=bar.advance)


def refuse_unwritable(out: Path | None) -> None:
    """Raise UsageError before the work, not after it."""
    if out and (out.is_dir() or not os.access(out.absolute().parent, os.W_OK)):
        raise UsageError(
            f"--out {out}: no file can be written there", hint="give the path of a file in a directory of yours"
        )


def write_record(path: Path, record: dict[str, object]) -> None:
    """All of it or nothing."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        partial.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)

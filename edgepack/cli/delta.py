"""`edgepack delta`: what turns one bundle into another; the stage does the work, what it costs is said here."""

from pathlib import Path

import click

from edgepack.cli.options import output_of, output_options
from edgepack.cli.tables import aligned
from edgepack.stages.delta import DeltaFile, make_delta

_SHOWN = 10
"""Files whose cost is told; --json has all."""


@click.command(name="delta")
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The delta's file.")
@output_options
@click.pass_context
def command(context: click.Context, old: Path, new: Path, out: Path) -> None:
    """Write what turns the bundle OLD into the bundle NEW, and say what it costs before anybody sends it.

    On a device without edgepack: unpack the file, and call `./apply DIR` with the directory that holds its releases.
    """
    output = output_of(context)
    made = make_delta(old, new, destination=out, progress=output)
    output.result("delta", _values(made), lambda: _text(made))


def _values(made: DeltaFile) -> dict[str, object]:
    return {
        "delta": str(made.path), "size": made.size, "old": made.recipe.old, "new": made.recipe.new,
        "bundle_size": made.recipe.size, "brought": made.recipe.brought,
        "files": [{"path": path, "brought": cost} for path, cost in made.costs],
    }  # fmt: skip


def _text(made: DeltaFile) -> str:
    share = made.size / max(1, made.recipe.size)
    rows = [(path, f"{cost:,}") for path, cost in made.costs[:_SHOWN]]
    more = len(made.costs) - _SHOWN
    lines = [
        f"{made.path}: {made.size / 1e6:,.3f} MB, {share:.1%} of the new bundle",
        f"  from      sha256:{made.recipe.old}",
        f"  to        sha256:{made.recipe.new}",
        *(["", aligned(("NEW BYTES IN", ""), rows, right=frozenset({1}))] if rows else []),
        *([f"and {more} more files"] if more > 0 else []),
    ]
    return "\n".join(lines)

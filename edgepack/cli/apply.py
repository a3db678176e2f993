"""`edgepack apply`: a bundle made out of an older one and a delta; the stage does the work."""

from pathlib import Path

import click

from edgepack.cli.options import output_of, output_options
from edgepack.stages.delta import apply_delta


@click.command(name="apply")
@click.argument("delta", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.argument("old", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The new bundle's directory.")
@output_options
@click.pass_context
def command(context: click.Context, delta: Path, old: Path, out: Path) -> None:
    """Make the bundle that DELTA leads to out of the bundle OLD, which it is of; every byte is checked.

    This is for a machine with edgepack: on a device the script in the delta does it, tests the result and switches.
    """
    output = output_of(context)
    made = apply_delta(delta, old, destination=out, progress=output)
    data: dict[str, object] = {"bundle": str(made.path), "payload_digest": made.payload_digest, "size": made.size}
    output.result(
        "apply", data, lambda: f"{made.path}: every byte is right\n  payload   sha256:{made.payload_digest}"
    )

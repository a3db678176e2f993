"""edgepack fetch: brings a checkpoint to this machine, and says where it lies and what it is."""

import click

from edgepack.cli.options import output_of, output_options
from edgepack.cli.tables import aligned
from edgepack.domain.checkpoint import Checkpoint
from edgepack.infra.store import home
from edgepack.stages.fetch import fetch, find_source


@click.command("fetch")
@click.argument("model", metavar="M")
@click.option("--revision", metavar="R", help="A branch, tag or commit of a hub repository; else its main.")
@click.option("--offline", is_flag=True, help="Use no network: only what was fetched before.")
@output_options
@click.pass_context
def command(context: click.Context, model: str, revision: str | None, offline: bool) -> None:
    """Bring checkpoint M to this machine, every file verified.

    M is a catalogue id, ORGANIZATION/NAME[@REVISION] on the hub, a directory, or demo. HF_TOKEN, HF_ENDPOINT
    and HF_HUB_OFFLINE mean what they mean to the hub's own client.
    """
    output = output_of(context)
    source = find_source(model, revision=revision)
    checkpoint = fetch(source, cache=home() / "hub", progress=output, offline=offline)
    output.result("fetch", {"checkpoint": _data(checkpoint)}, lambda: _sheet(checkpoint))


def _data(checkpoint: Checkpoint) -> dict[str, object]:
    return {
        "directory": str(checkpoint.directory),
        "origin": checkpoint.origin,
        "revision": checkpoint.revision,
        "digest": checkpoint.digest,
        "size": checkpoint.size,
        "files": [{"name": file.name, "size": file.size, "sha256": file.sha256} for file in checkpoint.files],
    }


def _sheet(checkpoint: Checkpoint) -> str:
    files = aligned(
        ("FILE", "BYTES", "SHA256"),
        [(file.name, f"{file.size:,}", file.sha256) for file in checkpoint.files],
        right=frozenset({1}),
    )
    return "\n".join([
        f"directory  {checkpoint.directory}",
        f"origin     {checkpoint.origin}",
        f"revision   {checkpoint.revision}",
        f"digest     {checkpoint.digest}",
        f"size       {checkpoint.size:,} bytes in {len(checkpoint.files)} files",
        "",
        files,
    ])  # fmt: skip

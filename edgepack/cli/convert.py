"""edgepack convert: one quantized GGUF from a checkpoint, and nothing else."""

import os
from pathlib import Path

import click

from edgepack.cli.options import output_of, output_options
from edgepack.domain.errors import UsageError
from edgepack.domain.quant import Quant


@click.command("convert")
@click.argument("model")
@click.option("--quant", type=click.Choice([quant.value for quant in Quant]), required=True)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The .gguf to write.")
@click.option("--threads", type=click.IntRange(min=1), help="Default: all.")
@click.option("--offline", is_flag=True, help="Touch no network.")
@click.option("--allow-over-3b", is_flag=True, help="Take a model of more than 3 billion parameters.")
@output_options
@click.pass_context
def command(
    context: click.Context, model: str, quant: str, out: Path, threads: int | None, offline: bool, allow_over_3b: bool
) -> None:
    """Make one quantized GGUF from MODEL in one pass, with no file between."""
    if out.is_dir() or not out.absolute().parent.is_dir():
        raise UsageError(f"--out {out}: not a file in a directory that exists", hint="name the .gguf to write")
    from edgepack.domain.source import DirectorySource
    from edgepack.infra.store import home
    from edgepack.stages.convert import convert_to, open_directory
    from edgepack.stages.fetch import fetch, find_source

    output = output_of(context)
    source = find_source(model)
    if isinstance(source, DirectorySource):
        directory, name = source.path, source.path.resolve().name  # nothing is kept, so nothing needs a digest
    else:
        checkpoint = fetch(source, cache=home() / "hub", progress=output, offline=offline)
        directory, name = checkpoint.directory, checkpoint.origin.rpartition(":")[2].rpartition("/")[2]
    conversion = open_directory(directory, name, allow_over_3b=allow_over_3b)
    cores = threads or len(os.sched_getaffinity(0))
    weights = convert_to(out.absolute(), conversion, Quant(quant), threads=cores, progress=output)
    data = {
        "path": str(weights.path), "sha256": weights.sha256, "size": weights.size, "quant": weights.quant,
        "architecture": weights.architecture, "parameters": weights.parameters,
    }  # fmt: skip
    output.result("convert", data, lambda: f"{out}  {weights.size / (1 << 20):,.1f} MiB  sha256 {weights.sha256}")

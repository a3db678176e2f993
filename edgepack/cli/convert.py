"""edgepack convert: one quantized GGUF from a checkpoint, and nothing else."""

import os
from pathlib import Path

import click

from edgepack.cli.options import output_of, output_options
from edgepack.cli.tuning import tuning_of, tuning_options, types_data
from edgepack.domain.errors import UsageError
from edgepack.domain.quant import Quant
from edgepack.domain.tuning import ComputedMatrix


@click.command("convert")
@click.argument("model")
@click.option("--quant", type=click.Choice([quant.value for quant in Quant]), required=True)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The .gguf to write.")
@tuning_options
@click.option("--threads", type=click.IntRange(min=1), help="Default: all.")
@click.option("--offline", is_flag=True, help="Touch no network.")
@click.option("--allow-over-3b", is_flag=True, help="Take a model of more than 3 billion parameters.")
@output_options
@click.pass_context
def command(
    context: click.Context,
    model: str,
    quant: str,
    out: Path,
    imatrix: str | None,
    calibration: Path | None,
    tensor_types: tuple[str, ...],
    threads: int | None,
    offline: bool,
    allow_over_3b: bool,
) -> None:
    """Make one quantized GGUF from MODEL in one pass, with no file between."""
    if out.is_dir() or not out.absolute().parent.is_dir():
        raise UsageError(f"--out {out}: not a file in a directory that exists", hint="name the .gguf to write")
    from edgepack.domain.source import DirectorySource
    from edgepack.infra.pins import llama_cpp_pin
    from edgepack.infra.store import Store, home
    from edgepack.stages.convert import convert_to, mixture_of, open_directory, warn_of_types
    from edgepack.stages.fetch import fetch, find_source
    from edgepack.stages.imatrix import find_matrix

    tuning = tuning_of(imatrix, calibration, tensor_types)
    output, cores = output_of(context), threads or len(os.sched_getaffinity(0))
    source, digests = find_source(model), dict[str, str]()
    if isinstance(source, DirectorySource) and not isinstance(tuning.matrix, ComputedMatrix):
        directory, name = source.path, source.path.resolve().name  # nothing is kept, so nothing needs a digest
    else:
        checkpoint = fetch(source, cache=home() / "hub", progress=output, offline=offline)
        directory, name = checkpoint.directory, checkpoint.origin.rpartition(":")[2].rpartition("/")[2]
        digests["checkpoint"] = checkpoint.digest
    conversion = open_directory(directory, name, allow_over_3b=allow_over_3b)
    mixture = mixture_of(Quant(quant), tuning)
    fallen, size = conversion.plan.fallbacks(mixture), conversion.plan.size(mixture)
    warn_of_types(fallen, size, tuning, mixture.quant, output)
    matrix = find_matrix(
        tuning.matrix, conversion, weights=digests, llama_cpp=llama_cpp_pin().version,
        store=Store(home()), threads=cores, progress=output,
    )  # fmt: skip
    weights = convert_to(
        out.absolute(), conversion, mixture.quant, overrides=tuning.overrides, matrix=matrix, threads=cores,
        progress=output,
    )  # fmt: skip
    data = {
        "path": str(weights.path), "sha256": weights.sha256, "size": weights.size, "quant": weights.quant,
        "architecture": weights.architecture, "parameters": weights.parameters,
        **types_data(tuning, fallen, weights=size),
    }  # fmt: skip
    output.result("convert", data, lambda: f"{out}  {weights.size / (1 << 20):,.1f} MiB  sha256 {weights.sha256}")

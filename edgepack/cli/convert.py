"""edgepack convert: one quantized file from a checkpoint, its adapter's beside it, and nothing else."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgepack.cli.adapters import adapter_of, adapter_options
from edgepack.cli.onnx import head_of, quant_of, refuse_for_onnx, to_onnx
from edgepack.cli.onnx_decoder import decoder_to_onnx, is_gguf
from edgepack.cli.options import output_of, output_options
from edgepack.cli.tuning import tuning_of, tuning_options, types_data
from edgepack.domain.converter import Converter
from edgepack.domain.errors import UsageError
from edgepack.domain.quant import OnnxQuant, Quant
from edgepack.domain.tuning import ComputedMatrix, Tuning
from edgepack.domain.weights import WeightsFormat

if TYPE_CHECKING:
    from edgepack.cli.output import Output
    from edgepack.convert.full_gguf import FullGguf
    from edgepack.convert.onepass import Conversion
    from edgepack.domain.adapter import AdapterWeights
    from edgepack.stages.adapter import OpenedAdapter


@click.command("convert")
@click.argument("model")
@click.option(
    "--to", type=click.Choice([format.value for format in WeightsFormat]), default=WeightsFormat.GGUF.value,
    help="The file's format; ONNX for encoders, and for decoders that are a GGUF (docs/onnx.md).", show_default=True,
)  # fmt: skip
@click.option(
    "--quant", type=click.Choice([*(quant.value for quant in Quant), *(quant.value for quant in OnnxQuant)]),
    help="Of ONNX: f32 or q8, which is its default.",
)  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The .gguf or .onnx to write.")
@tuning_options
@adapter_options
@click.option(
    "--adapter-out", type=click.Path(path_type=Path), help="The adapter's .gguf; default: OUT.adapter.gguf."
)
@click.option("--head-from", metavar="T", help="With --to onnx: a classifier fitted on what task T teaches.")
@click.option("--shots", type=click.IntRange(min=1), help="With --head-from: the first so many of each label; all.")
@click.option("--threads", type=click.IntRange(min=1), help="Default: all.")
@click.option("--offline", is_flag=True, help="Touch no network.")
@click.option("--allow-over-3b", is_flag=True, help="Take a model of more than 3 billion parameters.")
@output_options
@click.pass_context
def command(
    context: click.Context,
    model: str,
    to: str,
    quant: str | None,
    out: Path,
    imatrix: str | None,
    calibration: Path | None,
    tensor_types: tuple[str, ...],
    adapter: Path | None,
    merge: bool,
    adapter_type: str | None,
    converter: str,
    adapter_out: Path | None,
    head_from: str | None,
    shots: int | None,
    threads: int | None,
    offline: bool,
    allow_over_3b: bool,
) -> None:
    """Make one quantized GGUF from MODEL in one pass, with no file between; or one ONNX file from an encoder."""
    if WeightsFormat(to) is WeightsFormat.ONNX:
        refuse_for_onnx(context)
        if is_gguf(model):
            decoder_to_onnx(model, quant, head_from is not None, out, allow_over_3b, output_of(context))
            return
        precision = quant_of(quant, OnnxQuant, OnnxQuant.Q8) if quant else None
        head = head_of(head_from, shots, threads)
        to_onnx(model, precision, head, out, offline, allow_over_3b, output_of(context))
        return
    if head_from or shots:
        raise UsageError("--head-from: a GGUF takes no head", hint="add --to onnx, for an encoder")
    wanted = quant_of(quant, Quant, None)
    choice = adapter_of(adapter, merge, adapter_type, Converter(converter))
    beside = adapter_out or out.with_suffix(".adapter.gguf")
    _check_places(out, beside, adapter_out is not None and (choice is None or merge))
    from edgepack.infra.pins import llama_cpp_pin
    from edgepack.infra.store import Store, home
    from edgepack.stages.adapter import adapter_to, open_adapter
    from edgepack.stages.convert import convert_to, mixture_of, warn_of_types
    from edgepack.stages.imatrix import find_matrix

    tuning = tuning_of(imatrix, calibration, tensor_types)
    output, cores = output_of(context), threads or len(os.sched_getaffinity(0))
    lora = open_adapter(choice, memo=home() / "digests", progress=output) if choice else None
    if Converter(converter) is Converter.UPSTREAM:
        opened = _by_upstream(model, offline, allow_over_3b, output)
    else:
        opened = _by_edgepack(model, tuning, lora, offline, allow_over_3b, output)
    conversion, inputs = opened
    mixture = mixture_of(wanted, tuning)
    fallen, size = conversion.plan.fallbacks(mixture), conversion.plan.size(mixture)
    warn_of_types(fallen, size, tuning, mixture.quant, output)
    matrix = find_matrix(
        tuning.matrix, conversion, weights=inputs, llama_cpp=llama_cpp_pin().version,
        store=Store(home()), threads=cores, progress=output,
    )  # fmt: skip
    made = (
        adapter_to(beside.absolute(), lora, conversion, threads=cores, progress=output)
        if lora and not merge
        else None
    )
    weights = convert_to(
        out.absolute(), conversion, mixture.quant, overrides=tuning.overrides, matrix=matrix, threads=cores,
        progress=output,
    )  # fmt: skip
    data = {
        "format": weights.format, "path": str(weights.path), "sha256": weights.sha256, "size": weights.size,
        "quant": weights.quant, "architecture": weights.architecture, "parameters": weights.parameters,
        "converter": converter, "adapter": _adapter_data(lora, made), **types_data(tuning, fallen, weights=size),
    }  # fmt: skip
    files = [(out, weights.size, weights.sha256), *([(beside, made.size, made.sha256)] if made else [])]
    output.result("convert", data, lambda: "\n".join(_line(*file) for file in files))


def _check_places(out: Path, beside: Path, unwanted: bool) -> None:
    if unwanted:
        raise UsageError("--adapter-out without an adapter of its own", hint="add --adapter DIR, without --merge")
    for option, path in (("--out", out), ("--adapter-out", beside)):
        if path.is_dir() or not path.absolute().parent.is_dir():
            raise UsageError(
                f"{option} {path}: not a file in a directory that exists", hint="name the .gguf to write"
            )
    if out.absolute() == beside.absolute():
        raise UsageError(f"--adapter-out {beside}: the weights go there", hint="name another file for the adapter")


def _by_edgepack(
    model: str, tuning: Tuning, lora: "OpenedAdapter | None", offline: bool, allow_over_3b: bool, output: "Output"
) -> "tuple[Conversion | FullGguf, Mapping[str, str]]":
    """The conversion of a checkpoint, and the digests that its weights depend on, where they must be known."""
    from edgepack.domain.source import DirectorySource
    from edgepack.infra.store import home
    from edgepack.stages.convert import open_checkpoint, open_directory
    from edgepack.stages.fetch import fetch, find_source

    merged = lora if lora and lora.choice.merge else None
    source = find_source(model)
    if isinstance(source, DirectorySource) and not isinstance(tuning.matrix, ComputedMatrix):
        # Nothing is kept, so nothing needs a digest.
        name = source.path.resolve().name
        merge = merged.adapter if merged else None
        return open_directory(source.path, name, allow_over_3b=allow_over_3b, merge=merge), {}
    opened = open_checkpoint(
        fetch(source, cache=home() / "hub", progress=output, offline=offline), allow_over_3b=allow_over_3b,
        merge=merged.adapter if merged else None, merge_digest=merged.checkpoint.digest if merged else None,
    )  # fmt: skip
    return opened.conversion, opened.inputs


def _by_upstream(
    model: str, offline: bool, allow_over_3b: bool, output: "Output"
) -> "tuple[Conversion | FullGguf, Mapping[str, str]]":
    from edgepack.infra.pins import llama_cpp_pin
    from edgepack.infra.store import Store, home
    from edgepack.stages.convert import open_full_precision
    from edgepack.stages.fetch import fetch, find_source
    from edgepack.stages.upstream import open_upstream

    checkpoint = fetch(find_source(model), cache=home() / "hub", progress=output, offline=offline)
    full = open_upstream(
        checkpoint, llama_cpp=llama_cpp_pin().version, store=Store(home()), allow_over_3b=allow_over_3b,
        offline=offline, progress=output,
    )  # fmt: skip
    opened = open_full_precision(checkpoint, full)
    return opened.conversion, opened.inputs


def _adapter_data(lora: "OpenedAdapter | None", made: "AdapterWeights | None") -> dict[str, object] | None:
    if lora is None:
        return None
    file = made and {"path": str(made.path), "sha256": made.sha256, "size": made.size, "type": made.type}
    return {"name": lora.name, "merged": lora.choice.merge, "file": file}


def _line(path: Path, size: int, sha256: str) -> str:
    return f"{path}  {size / (1 << 20):,.1f} MiB  sha256 {sha256}"

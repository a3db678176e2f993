"""`convert --to onnx`: what goes with it of the words, and what it prints."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click
from click.core import ParameterSource

from edgepack.cli.onnx_decoder import checkpoint_to_onnx
from edgepack.domain.errors import UsageError
from edgepack.domain.quant import OnnxQuant, Quant

if TYPE_CHECKING:
    from edgepack.cli.output import Output
    from edgepack.domain.weights import Weights

_Kind = TypeVar("_Kind", Quant, OnnxQuant)
_TAKEN = frozenset({
    "model", "to", "quant", "out", "offline", "allow_over_3b", "json_output", "quiet", "threads", "head_from",
    "shots",
})  # fmt: skip
_MIB = 1 << 20


def quant_of(quant: str | None, kind: type[_Kind], default: _Kind | None) -> _Kind:
    """A format's own quantization; raises UsageError for another format's, and for none without a default."""
    known = [one.value for one in kind]
    if quant in known:
        return kind(quant)
    if quant is None and default is not None:
        return default
    what = f"--quant {quant}: no quantization of this format" if quant else "--quant: expected one"
    raise UsageError(what, hint=f"choose {', '.join(known)}")


def refuse_for_onnx(context: click.Context) -> None:
    """Raise UsageError for an option that only a GGUF has."""
    given = [name for name in context.params if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    for name in given:
        if name not in _TAKEN:
            raise UsageError(f"--{name.replace('_', '-')}: not with --to onnx", hint="leave it away, or make a GGUF")


@dataclass(frozen=True, kw_only=True, slots=True)
class HeadWanted:
    """That a head is to be fitted."""

    task: str
    shots: int | None
    threads: int


def head_of(task: str | None, shots: int | None, threads: int | None) -> HeadWanted | None:
    """What --head-from and --shots ask for; raises UsageError for examples without a task."""
    if task is None and shots is not None:
        raise UsageError("--shots: of which task?", hint="name it: --head-from T")
    return HeadWanted(task=task, shots=shots, threads=threads or len(os.sched_getaffinity(0))) if task else None


def to_onnx(
    model: str, quant: OnnxQuant | None, head: HeadWanted | None, out: Path, offline: bool, allow_over_3b: bool,
    output: "Output",
) -> None:  # fmt: skip
    """Convert and show the result; an encoder that is ONNX already gets a head."""
    if out.is_dir() or not out.absolute().parent.is_dir():
        raise UsageError(f"--out {out}: not a file in a directory that exists", hint="name the .onnx to write")
    from edgepack.domain.source import OnnxSource
    from edgepack.engines.onnxruntime_library import describe
    from edgepack.formats.partial import partial_directory
    from edgepack.infra.store import home
    from edgepack.stages.decoder import is_decoder
    from edgepack.stages.encoder import encoder_to, open_encoder_directory
    from edgepack.stages.fetch import fetch, find_source

    source = find_source(model)
    if isinstance(source, OnnxSource):
        weights = _ready_with_head(source.path, quant, head, out, output)
    else:
        checkpoint = fetch(source, cache=home() / "hub", progress=output, offline=offline)
        if quant is OnnxQuant.F32 and head is None and is_decoder(checkpoint.directory):
            checkpoint_to_onnx(checkpoint, out, allow_over_3b, output)
            return
        conversion = open_encoder_directory(checkpoint.directory, checkpoint.name, allow_over_3b=allow_over_3b)
        precision = quant or OnnxQuant.Q8
        if head is None:
            weights = encoder_to(out.absolute(), conversion, precision, progress=output)
        else:
            with partial_directory(out.absolute()) as directory:
                encoder = encoder_to(directory / "encoder.onnx", conversion, precision, progress=output)
                weights = _with_head(encoder.path, head, out, output)
    said = describe(weights.path)
    data = {
        "format": weights.format, "path": str(weights.path), "sha256": weights.sha256, "size": weights.size,
        "quant": said.quant, "architecture": weights.architecture, "parameters": weights.parameters,
        "gives": said.gives, "labels": list(said.labels),
    }  # fmt: skip
    output.result("convert", data, lambda: f"{out}  {weights.size / _MIB:,.1f} MiB  sha256 {weights.sha256}")


def _ready_with_head(
    path: Path, quant: OnnxQuant | None, head: HeadWanted | None, out: Path, output: "Output"
) -> "Weights":
    if head is None:
        raise UsageError(f"{path}: ONNX already", hint="leave it as it is, or add --head-from T")
    if quant:
        raise UsageError(f"--quant {quant}: {path} is quantized already", hint="leave --quant away")
    return _with_head(path, head, out, output)


def _with_head(encoder: Path, head: HeadWanted, out: Path, output: "Output") -> "Weights":
    from edgepack.infra.tasks import load_task
    from edgepack.stages.head import head_to

    task = load_task(head.task)
    return head_to(out.absolute(), encoder, task, shots=head.shots, threads=head.threads, progress=output)

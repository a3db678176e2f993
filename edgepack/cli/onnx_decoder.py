"""`convert --to onnx` of a decoder: a GGUF, whose blocks stay what they are, or a checkpoint in float32."""

from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.domain.decoder import DATA_SUFFIX
from edgepack.domain.errors import UsageError

if TYPE_CHECKING:
    from edgepack.cli.output import Output
    from edgepack.domain.checkpoint import Checkpoint
    from edgepack.domain.weights import Weights

_MIB = 1 << 20


def is_gguf(model: str) -> bool:
    """Whether it names a file that is converted already."""
    return model.lower().endswith(".gguf")


def decoder_to_onnx(
    model: str, quant: str | None, headed: bool, out: Path, allow_over_3b: bool, output: "Output"
) -> None:
    """Convert and show the result."""
    if quant is not None or headed:
        option = "--quant" if quant else "--head-from"
        raise UsageError(
            f"{option}: not with a GGUF and --to onnx, which keeps its blocks", hint="leave it away, or quantize anew"
        )
    if out.is_dir() or not out.absolute().parent.is_dir():
        raise UsageError(f"--out {out}: not a file in a directory that exists", hint="name the .onnx to write")
    from edgepack.stages.decoder import decoder_to

    _show(decoder_to(out.absolute(), Path(model), allow_over_3b=allow_over_3b, progress=output), out, output)


def checkpoint_to_onnx(checkpoint: "Checkpoint", out: Path, allow_over_3b: bool, output: "Output") -> None:
    """A decoder's checkpoint in float32."""
    from edgepack.stages.decoder import full_decoder_to

    weights = full_decoder_to(
        out.absolute(), checkpoint.directory, checkpoint.name, allow_over_3b=allow_over_3b, progress=output
    )
    _show(weights, out, output)


def _show(weights: "Weights", out: Path, output: "Output") -> None:
    beside = weights.path.with_name(weights.path.name + DATA_SUFFIX)
    data = {
        "format": weights.format, "path": str(weights.path), "sha256": weights.sha256, "size": weights.size,
        "quant": weights.quant, "architecture": weights.architecture, "parameters": weights.parameters,
        "data": str(beside),
    }  # fmt: skip
    output.result(
        "convert", data,
        lambda: f"{out}, {beside.name}  {weights.size / _MIB:,.1f} MiB  sha256 {weights.sha256}",
    )  # fmt: skip

"""`convert MODEL.gguf --to onnx`: a decoder, whose blocks stay what they are."""

from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.domain.decoder import DATA_SUFFIX
from edgepack.domain.errors import UsageError

if TYPE_CHECKING:
    from edgepack.cli.output import Output

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

    weights = decoder_to(out.absolute(), Path(model), allow_over_3b=allow_over_3b, progress=output)
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

"""Checkpoint to an ONNX encoder: kept in the store by what it is made from, or written past it."""

from pathlib import Path

from edgepack.convert.onnx.encoder import EncoderConversion, open_encoder, write_onnx
from edgepack.domain.encoder import BLOCK
from edgepack.domain.plan import refuse_over_3b
from edgepack.domain.progress import Progress
from edgepack.domain.quant import OnnxQuant
from edgepack.domain.weights import Weights, WeightsFormat
from edgepack.formats.partial import partial_directory
from edgepack.infra.store import require_space

_FULL_BYTES = 4
_BYTES = {OnnxQuant.F32: _FULL_BYTES, OnnxQuant.Q8: 1 + _FULL_BYTES / BLOCK}


def open_encoder_directory(directory: Path, name: str, *, allow_over_3b: bool) -> EncoderConversion:
    """Read config and headers, and count the parameters; raises BadInputError, also for one over 3 B."""
    conversion = open_encoder(directory, name)
    refuse_over_3b(name, conversion.parameters, allowed=allow_over_3b)
    return conversion


def encoder_to(path: Path, conversion: EncoderConversion, quant: OnnxQuant, *, progress: Progress) -> Weights:
    """The file at `quant`, written to `path`; an error leaves what stood there."""
    with partial_directory(path) as partial:
        require_space(partial, round(conversion.parameters * _BYTES[quant]), f"{conversion.name} {quant}")
        progress.step(f"converting {conversion.name} to ONNX, {quant}")
        new = partial / "weights.onnx"
        digest = write_onnx(conversion, quant, new)
        size = new.stat().st_size
        new.replace(path)
    said = conversion.description(quant)
    return Weights(
        path=path, sha256=digest, size=size, name=said.name, architecture=said.architecture, quant=quant,
        parameters=said.parameters, context_length=said.context_length, format=WeightsFormat.ONNX,
    )  # fmt: skip

"""An ONNX decoder, weights beside it, of a GGUF or a checkpoint: kept in the store, or written past it."""

from dataclasses import dataclass, replace
from pathlib import Path

from edgepack.convert.config import read_config
from edgepack.convert.onnx.checkpoint_decoder import DECODER_CLASSES, open_checkpoint_decoder
from edgepack.convert.onnx.decoder import Naming, write_decoder
from edgepack.convert.onnx.decoder_shape import DecoderShape, DecoderWeights
from edgepack.convert.onnx.gguf_decoder import open_gguf_decoder
from edgepack.domain.decoder import DATA_SUFFIX
from edgepack.domain.plan import refuse_over_3b
from edgepack.domain.progress import Progress
from edgepack.domain.quant import OnnxQuant
from edgepack.domain.step import Step
from edgepack.domain.weights import Weights, WeightsFormat
from edgepack.formats.partial import partial_directory
from edgepack.infra.kept import keep_file
from edgepack.infra.store import Store, require_space

# Raised whenever the bytes change: it is part of every key.
_WRITER = "edgepack-onnx-decoder/1"
_NAME = "decoder.onnx"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Source:
    """What is written, known but for the weights' values."""

    weights: DecoderWeights
    shape: DecoderShape
    naming: Naming
    size: int
    """Bytes, about."""


def decoder_to(path: Path, gguf: Path, *, allow_over_3b: bool, progress: Progress) -> Weights:
    """Write a GGUF's decoder to `path`, its weights beside it; an error leaves what stood there.

    Raises BadInputError for a family, a type of tensor or a setting that has no equal in ONNX.
    """
    return _placed(path, _gguf(gguf), allow_over_3b, progress)


def full_decoder_to(path: Path, checkpoint: Path, name: str, *, allow_over_3b: bool, progress: Progress) -> Weights:
    """The same from a checkpoint, in float32."""
    decoder = open_checkpoint_decoder(checkpoint)
    naming = Naming(name=name, quant=OnnxQuant.F32, parameters=decoder.parameters, ends=decoder.ends)
    source = _Source(weights=decoder, shape=decoder.shape(), naming=naming, size=4 * decoder.parameters)
    return _placed(path, source, allow_over_3b, progress)


def is_decoder(checkpoint: Path) -> bool:
    """Whether `full_decoder_to` knows its class."""
    return read_config(checkpoint).checkpoint_class in DECODER_CLASSES


def decoder_of(weights: Weights, *, store: Store, progress: Progress) -> Weights:
    """The decoder of a GGUF out of the store, or made now; raises what `decoder_to` raises."""
    source = _gguf(weights.path)
    step = Step(name="onnx-decoder", inputs={"gguf": weights.sha256}, parameters={}, tool=_WRITER)
    kept, made = keep_file(store, step, _NAME, lambda path: _write(path, source, progress))
    if not made:
        progress.step(f"{weights.name} as ONNX stands in the store")
    found = _weights(source, kept.path, kept.sha256)
    return replace(found, name=weights.name, synthetic=weights.synthetic)


def _gguf(path: Path) -> _Source:
    decoder = open_gguf_decoder(path)
    naming = Naming(name=decoder.name, quant=decoder.quant, parameters=decoder.parameters, ends=decoder.ends)
    return _Source(weights=decoder, shape=decoder.shape(), naming=naming, size=decoder.size)


def _placed(path: Path, source: _Source, allow_over_3b: bool, progress: Progress) -> Weights:
    refuse_over_3b(source.naming.name, source.naming.parameters, allowed=allow_over_3b)
    with partial_directory(path) as partial:
        new = partial / path.name
        digest = _write(new, source, progress)
        # The weights first: a graph never stands without them.
        for suffix in (DATA_SUFFIX, ""):
            new.with_name(new.name + suffix).replace(path.with_name(path.name + suffix))
    return _weights(source, path, digest)


def _write(path: Path, source: _Source, progress: Progress) -> str:
    require_space(path.parent, source.size, f"{source.naming.name} as ONNX")
    progress.step(f"converting {source.naming.name} to ONNX")
    digest = write_decoder(path, source.shape, source.weights, source.naming, location=path.name + DATA_SUFFIX)
    source.weights.refuse_left_over()
    return digest


def _weights(source: _Source, path: Path, digest: str) -> Weights:
    naming = source.naming
    size = sum(path.with_name(path.name + suffix).stat().st_size for suffix in ("", DATA_SUFFIX))
    return Weights(
        path=path, sha256=digest, size=size, name=naming.name, architecture=source.shape.architecture,
        quant=naming.quant, parameters=naming.parameters, context_length=source.shape.context_length,
        format=WeightsFormat.ONNX,
    )  # fmt: skip

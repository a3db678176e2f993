"""GGUF to an ONNX decoder, weights beside it: kept in the store by what it is made from, or written past it."""

from dataclasses import replace
from pathlib import Path

from edgepack.convert.onnx.decoder import Naming, write_decoder
from edgepack.convert.onnx.decoder_shape import DecoderShape
from edgepack.convert.onnx.gguf_decoder import GgufDecoder, open_gguf_decoder
from edgepack.domain.decoder import DATA_SUFFIX
from edgepack.domain.plan import refuse_over_3b
from edgepack.domain.progress import Progress
from edgepack.domain.step import Step
from edgepack.domain.weights import Weights, WeightsFormat
from edgepack.formats.partial import partial_directory
from edgepack.infra.kept import keep_file
from edgepack.infra.store import Store, require_space

# Raised whenever the bytes change: it is part of every key.
_WRITER = "edgepack-onnx-decoder/1"
_NAME = "decoder.onnx"


def decoder_to(path: Path, gguf: Path, *, allow_over_3b: bool, progress: Progress) -> Weights:
    """Write the decoder to `path`, its weights beside it; an error leaves what stood there.

    Raises BadInputError for a family, a type of tensor or a setting that has no equal in ONNX.
    """
    decoder = open_gguf_decoder(gguf)
    shape = decoder.shape()
    refuse_over_3b(decoder.name, decoder.parameters, allowed=allow_over_3b)
    with partial_directory(path) as partial:
        new = partial / path.name
        digest = _write(new, decoder, shape, progress)
        size = _size(new)
        # The weights first: a graph never stands without them.
        for suffix in (DATA_SUFFIX, ""):
            new.with_name(new.name + suffix).replace(path.with_name(path.name + suffix))
    return _weights(decoder, shape, path, digest, size)


def decoder_of(weights: Weights, *, store: Store, progress: Progress) -> Weights:
    """The decoder of a GGUF out of the store, or made now; raises what `decoder_to` raises."""
    decoder = open_gguf_decoder(weights.path)
    shape = decoder.shape()
    step = Step(name="onnx-decoder", inputs={"gguf": weights.sha256}, parameters={}, tool=_WRITER)
    kept, made = keep_file(store, step, _NAME, lambda path: _write(path, decoder, shape, progress))
    if not made:
        progress.step(f"{weights.name} as ONNX stands in the store")
    found = _weights(decoder, shape, kept.path, kept.sha256, _size(kept.path))
    return replace(found, name=weights.name, synthetic=weights.synthetic)


def _write(path: Path, decoder: GgufDecoder, shape: DecoderShape, progress: Progress) -> str:
    require_space(path.parent, decoder.size, f"{decoder.name} as ONNX")
    progress.step(f"converting {decoder.name} to ONNX, block by block")
    naming = Naming(name=decoder.name, quant=decoder.quant, parameters=decoder.parameters, ends=decoder.ends)
    digest = write_decoder(path, shape, decoder, naming, location=path.name + DATA_SUFFIX)
    decoder.refuse_left_over()
    return digest


def _size(path: Path) -> int:
    return sum(path.with_name(path.name + suffix).stat().st_size for suffix in ("", DATA_SUFFIX))


def _weights(decoder: GgufDecoder, shape: DecoderShape, path: Path, digest: str, size: int) -> Weights:
    return Weights(
        path=path, sha256=digest, size=size, name=decoder.name, architecture=shape.architecture,
        quant=decoder.quant, parameters=decoder.parameters, context_length=shape.context_length,
        format=WeightsFormat.ONNX,
    )  # fmt: skip

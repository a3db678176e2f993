"""A second opinion: a GGUF under llama.cpp beside its checkpoint's float32 under onnxruntime, on one text."""

from pathlib import Path

from edgepack.convert.onnx.checkpoint_decoder import CheckpointDecoder, open_checkpoint_decoder
from edgepack.convert.onnx.decoder import Naming, write_decoder
from edgepack.domain.agreement import agreement_gate, not_run_now
from edgepack.domain.decoder import DATA_SUFFIX
from edgepack.domain.errors import BadInputError, NoSpaceError
from edgepack.domain.gates import Gate, GateKind
from edgepack.domain.progress import Progress
from edgepack.domain.quant import OnnxQuant
from edgepack.domain.weights import Weights
from edgepack.infra.extras import onnx_missing
from edgepack.infra.store import require_space

_TOKENS = 256
"""The more, the farther apart are the places that a wrong rotary base turns wrongly."""
_TOGETHER, _STEPS = 64, 8
"""Read in pieces, so that logits of a large vocabulary take little; the last ones one by one, as text is written."""
_SMALL = 20_000_000
"""Parameters up to which one thread is quicker than several that wait for each other on a busy machine."""


def unable(checkpoint: Path) -> str | None:
    """Why nothing can be said of this checkpoint, if nothing can."""
    if package := onnx_missing():
        return f"{package} is not installed (pip install 'edgepack[onnx]')"
    try:
        open_checkpoint_decoder(checkpoint).shape()
    except BadInputError as error:
        return error.what
    return None


def second_opinion(
    weights: Weights,
    checkpoint: Path,
    *,
    full: Path,
    twin: Path | None,
    text: str,
    scratch: Path,
    threads: int,
    progress: Progress,
) -> Gate:
    """Let both engines read a text; for `full` and `twin` see `agreement_gate`. `unable` has said nothing.

    The checkpoint's float32 takes four bytes a parameter of `scratch`, which is mapped, not read into memory.
    """
    from edgepack.engines.agreeing import agreements
    from edgepack.engines.llamacpp import tokenize

    decoder = open_checkpoint_decoder(checkpoint)
    room = min(_TOKENS, weights.context_length, decoder.shape().context_length)
    tokens = tokenize(weights.path, text, add_special=True)[:room]
    try:
        require_space(scratch, 4 * decoder.parameters, f"{weights.name} in float32")
    except NoSpaceError as error:
        return not_run_now(error.what)
    progress.step(f"reading {len(tokens)} tokens with {weights.name} and with its checkpoint under onnxruntime")
    reference = _written(scratch / "reference.onnx", decoder, weights.name)
    files = list(dict.fromkeys([weights.path, full, *([twin] if twin else [])]))
    threads = 1 if decoder.parameters < _SMALL else threads
    try:
        found = dict(zip(files, agreements(reference, files, _pieces(tokens), threads=threads), strict=True))
    except BadInputError as error:
        return Gate(kind=GateKind.LOGITS, checked=0, different=(error.what,))
    finally:
        _remove(reference)
    return agreement_gate(found[weights.path], found[full], found[twin] if twin else None)


def _pieces(tokens: tuple[int, ...]) -> list[tuple[int, ...]]:
    read, steps = tokens[:-_STEPS], tokens[-_STEPS:]
    together = [read[start : start + _TOGETHER] for start in range(0, len(read), _TOGETHER)]
    return [*together, *((token,) for token in steps)]


def _written(path: Path, decoder: CheckpointDecoder, name: str) -> Path:
    naming = Naming(name=name, quant=OnnxQuant.F32, parameters=decoder.parameters, ends=())
    write_decoder(path, decoder.shape(), decoder, naming, location=path.name + DATA_SUFFIX, every=True)
    return path


def _remove(path: Path) -> None:
    for suffix in ("", DATA_SUFFIX):
        path.with_name(path.name + suffix).unlink()

"""Weights compared with others of the same model over a text: perplexity and divergence."""

from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from edgepack.domain.errors import BadInputError
from edgepack.domain.fidelity import CHUNK_TOKENS, Fidelity, Foreseen, Text
from edgepack.domain.measurement import measured_weights
from edgepack.domain.progress import Progress
from edgepack.domain.weights import Weights
from edgepack.infra.machine import big_cpus


def compare(
    weights: Weights,
    against: Weights,
    text: Path,
    *,
    progress: Progress,
    threads: int | None = None,
    limit: int | None = None,
) -> Fidelity:
    """Let both read the first `limit` chunks of a text file.

    Raises BadInputError for a text that is none or too short, and for weights that do not share a vocabulary.
    """
    from edgepack.engines.llamacpp import runtime
    from edgepack.engines.llamacpp_fidelity import chunks_of, foreseen_each

    words = _words(text)
    # Past its context a model with learned positions reads memory that is none of its own.
    size = min(CHUNK_TOKENS, weights.context_length, against.context_length)
    chunks = chunks_of(weights.path, words, size=size)[:limit]
    if chunks != chunks_of(against.path, words, size=size)[:limit]:
        raise BadInputError(
            f"{against.path}: it reads {text.name} as other tokens than {weights.path}",
            hint="compare quantizations of one model",
        )
    if size < CHUNK_TOKENS:
        progress.warn(f"{weights.name} was trained for {size} tokens: it reads so many at a time, not {CHUNK_TOKENS}")
    threads = threads or len(big_cpus())
    progress.step(f"read {text.name} with {weights.name} at {weights.quant} and {against.quant}")
    places: list[Foreseen] = []
    with progress.bar("chunks", len(chunks), "chunk") as bar:
        for found in foreseen_each(weights.path, against.path, chunks, threads=threads):
            places += found
            bar.advance(1)
    return Fidelity(
        date=datetime.now(UTC).replace(microsecond=0),
        weights=measured_weights(weights), against=measured_weights(against),
        text=Text(name=text.name, sha256=sha256(words.encode()).hexdigest(), tokens=len(chunks) * size),
        runtime=runtime(), threads=threads, chunk_tokens=size, chunks=len(chunks), places=tuple(places),
    )  # fmt: skip


def _words(path: Path) -> str:
    try:
        return path.read_bytes().decode()  # as it stands: line ends are tokens
    except OSError as error:
        raise BadInputError(f"{path}: {error.strerror}", hint="give a text file with --text") from error
    except UnicodeDecodeError as error:
        raise BadInputError(f"{path}: not UTF-8 at byte {error.start}", hint="save it as UTF-8 text") from error

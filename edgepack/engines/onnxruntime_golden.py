"""What an encoder gives for the texts that bundles are tried on; whether it is near to anything it does not know."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

from edgepack.domain.errors import BadInputError
from edgepack.domain.golden import Rows
from edgepack.engines.onnxruntime_checking import checked
from edgepack.engines.onnxruntime_library import encoded, open_encoder, run, tokenized


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """Of each text that the model takes: its outputs."""

    texts: tuple[str, ...]
    outputs: tuple[Rows, ...]
    milliseconds: float
    """The median text's."""


def given_for(path: Path, texts: Sequence[str], *, threads: int) -> Given:
    """Those of `texts` that fit the model's context, and what it gives for them; raises BadInputError."""
    encoder = open_encoder(path, threads=threads)
    taken = tuple(text for text in texts if len(tokenized(encoder, text).ids) <= encoder.said.context_length)
    outputs, seconds = [], []
    for number, text in enumerate(taken, 1):
        encoding = encoded(encoder, text, number)
        began = perf_counter()
        rows = run(encoder, encoding)
        seconds.append(perf_counter() - began)
        outputs.append(tuple(tuple(map(float, row)) for row in rows.reshape(-1, encoder.said.width)))
    if not taken:
        raise BadInputError(f"{path}: takes none of {len(texts)} texts", hint="convert the checkpoint again")
    return Given(texts=taken, outputs=tuple(outputs), milliseconds=1e3 * median(seconds))


def tokenizer_of(path: Path) -> str:
    """The tokenizer.json in an encoder's file."""
    return checked(path, path.read_bytes())[1]

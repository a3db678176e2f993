"""What a GGUF expects behind each token of a text that is given, by llama.cpp; it compares with nothing."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgepack.domain.errors import BadInputError
from edgepack.engines.llamacpp_library import OpenModel, context, opened, refuse_encoder, refused

Pieces = Sequence[Sequence[int]]
"""A text's tokens, cut into what is read together; one of a single token is a step of generation."""


def forced_logits(weights: Path, pieces: Pieces, *, threads: int) -> Iterator[npt.NDArray[np.float32]]:
    """Logits behind each token of each piece, (tokens, vocabulary), on one cache of keys and values.

    Raises BadInputError for an encoder, and for tokens that the vocabulary does not have.
    """
    with opened(weights) as model:
        refuse_encoder(model)
        size = int(model.native.llama_vocab_n_tokens(model.vocabulary))
        if not all(0 <= token < size for piece in pieces for token in piece):
            raise BadInputError(f"{weights}: tokens beyond its {size}", hint="compare files of one model")
        with context(model, tokens=sum(map(len, pieces)), threads=threads, cpus=None) as handle:
            begin = 0
            for piece in pieces:
                yield _read(model, handle, piece, begin, size)
                begin += len(piece)


def _read(model: OpenModel, handle: int, tokens: Sequence[int], begin: int, size: int) -> npt.NDArray[np.float32]:
    native = model.native
    batch = native.llama_batch_init(len(tokens), 0, 1)
    try:
        batch.n_tokens = len(tokens)
        for place, token in enumerate(tokens):
            batch.token[place], batch.pos[place], batch.logits[place] = token, begin + place, True
            batch.n_seq_id[place], batch.seq_id[place][0] = 1, 0
        if (status := native.llama_decode(handle, batch)) != 0:
            raise refused(status, len(tokens))
        rows = [native.llama_get_logits_ith(handle, place) for place in range(len(tokens))]
        return np.stack([np.ctypeslib.as_array(row, (size,)) for row in rows])
    finally:
        native.llama_batch_free(batch)

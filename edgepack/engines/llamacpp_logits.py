"""What a GGUF expects behind each token of a text that is given, by llama.cpp; it compares with nothing."""

import ctypes
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgepack.domain.errors import BadInputError
from edgepack.engines.llamacpp_library import OpenModel, context, decode, opened, refuse_encoder, refused


def forced_logits(weights: Path, tokens: Sequence[int], *, at_once: int, threads: int) -> npt.NDArray[np.float32]:
    """Logits (tokens, vocabulary): the first tokens are read `at_once`, the others one by one behind them.

    Raises BadInputError for an encoder, and for tokens that the vocabulary does not have.
    """
    with opened(weights) as model:
        refuse_encoder(model)
        size = int(model.native.llama_vocab_n_tokens(model.vocabulary))
        if not all(0 <= token < size for token in tokens):
            raise BadInputError(f"{weights}: tokens beyond its {size}", hint="compare files of one model")
        with context(model, tokens=len(tokens), threads=threads, cpus=None) as handle:
            rows = [_read(model, handle, tokens[:at_once], size)]
            for token in tokens[at_once:]:
                decode(model.native, handle, (ctypes.c_int32 * 1)(token), 1)
                rows.append(_row(model, handle, -1, size)[None])
    return np.concatenate(rows)


def _read(model: OpenModel, handle: int, tokens: Sequence[int], size: int) -> npt.NDArray[np.float32]:
    native = model.native
    batch = native.llama_batch_init(len(tokens), 0, 1)
    try:
        batch.n_tokens = len(tokens)
        for place, token in enumerate(tokens):
            batch.token[place], batch.pos[place], batch.logits[place] = token, place, True
            batch.n_seq_id[place], batch.seq_id[place][0] = 1, 0
        if (status := native.llama_decode(handle, batch)) != 0:
            raise refused(status, len(tokens))
        return np.stack([_row(model, handle, place, size) for place in range(len(tokens))])
    finally:
        native.llama_batch_free(batch)


def _row(model: OpenModel, handle: int, place: int, size: int) -> npt.NDArray[np.float32]:
    given = model.native.llama_get_logits_ith(handle, place)
    return np.array(np.ctypeslib.as_array(given, (size,)))

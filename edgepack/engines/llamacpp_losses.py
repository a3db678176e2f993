"""How surprised a model is by a text, as `llama-perplexity` computes it; whether that is much is not its business."""

import ctypes
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgepack.engines.llamacpp import tokens_of
from edgepack.engines.llamacpp_library import OpenModel, context, decode, opened

CHUNK_TOKENS = 32
"""Tokens that are read together; the second half of them counts."""
MOST_CHUNKS = 4


def mean_losses(weights: Path, text: str, *, adapter: Path | None, threads: int) -> tuple[float, ...]:
    """Mean negative log-probability of a token, in nats, over the first chunk, the first two, and so on.

    Empty where llama-perplexity refuses: a vocabulary that ends every text, or less than two chunks of text.
    """
    with opened(weights, adapter=adapter) as model:
        if model.native.llama_vocab_get_add_eos(model.vocabulary):
            return ()
        chunks = list(_chunks(model, text))
        if len(chunks) < 2:
            return ()
        losses = np.concatenate([_losses(model, chunk, threads) for chunk in chunks])
    each = len(losses) // len(chunks)
    return tuple(float(losses[: each * (number + 1)].mean()) for number in range(len(chunks)))


def _chunks(model: OpenModel, text: str) -> Iterator[tuple[int, ...]]:
    # llama-perplexity drops a final newline when it reads the file.
    tokens = tokens_of(model, text.removesuffix("\n"), add_special=True)
    for start in range(0, len(tokens) - CHUNK_TOKENS + 1, CHUNK_TOKENS)[:MOST_CHUNKS]:
        yield tokens[start : start + CHUNK_TOKENS]


def _losses(model: OpenModel, chunk: tuple[int, ...], threads: int) -> npt.NDArray[np.float64]:
    """Of each token in the second half but the first, what the tokens before it did not foresee."""
    native, first = model.native, CHUNK_TOKENS // 2
    read = list(chunk)
    if native.llama_vocab_get_add_bos(model.vocabulary):
        read[0] = native.llama_vocab_bos(model.vocabulary)
    size = native.llama_vocab_n_tokens(model.vocabulary)
    found = np.empty(CHUNK_TOKENS - 1 - first)
    with context(model, tokens=CHUNK_TOKENS, threads=threads, cpus=None) as handle:
        decode(native, handle, (ctypes.c_int32 * first)(*read[:first]), first)
        for place in range(first, CHUNK_TOKENS - 1):
            decode(native, handle, (ctypes.c_int32 * 1)(read[place]), 1)
            logits = np.ctypeslib.as_array(native.llama_get_logits_ith(handle, -1), (size,)).astype(np.float64)
            top = logits.max()
            found[place - first] = top + np.log(np.exp(logits - top).sum()) - logits[chunk[place + 1]]
    return found

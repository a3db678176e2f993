"""Two models read one text side by side, chunk by chunk as llama-perplexity has it; it judges none."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgepack.domain.errors import BadInputError
from edgepack.domain.fidelity import Foreseen
from edgepack.engines.llamacpp import tokens_of
from edgepack.engines.llamacpp_library import OpenModel, context, opened, refuse_encoder, refused

_ROWS = 16
"""Places that are looked at together: a large vocabulary's logits take a megabyte a place."""


def chunks_of(weights: Path, text: str, *, size: int) -> tuple[tuple[int, ...], ...]:
    """The whole chunks of a text, each begun by the vocabulary's beginning-of-text token if it wants one.

    Raises BadInputError for less than two, for an encoder, and for a vocabulary that ends every text.
    """
    with opened(weights, vocabulary_only=True) as model:
        refuse_encoder(model)
        native = model.native
        if native.llama_vocab_get_add_eos(model.vocabulary):
            raise BadInputError(
                f"{weights}: its vocabulary ends every text, and chunks have no end",
                hint="convert it with add_eos_token false in tokenizer_config.json",
            )
        # llama-perplexity drops a final newline when it reads the file.
        tokens = tokens_of(model, text.removesuffix("\n"), add_special=True)
        if len(tokens) < 2 * size:
            raise BadInputError(
                f"the text has {len(tokens)} tokens, and {2 * size} are needed", hint="give a longer --text"
            )
        begin = [native.llama_vocab_bos(model.vocabulary)] if native.llama_vocab_get_add_bos(model.vocabulary) else []
        return tuple(
            (*begin, *tokens[start + len(begin) : start + size]) for start in range(0, len(tokens) - size + 1, size)
        )


def foreseen_each(
    weights: Path, against: Path, chunks: Sequence[Sequence[int]], *, threads: int
) -> Iterator[tuple[Foreseen, ...]]:
    """For each chunk, what both models expected at each place of its second half; both are in memory at once."""
    size = len(chunks[0])
    with ExitStack() as stack:
        both = [_reader(stack, path, size, threads) for path in (weights, against)]
        for chunk in chunks:
            for model, handle in both:
                _read(model, handle, chunk)
            yield tuple(_foreseen(both, chunk))


def _reader(stack: ExitStack, weights: Path, size: int, threads: int) -> tuple[OpenModel, int]:
    model = stack.enter_context(opened(weights))
    return model, stack.enter_context(context(model, tokens=size, threads=threads, cpus=None))


def _read(model: OpenModel, handle: int, chunk: Sequence[int]) -> None:
    native = model.native
    native.llama_memory_clear(native.llama_get_memory(handle), True)
    batch = native.llama_batch_init(len(chunk), 0, 1)
    try:
        batch.n_tokens = len(chunk)
        for place, token in enumerate(chunk):
            batch.token[place], batch.pos[place] = token, place
            batch.n_seq_id[place], batch.seq_id[place][0] = 1, 0
            batch.logits[place] = place >= len(chunk) // 2
        if (status := native.llama_decode(handle, batch)) != 0:
            raise refused(status, len(chunk))
    finally:
        native.llama_batch_free(batch)


def _foreseen(both: Sequence[tuple[OpenModel, int]], chunk: Sequence[int]) -> Iterator[Foreseen]:
    """The last token's successor is not in the chunk, so its logits say nothing."""
    for start in range(len(chunk) // 2, len(chunk) - 1, _ROWS):
        places = range(start, min(start + _ROWS, len(chunk) - 1))
        next_tokens = np.array([chunk[place + 1] for place in places])
        ours, theirs = (_log_probabilities(model, handle, places) for model, handle in both)
        divergences = (np.exp(theirs) * (theirs - ours)).sum(axis=1)
        same = ours.argmax(axis=1) == theirs.argmax(axis=1)
        rows = np.arange(len(places))
        for row in rows:
            yield Foreseen(
                surprise=-float(ours[row, next_tokens[row]]), surprise_against=-float(theirs[row, next_tokens[row]]),
                divergence=float(divergences[row]), same_top=bool(same[row]),
            )  # fmt: skip


def _log_probabilities(model: OpenModel, handle: int, places: Sequence[int]) -> npt.NDArray[np.float64]:
    native = model.native
    size = native.llama_vocab_n_tokens(model.vocabulary)
    logits = np.stack(
        [np.ctypeslib.as_array(native.llama_get_logits_ith(handle, place), (size,)) for place in places]
    ).astype(np.float64)
    logits -= logits.max(axis=1, keepdims=True)
    logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return logits

"""Tokens that a decoder writes through onnxruntime, greedy or drawn; which words they are it does not know."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from edgepack.domain.sampling import GREEDY, Sampling
from edgepack.engines.onnxruntime_decoder import OpenDecoder, Reader


def continued(
    decoder: OpenDecoder, prompt: Sequence[int], *, max_tokens: int, sampling: Sampling = GREEDY
) -> Iterator[int]:
    """The tokens behind a prompt, until one of the model's ends, `max_tokens`, or the context's last place.

    The same prompt, sampling and machine give the same tokens. Raises BadInputError for tokens that the model does
    not have, and for a prompt that is empty or longer than the context.
    """
    places = min(len(prompt) + max_tokens, decoder.said.context_length)
    reader = Reader(decoder, places=max(places, 1))
    random = np.random.default_rng(sampling.seed)
    logits = reader.read(prompt)[-1]
    for _ in range(max_tokens):
        token = drawn(logits, sampling, random)
        if token in decoder.said.ends:
            return
        yield token
        if reader.length == places:
            return
        logits = reader.read([token])[-1]


def drawn(logits: npt.NDArray[np.float32], sampling: Sampling, random: np.random.Generator) -> int:
    """One token; of equal ones the first is taken for the likelier."""
    if sampling.temperature == 0 or sampling.top_k == 1:
        return int(logits.argmax())
    kept = _likeliest(logits, sampling.top_k)
    values = logits[kept].astype(np.float64)
    if sampling.top_p < 1:
        count = int(np.searchsorted(np.cumsum(_shares(values)), sampling.top_p)) + 1
        kept, values = kept[:count], values[:count]
    return int(random.choice(kept, p=_shares(values / sampling.temperature)))


def _likeliest(logits: npt.NDArray[np.float32], count: int) -> npt.NDArray[np.intp]:
    """The `count` largest, or all, from the largest down."""
    if 0 < count < len(logits):
        # A vocabulary is long, and few are asked for: only what is no smaller than the last of them is sorted.
        least = np.partition(logits, -count)[-count]
        near = np.flatnonzero(logits >= least)
    else:
        near = np.arange(len(logits))
    found: npt.NDArray[np.intp] = near[np.argsort(-logits[near], kind="stable")]
    return found[:count] if count else found


def _shares(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    raised = np.exp(values - values.max())
    found: npt.NDArray[np.float64] = raised / raised.sum()
    return found

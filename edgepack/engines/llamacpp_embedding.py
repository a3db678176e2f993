"""Vectors of texts through llama.cpp, pooled as the GGUF says; which text is near to which is not its business."""

import ctypes
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter

import numpy as np
import numpy.typing as npt

from edgepack.domain.errors import BadInputError
from edgepack.engines.embedding import Embedded
from edgepack.engines.llamacpp import tokens_of
from edgepack.engines.llamacpp_library import OpenModel, context, decode, metadata, opened

_POOLED = (1, 2, 3)
"""Mean, first and last token: the ways of enum llama_pooling_type that end in one vector a text."""


def embeds(model: OpenModel) -> bool:
    """Whether the GGUF says how a text becomes one vector."""
    said = metadata(model, f"{metadata(model, 'general.architecture')}.pooling_type")
    return said is not None and said.isdecimal() and int(said) in _POOLED


def embed(
    weights: Path, texts: Sequence[str], *, threads: int, cpus: tuple[int, ...] | None = None
) -> npt.NDArray[np.float32]:
    """Load a GGUF and give each text's vector: (texts, width), each of length 1; see `embed_each`."""
    with opened(weights) as model:
        return vectors_of(model, texts, threads=threads, cpus=cpus)


def vectors_of(
    model: OpenModel, texts: Sequence[str], *, threads: int, cpus: tuple[int, ...] | None = None
) -> npt.NDArray[np.float32]:
    """All vectors of `embed_each`: (texts, width)."""
    vectors = np.empty((len(texts), model.native.llama_model_n_embd(model.handle)), dtype=np.float32)
    for row, embedded in zip(vectors, embed_each(model, texts, threads=threads, cpus=cpus), strict=True):
        row[:] = embedded.vector
    return vectors


def embed_each(
    model: OpenModel, texts: Sequence[str], *, threads: int, cpus: tuple[int, ...] | None = None
) -> Iterator[Embedded]:
    """Each text's vector.

    The tokens around a text are the GGUF's. Raises BadInputError for a model that was not made to give one
    vector a text, and for a text without tokens or with more than the model takes; NoSpaceError out of memory.
    """
    native = model.native
    inputs = [_tokens(model, number, text) for number, text in enumerate(texts)]
    longest = max(map(len, inputs), default=1)
    # An encoder looks at a text as a whole, so a text is one micro-batch.
    with context(
        model, tokens=longest, threads=threads, cpus=cpus, batch=longest, micro_batch=longest, embeddings=True
    ) as handle:
        if native.llama_pooling_type(handle) not in _POOLED:
            raise BadInputError(
                f"{model.path}: its metadata name no pooling by which a text gets one vector",
                hint="convert a checkpoint that has modules.json and 1_Pooling/config.json",
            )
        for tokens in inputs:
            began = perf_counter()
            native.llama_memory_clear(native.llama_get_memory(handle), True)
            decode(native, handle, (ctypes.c_int32 * len(tokens))(*tokens), len(tokens))
            vector = _vector(model, handle)
            yield Embedded(vector=vector, tokens=len(tokens), seconds=perf_counter() - began)


def _vector(model: OpenModel, handle: int) -> npt.NDArray[np.float32]:
    width = model.native.llama_model_n_embd(model.handle)
    vector = np.ctypeslib.as_array(model.native.llama_get_embeddings_seq(handle, 0), shape=(width,)).copy()
    vector /= max(float(np.linalg.norm(vector)), float(np.finfo(np.float32).tiny))
    return vector


def _tokens(model: OpenModel, number: int, text: str) -> tuple[int, ...]:
    tokens = tokens_of(model, text, add_special=True)
    most = int(model.native.llama_model_n_ctx_train(model.handle))
    if not 0 < len(tokens) <= most:
        raise BadInputError(
            f"{model.path}: text {number + 1} has {len(tokens)} tokens, and the model takes 1 to {most}",
            hint="cut the text into shorter ones",
        )
    return tokens

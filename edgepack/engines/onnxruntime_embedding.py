"""Vectors of texts through onnxruntime, pooled by the graph; which is near to which it does not know."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np
import numpy.typing as npt

from edgepack.domain.encoder import HINT, Gives
from edgepack.domain.errors import BadInputError
from edgepack.engines.embedding import Embedded, stacked
from edgepack.engines.onnxruntime_library import OpenEncoder, encoded, open_encoder, run

_NEAR_ONE = 1e-3


def embed(path: Path, texts: Sequence[str], *, threads: int) -> npt.NDArray[np.float32]:
    """Load an encoder and give each text's vector: (texts, width); see `embed_each`."""
    return stacked(partial(embed_each, open_encoder(path, threads=threads)), texts)


def embed_each(encoder: OpenEncoder, texts: Sequence[str]) -> Iterator[Embedded]:
    """Each text's vector; raises BadInputError for an encoder that gives classes, and what `encoded` raises."""
    if encoder.said.gives is not Gives.VECTOR:
        raise BadInputError(
            f"{encoder.path}: gives {encoder.said.gives}, not vectors", hint="convert a checkpoint that has a pooling"
        )
    inputs = [encoded(encoder, text, number) for number, text in enumerate(texts, 1)]
    for encoding in inputs:
        began = perf_counter()
        vector = run(encoder, encoding)
        if abs(float(np.linalg.norm(vector)) - 1) > _NEAR_ONE:
            raise BadInputError(f"{encoder.path}: the graph gives a vector whose length is not 1", hint=HINT)
        yield Embedded(vector=vector, tokens=len(encoding.ids), seconds=perf_counter() - began)

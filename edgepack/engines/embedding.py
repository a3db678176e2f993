"""What engines that make vectors of texts have in common: a text's vector, and whoever gives one for each."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, kw_only=True, slots=True)
class Embedded:
    """One text."""

    vector: npt.NDArray[np.float32]
    """Of length 1."""
    tokens: int
    seconds: float


EmbedEach: TypeAlias = Callable[[Sequence[str]], Iterator[Embedded]]
"""An open encoder: it gives each text's vector in turn, and raises BadInputError for a text that it cannot take."""


def stacked(embed_each: EmbedEach, texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """All vectors: (texts, width); one text at least."""
    return np.stack([embedded.vector for embedded in embed_each(texts)])

"""Labels by nearness: a text's vector held against each label's; whether the nearest is right it does not know."""

from collections.abc import Iterator, Sequence
from time import perf_counter

import numpy as np
import numpy.typing as npt

from edgepack.domain.answering import Answered
from edgepack.domain.task import Labels, Task
from edgepack.engines.embedding import EmbedEach, stacked

_SCALE = 20.0
"""What cosines are multiplied by before they become shares: sentence-transformers' own scale in training."""


def nearest_each(embed_each: EmbedEach, task: Task, texts: Sequence[str]) -> Iterator[Answered]:
    """The label nearest to each text, by cosine.

    A label lies where the examples taught of it lie in the middle; one without any, where its name does. Raises what
    `embed_each` raises.
    """
    assert isinstance(task.form, Labels), "only labels are near to a text"
    if not texts:
        return
    labels = task.form.labels
    places = _places(embed_each, task)
    for embedded in embed_each(texts):
        began = perf_counter()
        cosines = places @ embedded.vector
        best = int(cosines.argmax())
        share = 1 / float(np.exp(_SCALE * (cosines - cosines[best])).sum())
        yield Answered(
            text=labels[best], whole=True, confidence=share, prompt_tokens=embedded.tokens, tokens=0,
            first_token=embedded.seconds, seconds=embedded.seconds + perf_counter() - began,
        )  # fmt: skip


def label_matrix(embed_each: EmbedEach, task: Task) -> npt.NDArray[np.float32]:
    """What a text's vector is multiplied with so that the softmax gives `nearest_each`'s shares: (labels, width)."""
    matrix: npt.NDArray[np.float32] = np.float32(_SCALE) * _places(embed_each, task)
    return matrix


def _places(embed_each: EmbedEach, task: Task) -> npt.NDArray[np.float32]:
    """Each label's vector, of length 1: (labels, width)."""
    assert isinstance(task.form, Labels), "only labels lie somewhere"
    said = [
        [task.words(one) for one in task.taught if one.answer == label] or [_words(label)]
        for label in task.form.labels
    ]
    vectors = stacked(embed_each, [text for texts in said for text in texts])
    ends = np.cumsum([len(texts) for texts in said])[:-1]
    places = np.stack([part.mean(axis=0) for part in np.split(vectors, ends)])
    places /= np.maximum(np.linalg.norm(places, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return places


def _words(label: str) -> str:
    """A label's name as people would write it."""
    return label.replace("_", " ").replace("-", " ")

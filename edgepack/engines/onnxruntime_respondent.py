"""An ONNX encoder that answers a task: labels by its own classes or by nearness, entities by tags of its words."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import geometric_mean
from time import perf_counter

import numpy as np
import numpy.typing as npt

from edgepack.domain.answering import Answered
from edgepack.domain.encoder import Gives
from edgepack.domain.entities import entities_json
from edgepack.domain.errors import BadInputError
from edgepack.domain.tagging import OUTSIDE, entities_of, first_pieces, kinds_of, split_tag, words_of
from edgepack.domain.task import Entities, Example, Labels, Task
from edgepack.engines.nearest import nearest_each
from edgepack.engines.onnxruntime_embedding import embed_each
from edgepack.engines.onnxruntime_library import OpenEncoder, encoded, open_encoder, run
from edgepack.engines.respondent import Respondent
from edgepack.infra.load import on_cpus


@dataclass(frozen=True, kw_only=True, slots=True)
class _Nearest:
    encoder: OpenEncoder
    task: Task

    def prompt(self, example: Example) -> str:
        return self.task.words(example)

    def answer_each(self, prompts: Sequence[str]) -> Iterator[Answered]:
        return nearest_each(partial(embed_each, self.encoder), self.task, prompts)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Classifier:
    encoder: OpenEncoder
    task: Task

    def prompt(self, example: Example) -> str:
        return self.task.words(example)

    def answer_each(self, prompts: Sequence[str]) -> Iterator[Answered]:
        labels = self.encoder.said.labels
        for number, prompt in enumerate(prompts, 1):
            encoding = encoded(self.encoder, prompt, number)
            began = perf_counter()
            scores = run(self.encoder, encoding)
            best = int(scores.argmax())
            seconds = perf_counter() - began
            yield Answered(
                text=labels[best], whole=True, confidence=1 / float(np.exp(scores - scores[best]).sum()),
                prompt_tokens=len(encoding.ids), tokens=0, first_token=seconds, seconds=seconds,
            )  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class _Tagger:
    encoder: OpenEncoder
    task: Task
    kinds: frozenset[str]

    def prompt(self, example: Example) -> str:
        return self.task.words(example)

    def answer_each(self, prompts: Sequence[str]) -> Iterator[Answered]:
        for number, prompt in enumerate(prompts, 1):
            encoding = encoded(self.encoder, prompt, number)
            began = perf_counter()
            scores = run(self.encoder, encoding)
            best, shares = _best_of_each(scores)
            words = list(words_of(prompt))
            firsts = first_pieces(words, encoding.offsets)
            tags = [OUTSIDE if first is None else self._tag(int(best[first])) for first in firsts]
            found = entities_json(entities_of(prompt, words, tags))
            sure = [float(shares[first]) for first in firsts if first is not None]
            seconds = perf_counter() - began
            yield Answered(
                text=found, whole=True, confidence=geometric_mean(sure) if sure else 1.0,
                prompt_tokens=len(encoding.ids), tokens=0, first_token=seconds, seconds=seconds,
            )  # fmt: skip

    def _tag(self, number: int) -> str:
        """What the task does not ask for is nothing."""
        tag = self.encoder.said.labels[number]
        return tag if split_tag(tag)[1] in self.kinds else OUTSIDE


def _best_of_each(scores: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Of every token the class that is likeliest, and its probability."""
    best = scores.argmax(axis=1)
    shares = 1 / np.exp(scores - scores.max(axis=1, keepdims=True)).sum(axis=1)
    return best, shares


def _no_answer(encoder: OpenEncoder, what: str) -> BadInputError:
    return BadInputError(
        f"{encoder.path}: {what}",
        hint="an encoder of vectors answers any labels; one of classes, the labels or entities it was trained for",
    )


@contextmanager
def onnxruntime_respondent(
    weights: Path, task: Task, *, threads: int, cpus: tuple[int, ...] | None
) -> Iterator[Respondent]:
    """Load an encoder for a task of labels or entities; raises BadInputError for other tasks and other classes."""
    with on_cpus(cpus):
        encoder = open_encoder(weights, threads=threads)
        yield _respondent(encoder, task)


def _respondent(encoder: OpenEncoder, task: Task) -> Respondent:
    gives, classes = encoder.said.gives, encoder.said.labels
    few = ", ".join(classes[:8])
    match task.form:
        case Labels() if gives is Gives.VECTOR:
            return _Nearest(encoder=encoder, task=task)
        case Labels(labels=labels) if gives is Gives.CLASSES and set(classes) == set(labels):
            return _Classifier(encoder=encoder, task=task)
        case Labels():
            raise _no_answer(encoder, f"gives {gives} ({few}), not the task's labels")
        case Entities(kinds=kinds) if gives is Gives.TOKEN_CLASSES and kinds_of(classes) >= set(kinds):
            return _Tagger(encoder=encoder, task=task, kinds=frozenset(kinds))
        case Entities(kinds=kinds):
            raise _no_answer(encoder, f"gives {gives} ({few}), not tags of the task's entities ({', '.join(kinds)})")
        case _:
            raise _no_answer(encoder, "an encoder, which writes no text")

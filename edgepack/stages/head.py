"""An encoder of vectors and a task's examples become one classifier: a linear head fitted on the vectors they get."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.convert.onnx.attaching import with_head
from edgepack.convert.onnx.fitting import INVERSE_STRENGTH, fit_head, library
from edgepack.domain.encoder import HEAD_KEY, EncoderDescription, Gives
from edgepack.domain.errors import BadInputError
from edgepack.domain.progress import Progress
from edgepack.domain.task import Example, Labels, Task
from edgepack.domain.weights import Weights
from edgepack.engines.embedding import stacked
from edgepack.engines.onnxruntime_embedding import embed_each
from edgepack.engines.onnxruntime_library import OpenEncoder, identify, open_encoder
from edgepack.formats.partial import partial_directory

if TYPE_CHECKING:
    from edgepack.engines.embedding import Embedded


def head_to(
    path: Path, encoder: Path, task: Task, *, shots: int | None = None, threads: int, progress: Progress
) -> Weights:
    """The classifier, written to `path`; an error leaves what stood there.

    It is fitted on what the task teaches, of each label the first `shots`, and on the vectors that `encoder` itself
    gives here: the head is fitted to what its quantization moves, and to how this CPU rounds. Raises BadInputError
    for an encoder that gives no vectors, and for a task without labels or without an example of one.
    """
    opened = open_encoder(encoder, threads=threads)
    if opened.said.gives is not Gives.VECTOR:
        raise BadInputError(
            f"{encoder}: gives {opened.said.gives}, and a head is fitted on vectors",
            hint="take an encoder that gives vectors, as all-MiniLM-L6-v2 does",
        )
    labels, taught = _taught(task, shots)
    progress.step(f"fit a head for {task.name}: {len(labels)} labels, {len(taught)} examples")
    with progress.bar("vectors", len(taught), "text") as bar:

        def counted(texts: Sequence[str]) -> "Iterator[Embedded]":
            for embedded in embed_each(opened, texts):
                bar.advance(1)
                yield embedded

        vectors = stacked(counted, [task.words(example) for example in taught])
    head = fit_head(vectors, [example.answer for example in taught], labels)
    description = _described(opened, task, labels, head.matrix.size + head.bias.size)
    with partial_directory(path) as partial:
        new = partial / "weights.onnx"
        new.write_bytes(with_head(encoder.read_bytes(), head, description, {HEAD_KEY: _note(task, taught)}))
        new.replace(path)
    return identify(path)


def _taught(task: Task, shots: int | None) -> tuple[tuple[str, ...], tuple[Example, ...]]:
    """The labels, and the examples to learn them from."""
    if not isinstance(task.form, Labels):
        raise BadInputError(
            f"task {task.name}: its answers are no labels, and a head tells labels apart",
            hint="give a task with [answer] labels (docs/tasks.md)",
        )
    seen = Counter[str]()
    taken = []
    for example in task.taught:
        seen[example.answer] += 1
        if shots is None or seen[example.answer] <= shots:
            taken.append(example)
    if missing := [label for label in task.form.labels if not seen[label]]:
        raise BadInputError(
            f"task {task.name}: no example of {missing[0]!r} to learn from ({len(missing)} labels have none)",
            hint='name a file of examples under [examples]: train = "train.jsonl" (docs/tasks.md)',
        )
    return task.form.labels, tuple(taken)


def _described(encoder: OpenEncoder, task: Task, labels: tuple[str, ...], parameters: int) -> EncoderDescription:
    said = encoder.said
    return replace(
        said, name=f"{said.name}-{task.name}", parameters=said.parameters + parameters, gives=Gives.CLASSES,
        width=len(labels), labels=labels,
    )  # fmt: skip


def _note(task: Task, taught: Sequence[Example]) -> str:
    """Where the head is from, as JSON."""
    rows = json.dumps([[task.words(example), example.answer] for example in taught])
    return json.dumps({
        "task": task.name, "examples": len(taught), "sha256": sha256(rows.encode()).hexdigest(),
        "fitted": f"{library()}, logistic regression, C {INVERSE_STRENGTH:g}",
    }, sort_keys=True)  # fmt: skip

"""How well weights do a task: answers judged, metrics with intervals, times; it asks no model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from edgepack.domain import entities, metrics
from edgepack.domain.answering import Answered
from edgepack.domain.measurement import MeasuredWeights, Runtime
from edgepack.domain.metrics import Counts, Estimate, estimate
from edgepack.domain.task import Entities, Example, FreeText, Grammar, JsonSchema, Labels, Metric, Targets, Task

SCHEMA = "edgepack.evaluation/1"
_NONE = entities.entities_json(())


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """One example, what was answered, and how good that is."""

    example: Example
    answered: Answered
    score: float
    """1 or 0 where an answer is right or wrong; the F1 or ROUGE-L of this answer where that is the metric."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Times:
    """Percentiles over the requests, in seconds."""

    median: float
    p95: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Energy:
    """What all answers together used."""

    joules: float
    source: str
    """Who says so: RAPL's counters, or a profile's watts times seconds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Met:
    """A target, and what was reached."""

    target: str
    wanted: float
    reached: float | None
    met: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """All that a run showed. Seen, not predicted."""

    date: datetime
    weights: MeasuredWeights
    task: Task
    runtime: Runtime
    threads: int
    judged: tuple[Judged, ...]
    kept: int
    """Answers that an earlier run of the same weights, task and settings gave."""
    metrics: Mapping[Metric, Estimate]
    """The task's own, and the others that its answers allow."""
    memory: int | None
    """Bytes by which the process grew while it answered; None where nothing was asked now."""
    energy: Energy | None

    @property
    def quality(self) -> Estimate:
        return self.metrics[self.task.metric]

    @property
    def first_token(self) -> Times:
        return times_of([one.answered.first_token for one in self.judged])

    @property
    def seconds(self) -> Times:
        return times_of([one.answered.seconds for one in self.judged])

    @property
    def joules_per_answer(self) -> float | None:
        return self.energy.joules / len(self.judged) if self.energy and self.judged else None

    @property
    def prompt_tokens(self) -> int:
        return sum(one.answered.prompt_tokens for one in self.judged)

    @property
    def tokens(self) -> int:
        return sum(one.answered.tokens for one in self.judged)

    @property
    def decode(self) -> float | None:
        """Tokens a second while answers are written, the median over those of two tokens or more; no label is
        written."""
        if isinstance(self.task.form, Labels):
            return None
        speeds = sorted(
            one.answered.tokens / (one.answered.seconds - one.answered.first_token)
            for one in self.judged
            if one.answered.tokens > 1
        )
        return metrics.quantile(speeds, 0.5) if speeds else None

    @property
    def classes(self) -> dict[str, Counts]:
        """Precision and recall of each label, or kind of entities; empty where answers are neither."""
        if isinstance(self.task.form, Entities):
            return entities.by_kind(_pairs(self.judged))
        return metrics.by_class(*_labels(self.judged)) if isinstance(self.task.form, Labels) else {}

    @property
    def confusion(self) -> tuple[tuple[str, ...], tuple[tuple[int, ...], ...]]:
        return metrics.confusion(*_labels(self.judged)) if isinstance(self.task.form, Labels) else ((), ())

    @property
    def targets(self) -> tuple[Met, ...]:
        """Each target that the task sets."""
        return judged_targets(
            self.task.targets, quality=self.quality.value, first_token=self.first_token.p95, decode=self.decode,
            size=self.weights.size, memory=self.memory,
        )  # fmt: skip


def judged_targets(
    wanted: Targets,
    *,
    quality: float,
    first_token: float | None,
    decode: float | None,
    size: int,
    memory: int | None,
) -> tuple[Met, ...]:
    """Each target that is set, against what was reached. What nobody knows (None) is not met."""
    return tuple(
        Met(target=name, wanted=limit, reached=got, met=got is not None and (got - limit) * sign >= 0)
        for name, limit, got, sign in (
            ("quality", wanted.quality, quality, 1),
            ("first_token_seconds", wanted.first_token, first_token, -1),
            ("tokens_per_second", wanted.decode, decode, 1),
            ("size_bytes", wanted.size, size, -1),
            ("memory_bytes", wanted.memory, memory, -1),
        )
        if limit is not None
    )


def judge(task: Task, example: Example, answered: Answered) -> Judged:
    """Score one answer by the task's metric; entities are written in one way first, whoever found them."""
    if isinstance(task.form, Entities):
        found = entities.said_entities(answered.text, task.words(example), task.form.kinds)
        answered = replace(answered, text=entities.entities_json(found))
    wanted, said = example.answer, answered.text
    match task.metric:
        case Metric.FIELD_F1:
            score = metrics.fields(wanted, said).f1
        case Metric.ENTITY_F1:
            score = _entity_score(wanted, said)
        case Metric.ROUGE_L:
            score = metrics.rouge_l(wanted, said)
        case Metric.EXACT_MATCH | Metric.ACCURACY | Metric.MACRO_F1:
            score = float(metrics.exact(wanted, said))
    return Judged(example=example, answered=answered, score=score)


def measured(task: Task, judged: Sequence[Judged]) -> dict[Metric, Estimate]:
    """The task's metric, and what else its form of answers lets one say, each with its interval."""
    return {metric: _estimate(metric, judged) for metric in dict.fromkeys((task.metric, *_also(task)))}


def quality_of(metric: Metric, judged: Sequence[Judged]) -> float:
    """A metric's value alone, of answers that were judged by it."""
    match metric:
        case Metric.MACRO_F1:
            return _macro(_pairs(judged))
        case Metric.FIELD_F1:
            return metrics.field_f1([metrics.fields(one.example.answer, one.answered.text) for one in judged])
        case Metric.ENTITY_F1:
            return metrics.together([_entity_counts(*pair) for pair in _pairs(judged)]).f1
        case Metric.ROUGE_L | Metric.EXACT_MATCH | Metric.ACCURACY:
            return metrics.mean([one.score for one in judged])


def _also(task: Task) -> tuple[Metric, ...]:
    match task.form:
        case Labels():
            return (Metric.ACCURACY, Metric.MACRO_F1)
        case Entities():
            return (Metric.ENTITY_F1, Metric.EXACT_MATCH)
        case JsonSchema():
            return (Metric.EXACT_MATCH, Metric.FIELD_F1)
        case Grammar():
            return (Metric.EXACT_MATCH,)
        case FreeText():
            return (Metric.ROUGE_L,)


def _estimate(metric: Metric, judged: Sequence[Judged]) -> Estimate:
    pairs = _pairs(judged)
    match metric:
        case Metric.MACRO_F1:
            return estimate(pairs, _macro)
        case Metric.FIELD_F1:
            return estimate([metrics.fields(*pair) for pair in pairs], metrics.field_f1)
        case Metric.ENTITY_F1:
            return estimate([_entity_counts(*pair) for pair in pairs], metrics.field_f1)
        case Metric.ROUGE_L:
            return estimate([metrics.rouge_l(*pair) for pair in pairs], metrics.mean)
        case Metric.EXACT_MATCH | Metric.ACCURACY:
            return estimate([float(metrics.exact(*pair)) for pair in pairs], metrics.mean)


def _macro(pairs: Sequence[tuple[str, str]]) -> float:
    return metrics.macro_f1(*_columns(pairs))


def _columns(pairs: Sequence[tuple[str, str]]) -> tuple[list[str], list[str]]:
    return [wanted for wanted, _ in pairs], [said for _, said in pairs]


def _labels(judged: Sequence[Judged]) -> tuple[list[str], list[str]]:
    return _columns(_pairs(judged))


def _pairs(judged: Sequence[Judged]) -> list[tuple[str, str]]:
    """Wanted and said."""
    return [(one.example.answer, one.answered.text) for one in judged]


def _entity_counts(wanted: str, said: str) -> Counts:
    return metrics.together(list(entities.by_kind([(wanted, said)]).values()))


def _entity_score(wanted: str, said: str) -> float:
    """Of a text without entities it is right to find none."""
    return float(wanted == said) if wanted == _NONE else _entity_counts(wanted, said).f1


def times_of(seconds: Sequence[float]) -> Times:
    """Percentiles; zero of nothing."""
    ordered = sorted(seconds) or [0.0]
    return Times(median=metrics.quantile(ordered, 0.5), p95=metrics.quantile(ordered, 0.95))

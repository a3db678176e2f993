"""Candidates tried on a user's own task, from the cheapest up: what each reached, and which is the first to do."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from edgepack.domain.engine import Engine
from edgepack.domain.evaluation import Evaluation, Met, judged_targets
from edgepack.domain.profile import Profile
from edgepack.domain.speed import SpeedPlan
from edgepack.domain.task import Metric, Targets, Task

SCHEMA = "edgepack.trials/1"

# A candidate is given up early where one that is good enough would look so bad once in a thousand looks.
_DOUBT = 0.001
# Those whose value is the mean of the answers' scores: only of a mean can a part say something certain.
_MEANS = frozenset({Metric.ACCURACY, Metric.EXACT_MATCH, Metric.ROUGE_L})


class Role(StrEnum):
    """What a candidate is to the chosen one."""

    CHOSEN = "chosen"
    SMALLER = "smaller"
    """One size down."""
    LARGER = "larger"
    """One size up."""
    TRIED = "tried"


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A model at a quantization, as it was planned."""

    model: str
    origin: str
    engine: Engine
    quant: str
    parameters: int | None
    """None where it could not be read."""
    size: int
    """Bytes of its weights."""
    memory: int | None
    """Bytes on the device, predicted; None where it could not be read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """One candidate, asked or passed over."""

    candidate: Candidate
    evaluation: Evaluation | None = None
    """None: not asked."""
    expected: SpeedPlan | None = None
    """On a profile that is not this machine; None where it is, or too little is known of either."""
    joules: float | None = None
    """Of an answer, on the device; predicted where its times are, None where nobody knows its watts."""
    targets: tuple[Met, ...] = ()
    skipped: str | None = None
    """Why nothing, or not everything, was asked."""

    @property
    def passed(self) -> bool:
        """Whether all was asked and every target met."""
        return self.evaluation is not None and self.skipped is None and all(target.met for target in self.targets)


@dataclass(frozen=True, kw_only=True, slots=True)
class Trials:
    """The whole search, the cheapest candidate first."""

    task: Task
    profile: str
    tried: tuple[Trial, ...]

    @property
    def chosen(self) -> Trial | None:
        """The first that met every target."""
        return next((trial for trial in self.tried if trial.passed), None)

    @property
    def stopped(self) -> str:
        """Why the search ended."""
        if self.chosen is None:
            return "no candidate was left"
        after = "" if self.tried[-1] is self.chosen else "; one more was asked for comparison"
        return f"{self.chosen.candidate.model} {self.chosen.candidate.quant} meets every target{after}"

    def role(self, trial: Trial) -> Role:
        """What a candidate is to the chosen one."""
        asked = [one for one in self.tried if one.evaluation]
        if self.chosen is None or trial not in asked:
            return Role.TRIED
        place = asked.index(self.chosen)
        return {place - 1: Role.SMALLER, place: Role.CHOSEN, place + 1: Role.LARGER}.get(
            asked.index(trial), Role.TRIED
        )

    @property
    def best(self) -> Trial | None:
        """Of those asked, the one of the highest quality."""
        asked = [trial for trial in self.tried if trial.evaluation]
        return max(asked, key=_quality, default=None)


def reached(
    evaluation: Evaluation, targets: Targets, candidate: Candidate, expected: SpeedPlan | None, *, here: bool
) -> tuple[Met, ...]:
    """Each target that is set, against what is known of a candidate on the device that it is for.

    Quality was seen; size and memory are the plan's. Times were seen where the device is this machine (`here`), and
    are else `expected` ones; where nothing is expected they count as not met: nobody knows. Encoders write no tokens.
    """
    return judged_targets(
        targets,
        quality=evaluation.quality.value,
        first_token=evaluation.first_token.p95 if here else expected.first_token if expected else None,
        decode=evaluation.decode
        if here or candidate.engine is Engine.ONNX
        else expected.decode
        if expected
        else None,
        size=candidate.size,
        memory=candidate.memory,
    )


def joules_of(evaluation: Evaluation, expected: SpeedPlan | None, profile: Profile) -> float | None:
    """Of an answer of the usual length on a profile's device: its watts under load times the expected seconds."""
    watts = profile.power.load
    if watts is None or expected is None or not evaluation.judged:
        return None
    written = evaluation.tokens / len(evaluation.judged)
    return watts.value * (expected.first_token + written / expected.decode)


def hopeless(scores: Sequence[float], metric: Metric, wanted: float | None, *, total: int) -> str | None:
    """Why a candidate will not reach `wanted` on all `total` examples, after the `scores` of some; None: it may.

    Certain, where all the others right would not suffice; else by the Chernoff bound for means of values from 0 to 1
    (Hoeffding 1963, theorem 1), which holds for any distribution.
    """
    if wanted is None or metric not in _MEANS or not scores:
        return None
    count, mean = len(scores), math.fsum(scores) / len(scores)
    said = f"{mean:.1%} of {count} examples"
    if (math.fsum(scores) + total - count) / total < wanted:
        return f"{said}: all others right would not be enough"
    if mean < wanted and count * _divergence(mean, wanted) >= -math.log(_DOUBT):
        return f"{said}: one that is good enough looks so bad once in {1 / _DOUBT:,.0f} times"
    return None


def _divergence(mean: float, wanted: float) -> float:
    """Kullback-Leibler's, between two coins, in nats."""
    rest = (1 - mean) * math.log((1 - mean) / (1 - wanted)) if wanted < 1 else math.inf
    return (mean * math.log(mean / wanted) if mean else 0.0) + rest


def _quality(trial: Trial) -> float:
    return trial.evaluation.quality.value if trial.evaluation else 0.0


def trials_json(trials: Trials) -> dict[str, object]:
    """Plain values for `json.dumps`."""
    task = trials.task
    return {
        "schema": SCHEMA,
        "task": {"name": task.name, "title": task.title, "digest": task.digest, "metric": task.metric.value},
        "profile": trials.profile,
        "stopped": trials.stopped,
        "tried": [_trial_json(trial, trials.role(trial)) for trial in trials.tried],
    }


def _trial_json(trial: Trial, role: Role) -> dict[str, object]:
    candidate = trial.candidate
    return {
        "model": candidate.model, "origin": candidate.origin, "engine": candidate.engine.value,
        "quant": candidate.quant,
        "parameters": candidate.parameters, "size": candidate.size, "predicted_memory": candidate.memory,
        "role": role.value,
        **_seen(trial.evaluation),
        "joules_per_answer": trial.joules,
        "expected": trial.expected and asdict(trial.expected),
        "targets": [asdict(target) for target in trial.targets],
        "passed": trial.passed,
        "skipped": trial.skipped,
    }  # fmt: skip


def _seen(evaluation: Evaluation | None) -> Mapping[str, object]:
    """What was seen on this machine; nulls where nothing was asked."""
    if evaluation is None:
        return dict.fromkeys(("quality", "examples", "first_token", "answer", "decode", "memory"))
    found = evaluation.quality
    return {
        "quality": {
            "metric": evaluation.task.metric.value, "value": found.value, "low": found.low, "high": found.high,
        },
        "examples": len(evaluation.judged),
        "first_token": asdict(evaluation.first_token),
        "answer": asdict(evaluation.seconds),
        "decode": evaluation.decode,
        "memory": evaluation.memory,
    }  # fmt: skip

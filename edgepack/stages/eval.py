"""Weights asked a task's examples and judged; every answer is kept at once, so that an interrupted run goes on."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from edgepack.domain.answering import Answered
from edgepack.domain.errors import NothingFitsError
from edgepack.domain.evaluation import Energy, Evaluation, judge, measured
from edgepack.domain.measurement import Runtime, measured_weights
from edgepack.domain.profile import Profile
from edgepack.domain.progress import Progress
from edgepack.domain.task import Example, Task
from edgepack.domain.weights import Weights, WeightsFormat
from edgepack.infra.answers import Answers, digest
from edgepack.infra.energy import joules, read_energy
from edgepack.infra.load import peak_memory, reset_peak_memory
from edgepack.infra.machine import big_cpus

if TYPE_CHECKING:
    from edgepack.engines.respondent import Respondent

_HARDEST = 2
_MOST_PARAMETERS = 3_000_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class _Asked:
    """What a run got, and what it took."""

    answers: tuple[Answered, ...]
    kept: int
    memory: int | None


def evaluate(
    weights: Weights,
    task: Task,
    *,
    home: Path,
    progress: Progress,
    limit: int | None = None,
    threads: int | None = None,
    profile: Profile | None = None,
    fresh: bool = False,
    force: bool = False,
    noted: bool = False,
) -> Evaluation:
    """Ask `weights` the first `limit` of the task's held-out examples, those kept from earlier left out.

    `home` is where answers are kept; `profile` says what power this machine takes where it has no counter; `fresh`
    forgets earlier answers, `noted` those that came without their tokens' probabilities. Encoders answer with
    labels or entities. Raises NothingFitsError for a task beyond such weights unless `force`, and what their
    `Respondent` raises.
    """
    _refuse_beyond(weights, task, force=force)
    threads = threads or len(big_cpus())
    examples = task.held_out[:limit]
    library = _runtime(weights)
    answers = Answers(home, weights.sha256, task.digest, str(threads), library.version, library.build)
    if fresh:
        answers.forget()
    progress.step(f"ask {weights.name} {len(examples)} examples of {task.name}")
    known = {
        prompt: answered
        for prompt, answered in answers.all().items()
        if answered.log_probabilities is not None or not noted
    }
    asked = _ask(weights, task, examples, answers, known, threads, progress)
    judged = tuple(judge(task, *pair) for pair in zip(examples, asked.answers, strict=True))
    return Evaluation(
        date=datetime.now(UTC).replace(microsecond=0), weights=measured_weights(weights), task=task, runtime=library,
        threads=threads, judged=judged, kept=asked.kept, metrics=measured(task, judged), memory=asked.memory,
        energy=_energy(asked.answers, profile),
    )  # fmt: skip


def _refuse_beyond(weights: Weights, task: Task, *, force: bool) -> None:
    if task.level > _HARDEST and weights.parameters <= _MOST_PARAMETERS and not force:
        raise NothingFitsError(
            f"{task.name}: a level {task.level} task; models under 3 B serve levels 1 and 2 (docs/choosing.md)",
            hint="route such requests to a larger model, split the task, or go on with --force",
        )


def _ask(
    weights: Weights,
    task: Task,
    examples: tuple[Example, ...],
    answers: Answers,
    known: dict[str, Answered],
    threads: int,
    progress: Progress,
) -> _Asked:
    reset_peak_memory()
    before = peak_memory()
    with _opened(weights, task, threads) as respondent, progress.bar("answers", len(examples), "answer") as bar:
        prompts = [respondent.prompt(example) for example in examples]
        missing = [prompt for prompt in dict.fromkeys(prompts) if digest(prompt) not in known]
        kept = sum(digest(prompt) in known for prompt in prompts)
        bar.advance(kept)
        for prompt, answered in zip(missing, _counted(respondent, missing), strict=True):
            answers.keep(prompt, answered)
            known[digest(prompt)] = answered
            bar.advance(1)
    return _Asked(
        answers=tuple(known[digest(prompt)] for prompt in prompts), kept=kept,
        memory=peak_memory() - before if missing else None,
    )  # fmt: skip


def _runtime(weights: Weights) -> Runtime:
    match weights.format:
        case WeightsFormat.GGUF:
            from edgepack.engines.llamacpp import runtime
        case WeightsFormat.ONNX:
            from edgepack.engines.onnxruntime_library import runtime
        case _:
            assert_never(weights.format)
    return runtime()


def _opened(weights: Weights, task: Task, threads: int) -> "AbstractContextManager[Respondent]":
    """The weights, by the engine that runs them."""
    big = big_cpus()
    # More threads than big cores would wait for each other there: such a run is left to the scheduler.
    cpus = big if threads <= len(big) else None
    match weights.format:
        case WeightsFormat.GGUF:
            from edgepack.engines.llamacpp_respondent import llamacpp_respondent

            return llamacpp_respondent(weights.path, task, threads=threads, cpus=cpus)
        case WeightsFormat.ONNX:
            from edgepack.engines.onnxruntime_respondent import onnxruntime_respondent

            return onnxruntime_respondent(weights.path, task, threads=threads, cpus=cpus)
        case _:
            assert_never(weights.format)


def _counted(respondent: "Respondent", prompts: list[str]) -> Iterator[Answered]:
    """Each answer with what the machine's counter says it took."""
    before = read_energy()
    for answered in respondent.answer_each(prompts):
        yield replace(answered, joules=joules(before, read_energy()))
        before = read_energy()


def _energy(answers: tuple[Answered, ...], profile: Profile | None) -> Energy | None:
    counted = [answered.joules for answered in answers if answered.joules is not None]
    if answers and len(counted) == len(answers):
        return Energy(joules=sum(counted), source="RAPL")
    if profile is None or profile.power.load is None:
        return None
    watts, seconds = profile.power.load.value, sum(answered.seconds for answered in answers)
    return Energy(joules=watts * seconds, source=f"profile {profile.name}: {watts:g} W under load, times seconds")

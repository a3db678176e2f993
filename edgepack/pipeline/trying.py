"""Choice by evidence: candidates asked the user's own task from the cheapest up, until one meets every target."""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import median

from edgepack.domain.engine import Engine
from edgepack.domain.errors import BadInputError, NothingFitsError, UsageError
from edgepack.domain.evaluation import Evaluation
from edgepack.domain.evaluation_json import evaluation_json
from edgepack.domain.profile import Profile
from edgepack.domain.progress import Progress
from edgepack.domain.quant import OnnxQuant, Quant
from edgepack.domain.source import OnnxSource
from edgepack.domain.speed import SpeedPlan
from edgepack.domain.task import Task
from edgepack.domain.trials import Candidate, Trial, Trials, hopeless, joules_of, reached, trials_json
from edgepack.domain.weights import Weights, WeightsFormat
from edgepack.infra.library import load_profile
from edgepack.infra.machine import host_profile
from edgepack.infra.store import home
from edgepack.pipeline.answering import answering_weights, has_head_for, ruled_out
from edgepack.pipeline.attempts import Attempt
from edgepack.pipeline.encoder_gating import encoder_gates
from edgepack.pipeline.expected import expected_encoding, expected_speed
from edgepack.pipeline.order import Order, Planned
from edgepack.pipeline.planning import prepare, weights_of
from edgepack.stages.eval import evaluate
from edgepack.stages.golden import golden_outputs

# Looks at a part of the examples before all are asked: most candidates that will not do are given up here.
_LOOKS = (40, 120)
_SEED = 6
# Next to nothing is lost at these.
_LOSSLESS = (Quant.Q8_0, Quant.F16, Quant.BF16, OnnxQuant.Q8)
_MIB = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Tried:
    """What was asked, and what came of it; one is as long as the other."""

    attempts: tuple[Attempt, ...]
    trials: Trials


def try_each(order: Order, tries: Sequence[Attempt], task: Task, progress: Progress) -> Tried:
    """Ask the attempts in turn until one meets every target of the task, and then one more: what the next size buys.

    Every answer is kept: the same search goes on where it was, and another target asks only what is new.
    """
    tried: dict[Attempt, Trial] = {}
    chosen: Attempt | None = None
    for number, attempt in enumerate(tries, 1):
        if chosen and attempt.parameters < chosen.parameters:
            continue  # more bits of a model that is smaller than what will do are no size up
        progress.step(f"candidate {number} of {len(tries)}: {_called(attempt)}, {attempt.size / _MIB:,.1f} MiB")
        if _given_up_at_eight_bits(attempt, tried):
            trial = Trial(candidate=_unplanned(attempt), skipped="given up at eight bits, more would not help")
        else:
            trial = _trial(attempt, order, task, progress, alone=len(tries) == 1)
        progress.step(_said(trial, task))
        tried[attempt] = trial
        if chosen and trial.evaluation:
            break
        chosen = chosen or (attempt if trial.passed else None)
    trials = Trials(task=task, profile=load_profile(order.profile).name, tried=tuple(tried.values()))
    return Tried(attempts=tuple(tried), trials=trials)


def chosen_order(order: Order, tried: Tried, progress: Progress) -> Order:
    """The order for the candidate that the evidence speaks for, and the evidence with it.

    Raises NothingFitsError where none met every target; with `force` the best of them is built.
    """
    trials = tried.trials
    trial = trials.chosen
    if trial is None:
        problem = _none_passed(trials)
        trial = trials.best
        if trial is None or not order.force:
            raise problem
        progress.warn(f"{problem.what}; built all the same")
    assert trial.evaluation, "chosen among those that were asked"
    evidence = {
        "trials.json": _text(trials_json(trials)),
        "evaluation.json": _text(evaluation_json(trial.evaluation)),
    }
    attempt = tried.attempts[trials.tried.index(trial)]
    answering = _answering(attempt.ordered(order), attempt, trials.task, progress)
    return replace(answering, evidence={**answering.evidence, **evidence})


def _answering(order: Order, attempt: Attempt, task: Task, progress: Progress) -> Order:
    """With the head that was asked, where an encoder got one; the encoder below it passes its gate first."""
    if attempt.engine is Engine.LLAMA_CPP:
        return order
    planned = attempt.planned or prepare(replace(order, force=True), progress)
    if not has_head_for(planned.material, task):
        return order
    below = weights_of(planned, order, progress)
    seen = golden_outputs(below, threads=order.workers, progress=progress)
    gates = encoder_gates(planned, below, seen, order, progress)
    weights = answering_weights(planned, order, task, progress)
    made_of = None if isinstance(attempt.source, OnnxSource) else attempt.source
    return replace(
        order, source=OnnxSource(path=weights.path), checkpoint=order.checkpoint or made_of, evidence=gates
    )


def _given_up_at_eight_bits(attempt: Attempt, tried: Mapping[Attempt, Trial]) -> bool:
    return any(
        one.source == attempt.source and one.quant in _LOSSLESS and trial.evaluation and trial.skipped
        for one, trial in tried.items()
    )


def _trial(attempt: Attempt, order: Order, task: Task, progress: Progress, *, alone: bool) -> Trial:
    order = attempt.ordered(order)
    try:
        planned = attempt.planned or prepare(replace(order, force=True), progress)
    except (BadInputError, UsageError) as error:  # of use: an option that this one's engine does not have
        if alone:
            raise
        return Trial(candidate=_unplanned(attempt), skipped=error.what)
    candidate, plan = _candidate(attempt, planned), planned.plan
    if (why := ruled_out(planned)) and not order.force:
        return Trial(candidate=candidate, skipped=why)
    if plan.chosen.memory.total > plan.budget and not order.force:
        needs, has = (f"{size / _MIB:,.0f} MiB" for size in (plan.chosen.memory.total, plan.budget))
        return Trial(candidate=candidate, skipped=f"needs {needs} of {has}")
    # A device's watts say nothing of the seconds that another machine takes.
    here = planned.profile == host_profile()
    weights = answering_weights(planned, order, task, progress)
    if attempt.engine is Engine.ONNX:
        candidate = replace(candidate, size=weights.size)  # what was planned was near it
    evaluation, hope = _asked(weights, order, task, progress, watts=planned.profile if here else None)
    expected = None if here else _expected(planned, weights, evaluation)
    return Trial(
        candidate=candidate, evaluation=evaluation, expected=expected, skipped=hope,
        joules=evaluation.joules_per_answer if here else joules_of(evaluation, expected, planned.profile),
        targets=reached(evaluation, task.targets, candidate, expected, here=here),
    )  # fmt: skip


def _asked(
    weights: Weights, order: Order, task: Task, progress: Progress, *, watts: Profile | None
) -> tuple[Evaluation, str | None]:
    """All examples, or as many as it took to see that it will not do, and why."""
    ask = partial(evaluate, weights, home=home(), progress=progress, profile=watts, force=order.force)
    total = len(task.held_out)
    for look in (look for look in _LOOKS if 2 * look <= total):
        part = replace(task, held_out=tuple(random.Random(_SEED).sample(task.held_out, look)))
        seen = ask(part)
        scores = [judged.score for judged in seen.judged]
        if why := hopeless(scores, task.metric, task.targets.quality, total=total):
            return seen, why
    return ask(task), None


def _expected(planned: Planned, weights: Weights, evaluation: Evaluation) -> SpeedPlan | None:
    """What the profile's device will do with a request of the task's usual length."""
    prompt = int(median(one.answered.prompt_tokens for one in evaluation.judged))
    if weights.format is WeightsFormat.ONNX:
        return expected_encoding(weights, planned.profile, prompt=prompt)
    return expected_speed(
        planned,
        prompt=prompt,
        answer=int(median(one.answered.tokens for one in evaluation.judged)),
    )


def _candidate(attempt: Attempt, planned: Planned) -> Candidate:
    chosen, material = planned.plan.chosen, planned.material
    return Candidate(
        model=material.name, origin=material.origin, engine=attempt.engine, quant=chosen.title,
        parameters=material.parameters,
        size=attempt.size, memory=chosen.memory.total,
    )  # fmt: skip


def _unplanned(attempt: Attempt) -> Candidate:
    return Candidate(
        model=attempt.title, origin=attempt.title, engine=attempt.engine, quant=attempt.quant or "as-is",
        parameters=attempt.parameters,
        size=attempt.size, memory=None,
    )  # fmt: skip


def _called(attempt: Attempt) -> str:
    return f"{attempt.title} {attempt.quant}" if attempt.quant else attempt.title


def _said(trial: Trial, task: Task) -> str:
    """One line for people."""
    if trial.evaluation is None:
        return f"not asked: {trial.skipped}"
    found = trial.evaluation.quality
    quality = f"{task.metric} {found.value:.1%} ({found.low:.1%} to {found.high:.1%})"
    if trial.skipped:
        return f"{quality}: given up, {trial.skipped}"
    missed = ", ".join(target.target for target in trial.targets if not target.met)
    return f"{quality}: {f'misses {missed}' if missed else 'meets every target'}"


def _none_passed(trials: Trials) -> NothingFitsError:
    best, wanted = trials.best, trials.task.targets.quality
    hint = "name larger models with --model, ask for less, or build the best of them with --force"
    if best is None or best.evaluation is None:
        reasons = "; ".join(f"{trial.candidate.model}: {trial.skipped}" for trial in trials.tried[:3])
        return NothingFitsError(f"{trials.task.name}: no candidate could be asked ({reasons})", hint=hint)
    candidate = best.candidate
    limit = "" if wanted is None else f" of {wanted:.1%} wanted"
    return NothingFitsError(
        f"{trials.task.name}: none of {len(trials.tried)} candidates meets every target; the best, {candidate.model} "
        f"{candidate.quant}, reaches {best.evaluation.quality.value:.1%}{limit}",
        hint=hint,
    )


def _text(record: dict[str, object]) -> bytes:
    return f"{json.dumps(record, indent=2, ensure_ascii=False)}\n".encode()

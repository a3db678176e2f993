"""The top of a page: what it is about, the answer in a sentence, the numbers that a reader came for."""

from edgepack.domain.measurement import Measurement, Phase
from edgepack.domain.report import Report, SeenBundle
from edgepack.domain.report_evaluation import SeenEvaluation
from edgepack.domain.report_records import Role, Trial, Trials
from edgepack.report import words
from edgepack.report.view import Figure, Mark


def title(report: Report) -> str:
    if report.bundle:
        facts = report.bundle.manifest.facts
        return f"{facts.model.name} {facts.quantization or 'as delivered'}"
    if not report.evaluations:
        return words.shortened(report.routing.task, 120) if report.routing else "Nothing"
    one = report.evaluations[0]
    return one.title if len(report.evaluations) == 1 else words.shortened(one.task.title, 120)


def above(report: Report) -> str:
    if report.bundle:
        return f"Bundle for {report.bundle.manifest.facts.profile.name}"
    if not report.evaluations:
        return "Route"
    return "Evaluation" if len(report.evaluations) == 1 else f"{len(report.evaluations)} evaluations"


def lead(report: Report) -> str:
    if report.trials and (chosen := report.trials.of(Role.CHOSEN)):
        return _chosen(chosen, report.trials)
    if report.bundle:
        return _bundled(report.bundle, report.evaluation)
    if not report.evaluations:
        return "Which requests a small model answers, and which go up to a larger one."
    return _compared(report) if len(report.evaluations) > 1 else _evaluated(report.evaluations[0])


def verdict(report: Report) -> Mark | None:
    """Whether every target is met."""
    passed = report.evaluation.passed if report.evaluation else None
    if report.trials and (chosen := report.trials.of(Role.CHOSEN)) and chosen.targets:
        passed = chosen.passed
    if passed is None or (report.bundle is None and len(report.evaluations) > 1):
        return None
    return Mark(text="Meets every target" if passed else "Misses a target", good=passed)


def figures(report: Report) -> tuple[Figure, ...]:
    """Those that are known, measured before predicted. Of several evaluations alone there are none to put on top."""
    if report.bundle is None and len(report.evaluations) > 1:
        return ()
    chosen = report.trials.of(Role.CHOSEN) if report.trials else None
    one, bundle, measurement = report.evaluation, report.bundle, report.measurement
    found = (
        _quality(one, chosen, report.trials),
        _speed(one, chosen, bundle, measurement),
        _first_token(one, chosen, bundle),
        _size(one, bundle),
        _memory(one, chosen, bundle),
    )
    return tuple(figure for figure in found if figure)


def _chosen(chosen: Trial, trials: Trials) -> str:
    asked = sum(trial.quality is not None for trial in trials.tried)
    quality = (
        f"{words.share(chosen.quality.value)} {words.metric(trials.metric)}" if chosen.quality else "its quality"
    )
    if chosen.passed and asked > 1:
        why = f"the smallest of {asked} candidates asked that meets every target"
    else:
        why = "meets every target" if chosen.passed else "none that was asked meets every target"
    name, task = words.shortened(chosen.title, 60), words.shortened(trials.task, 120)
    return f"{name} was chosen for “{task}”, with {quality}: {why}."


def _bundled(bundle: SeenBundle, one: SeenEvaluation | None) -> str:
    facts = bundle.manifest.facts
    text = f"{facts.model.name}, {words.parameters(facts.model.parameters)}, for {facts.profile.name}"
    if one:
        return (
            f"{text}. On “{words.shortened(one.task.title, 120)}” it answers with {words.share(one.quality.value)} "
            f"{words.metric(one.task.metric)}."
        )
    return f"{text}. How good it is at a task, nobody has asked yet."


def _compared(report: Report) -> str:
    """The smallest that is good enough, where the task says what that is; and the best."""
    front = report.front
    top = max(front.contestants, key=lambda one: (one.quality.value, -one.size))
    taken = front.taken
    best = f"{words.shortened(top.title, 60)}, with {words.share(top.quality.value)}"
    if taken is None:
        none = "None meets every target; the" if top.passed is False else "The"
        return f"{none} best is {best} in {words.size(top.size)}."
    first = (
        f"The smallest that meets every target is {words.shortened(taken.title, 60)}, with "
        f"{words.share(taken.quality.value)} in {words.size(taken.size)}"
    )
    if taken is top:
        return f"{first}; it is the best too."
    return f"{first}. The best is {best} in {words.size(top.size)}."


def _evaluated(one: SeenEvaluation) -> str:
    return (
        f"“{words.shortened(one.task.title, 120)}”: {words.share(one.quality.value)} {words.metric(one.task.metric)} "
        f"on {words.count(len(one.answers), 'held-out example')}."
    )


def _quality(one: SeenEvaluation | None, chosen: Trial | None, trials: Trials | None) -> Figure | None:
    if one:
        found, metric, of = one.quality, one.task.metric.value, f", {words.count(len(one.answers), 'example')}"
    elif chosen and chosen.quality and trials:
        found, metric, of = chosen.quality, trials.metric, ""
    else:
        return None
    interval = words.interval(found.low, found.high)
    return Figure(
        label="Quality",
        value=words.share_number(found.value),
        unit="%",
        note=f"{words.metric(metric)}, {interval}{of}",
    )


def _speed(
    one: SeenEvaluation | None, chosen: Trial | None, bundle: SeenBundle | None, measurement: Measurement | None
) -> Figure | None:
    decode = measurement.of(Phase.DECODE) if measurement else None
    if decode and measurement:
        where = words.shortened(measurement.conditions.machine, 48)
        return Figure(label="Speed", value=words.figure(decode.median), unit="tokens/s", note=f"measured on {where}")
    seen = (one and one.decode) or (chosen and chosen.decode)
    if seen:
        return Figure(label="Speed", value=words.figure(seen), unit="tokens/s", note="seen while the task was asked")
    if bundle and bundle.speed:
        for_ = bundle.manifest.facts.profile.name
        return Figure(
            label="Speed", value=words.figure(bundle.speed.decode), unit="tokens/s", note=f"predicted for {for_}"
        )
    if one and one.seconds.median > 0:
        return Figure(
            label="Speed", value=words.figure(1 / one.seconds.median), unit="answers/s", note="by the median time"
        )
    return None


def _first_token(one: SeenEvaluation | None, chosen: Trial | None, bundle: SeenBundle | None) -> Figure | None:
    times = one.first_token if one else chosen.first_token if chosen else None
    if times:
        value, unit = words.seconds_parts(times.p95)
        return Figure(label="First token", value=value, unit=unit, note="95 of 100 requests begin within")
    if bundle and bundle.speed:
        value, unit = words.seconds_parts(bundle.speed.first_token)
        return Figure(label="First token", value=value, unit=unit, note="predicted, after 512 tokens")
    return None


def _size(one: SeenEvaluation | None, bundle: SeenBundle | None) -> Figure | None:
    if bundle:
        model, quant = bundle.manifest.facts.model, bundle.manifest.facts.quantization
        size, parameters = bundle.manifest.weights.size, model.parameters
    elif one:
        size, parameters, quant = one.weights.size, one.weights.parameters, one.weights.quant  # type: ignore[assignment]
    else:
        return None
    value, unit = words.size_parts(size)
    said = f"{quant}, {words.parameters(parameters)}" if quant else words.parameters(parameters)
    return Figure(label="Weights", value=value, unit=unit, note=said)


def _memory(one: SeenEvaluation | None, chosen: Trial | None, bundle: SeenBundle | None) -> Figure | None:
    if bundle and bundle.manifest.facts.plan:
        value, unit = words.size_parts(bundle.manifest.facts.plan.total)
        note = f"predicted, {bundle.manifest.facts.flags.context:,} tokens of context"
    elif seen := (one and one.memory) or (chosen and chosen.memory):
        value, unit = words.size_parts(seen)
        note = "by which the process grew"
    else:
        return None
    return Figure(label="Memory", value=value, unit=unit, note=note)

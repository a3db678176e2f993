"""The top of a page: what it is about, and the answer in a sentence."""

from edgepack.domain.report import Report, SeenBundle
from edgepack.domain.report_evaluation import SeenEvaluation
from edgepack.domain.report_records import SeenTrial, SeenTrials
from edgepack.domain.trials import Role
from edgepack.report import words
from edgepack.report.view import Mark


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
        none = " No candidate that was asked meets every target." if report.trials else ""
        return _bundled(report, report.bundle) + none
    if not report.evaluations:
        return "Which requests a small model answers, and which go up to a larger one."
    return _compared(report) if len(report.evaluations) > 1 else _evaluated(report.evaluations[0])


def verdict(report: Report) -> Mark | None:
    """Whether every target is met; None where none is set, or several stand beside each other."""
    if not report.targets or (report.bundle is None and len(report.evaluations) > 1):
        return None
    passed = all(target.met for target in report.targets)
    return Mark(text="Meets every target" if passed else "Misses a target", good=passed)


def _chosen(chosen: SeenTrial, trials: SeenTrials) -> str:
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


def _bundled(report: Report, bundle: SeenBundle) -> str:
    facts, one = bundle.manifest.facts, report.evaluation
    text = f"{facts.model.name}, {words.parameters(facts.model.parameters)}, for {facts.profile.name}"
    if one is None:
        return f"{text}. How good it is at a task, nobody has asked yet."
    return (
        f"{text}. On “{words.shortened(one.task.title, 120)}” it answers with {words.share(one.quality.value)} "
        f"{words.metric(one.task.metric)}.{_smaller(report)}"
    )


def _smaller(report: Report) -> str:
    """Whether something smaller would do."""
    front = report.front
    passing = [one for one in front.contestants if one.passed]
    if front.taken is None or not passing or passing[0].size >= front.taken.size:
        return ""
    return f" {words.shortened(passing[0].title, 60)}, of {words.size(passing[0].size)}, meets every target too."


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

"""What was tried, what was chosen of it, and what one size up or down would give."""

from collections.abc import Callable

from edgepack.domain.engine import Engine
from edgepack.domain.evaluation import Met, Times
from edgepack.domain.report import Report
from edgepack.domain.report_records import SeenTrial, SeenTrials
from edgepack.domain.trials import Role
from edgepack.report import words
from edgepack.report.chart_front import front_chart
from edgepack.report.view import Block, Cell, Code, Grid, Mark, Section, table


def _size(value: float) -> str:
    return words.size(int(value))


def _joules(value: float) -> str:
    return f"{words.figure(value)} J"


_UNITS = {
    "quality": words.share, "first_token_seconds": words.seconds, "tokens_per_second": words.figure,
    "size_bytes": _size, "memory_bytes": _size,
}  # fmt: skip
_NAMES = {
    "quality": "Quality", "first_token_seconds": "First token, 95 of 100", "tokens_per_second": "Tokens/s",
    "size_bytes": "Size of the weights", "memory_bytes": "Memory",
}  # fmt: skip
_ROLES = ((Role.SMALLER, "One size down"), (Role.CHOSEN, "Chosen"), (Role.LARGER, "One size up"))


def choice_section(report: Report) -> Section | None:
    """None where there was nothing to choose from."""
    front = report.front
    if not report.trials and len(front.contestants) < 2:
        return None
    metric = words.metric(report.trials.metric if report.trials else report.evaluations[0].task.metric)
    blocks: list[Block] = [front_chart(front, metric)] if front.contestants else []
    if report.trials:
        blocks += [block for block in (_steps(report.trials), _asked_not(report.trials)) if block]
    return Section(
        name="choice",
        title="Smallest that is good enough" if report.trials else "Side by side",
        lead=_lead(report),
        blocks=tuple(blocks),
    )


def targets_grid(targets: tuple[Met, ...]) -> Grid:
    """What the task asks for, and what was reached."""
    return table(
        "Targets", ("Target", "Wanted", "Reached", ""),
        [
            (_NAMES.get(one.target, one.target), _said(one, one.wanted), _said(one, one.reached), _met(one))
            for one in targets
        ],
    )  # fmt: skip


def _met(one: Met) -> Mark:
    return Mark(text="met" if one.met else "not met", good=one.met)


def _said(one: Met, value: float | None) -> str:
    return "nothing" if value is None else _UNITS.get(one.target, words.figure)(value)


def _lead(report: Report) -> str:
    if report.trials is None:
        return f"{words.count(len(report.evaluations), 'evaluation')} of one task."
    asked = sum(trial.quality is not None for trial in report.trials.tried)
    stopped = words.shortened(report.trials.stopped, 400).rstrip(".")
    return f"{words.count(asked, 'candidate')} asked, from the cheapest up. The search ended: {stopped}."


def _steps(trials: SeenTrials) -> Grid | None:
    """The chosen one between its neighbours."""
    chosen = trials.of(Role.CHOSEN)
    found = [(said, trial) for role, said in _ROLES if (trial := trials.of(role))]
    if chosen is None or len(found) < 2:
        return None
    columns = [(_named(trial), words.engine(trial.engine), *_step(trial, chosen)) for _, trial in found]
    metric = words.capital(words.metric(trials.metric))
    names = (
        "Candidate", "Engine", metric, "Examples asked", "Answer, seen", "Tokens/s, predicted", "Weights",
        "Memory, predicted", "Memory, seen", "Energy an answer",
    )  # fmt: skip
    return table(
        "What the next size would buy", ("", *(said for said, _ in found)),
        [(name, *row) for name, *row in zip(names, *columns, strict=True) if any(row)],
    )  # fmt: skip


def _step(trial: SeenTrial, chosen: SeenTrial) -> tuple[str, ...]:
    quality = "" if trial.quality is None else words.share(trial.quality.value)
    if trial is not chosen and trial.quality and chosen.quality:
        quality += f" ({words.points(trial.quality.value - chosen.quality.value)})"
    return (
        quality,
        "" if trial.examples is None else f"{trial.examples:,}",
        _beside(_median(trial.answer), _median(chosen.answer), words.seconds),
        _beside(_decode(trial), _decode(chosen), words.figure),
        _beside(trial.size, chosen.size, _size),
        _beside(trial.predicted_memory, chosen.predicted_memory, _size),
        _beside(trial.memory, chosen.memory, _size),
        _beside(trial.joules_per_answer, chosen.joules_per_answer, _joules),
    )


def _named(trial: SeenTrial) -> str:
    return words.shortened(trial.title, 60)


def _decode(trial: SeenTrial) -> float | None:
    """Encoders write no tokens."""
    return trial.expected.decode if trial.expected and trial.engine is not Engine.ONNX else None


def _median(times: Times | None) -> float | None:
    return times.median if times else None


def _beside(value: float | None, chosen: float | None, said: Callable[[float], str]) -> str:
    """A figure, and as a multiple of the chosen one's."""
    if value is None:
        return ""
    factor = f" ({words.times(value / chosen)})" if chosen and value != chosen else ""
    return f"{said(value)}{factor}"


def _asked_not(trials: SeenTrials) -> Grid | None:
    rows: list[tuple[Cell, ...]] = [
        (
            _named(trial),
            words.engine(trial.engine),
            words.size(trial.size),
            Code(text=words.shortened(trial.skipped, 200)),
        )
        for trial in trials.tried
        if trial.skipped
    ]
    if not rows:
        return None
    return table(
        "Not asked, or not to the end", ("Candidate", "Engine", "Weights", "Why"), rows, words=4, folded=True
    )

"""How good the answers are, which are wrong, and how long they took."""

from edgepack.domain.evaluation import Met
from edgepack.domain.report_evaluation import SeenAnswer, SeenEvaluation
from edgepack.report import words
from edgepack.report.chart_confusion import confused_pairs, confusion_chart
from edgepack.report.chart_times import times_chart
from edgepack.report.section_choice import targets_grid
from edgepack.report.view import Block, Code, Facts, Grid, Mark, Pair, Section, table

_MOST_WRONG = 8


def quality_section(one: SeenEvaluation, targets: tuple[Met, ...]) -> Section:
    """`targets`: what a search wanted and saw, or what the task itself sets."""
    blocks: list[Block] = [_metrics(one)]
    if targets:
        blocks.append(targets_grid(targets))
    if confusion := one.confusion:
        blocks.append(confusion_chart(confusion))
        blocks += [pairs] if (pairs := confused_pairs(confusion)) else []
    if one.worst:
        blocks.append(_wrong(one))
    return Section(
        name="quality", title="Quality on the task",
        lead=f"{words.shortened(one.title, 80)} on “{words.shortened(one.task.title, 200)}”: "
        f"{words.count(len(one.answers), 'held-out example')}, asked on {words.day(one.date)}.",
        blocks=tuple(blocks),
    )  # fmt: skip


def latency_section(one: SeenEvaluation) -> Section | None:
    """None where no answer is in the record."""
    if not one.answers:
        return None
    firsts = [answer.answered.first_token for answer in one.answers]
    wholes = [answer.answered.seconds for answer in one.answers]
    rows: list[tuple[str, str]] = [
        ("Tokens", f"{sum(answer.answered.prompt_tokens for answer in one.answers):,} in, "
                   f"{sum(answer.answered.tokens for answer in one.answers):,} out"),
        ("Threads", str(one.threads)),
        ("Runtime", f"{one.runtime.name} {one.runtime.version}, {one.runtime.build}"),
    ]  # fmt: skip
    if one.energy:
        rows.insert(1, ("Energy", f"{one.energy.joules:,.1f} J in all ({words.shortened(one.energy.source, 80)})"))
    return Section(
        name="latency", title="How long a user waits",
        lead="Each request is read from its first token, in an empty memory: the times are those of a device that "
        "keeps nothing. They were taken where the task was evaluated, on a machine that may do other things.",
        blocks=(
            Pair(charts=(
                times_chart("First token", firsts, one.first_token), times_chart("Whole answer", wholes, one.seconds),
            )),
            Facts(rows=tuple(rows)),
        ),
    )  # fmt: skip


def _metrics(one: SeenEvaluation) -> Grid:
    own = list(one.metrics).index(one.task.metric)
    return table(
        "Metrics", ("Metric", "Value", "95 % interval"),
        [
            (words.capital(words.metric(name)), words.share(found.value),
             words.interval(found.low, found.high))
            for name, found in one.metrics.items()
        ],
        marked=own if len(one.metrics) > 1 else None,
    )  # fmt: skip


def _wrong(one: SeenEvaluation) -> Grid:
    wrong = one.worst
    shown = wrong[:_MOST_WRONG]
    return Grid(
        caption=f"{_some(len(shown), len(wrong))} that are not right, the most confident first",
        head=("Asked", "Wanted", "Said", "Confidence"),
        rows=tuple(
            (Code(text=_asked(answer)), Code(text=words.shortened(answer.wanted)), _said(answer),
             words.share(answer.answered.confidence))
            for answer in shown
        ),
        numbers=frozenset({3}), folded=True,
    )  # fmt: skip


def _some(shown: int, wrong: int) -> str:
    return words.count(wrong, "answer") if shown == wrong else f"{shown} of {wrong:,} answers"


def _asked(answer: SeenAnswer) -> str:
    if len(answer.fields) == 1:
        return words.shortened(next(iter(answer.fields.values())))
    return words.shortened("; ".join(f"{name}: {value}" for name, value in answer.fields.items()))


def _said(answer: SeenAnswer) -> Code | Mark:
    text = words.shortened(answer.answered.text)
    return Code(text=text) if text else Mark(text="nothing", good=False)

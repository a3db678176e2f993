"""The options of `build` that say which model: named, picked from the catalogue, or chosen by a task's evidence."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

import click

from edgepack.cli.output import Output
from edgepack.cli.tables import aligned
from edgepack.domain.engine import Engine
from edgepack.domain.errors import UsageError
from edgepack.domain.needs import TaskKind
from edgepack.domain.quant import OnnxQuant, Quant

if TYPE_CHECKING:
    from edgepack.domain.source import Source, Wanted
    from edgepack.domain.task import Task
    from edgepack.domain.trials import Trial, Trials
    from edgepack.pipeline import Order
    from edgepack.pipeline.attempts import Attempt

Command = TypeVar("Command", bound=Callable[..., Any])

_MIB = 1 << 20
_KINDS = tuple(kind.value for kind in TaskKind)


class Choosing(TypedDict):
    """What the options said."""

    models: tuple[str, ...]
    task: str
    min_quality: float | None
    policy: str
    quants: tuple[str, ...]
    tries: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Search:
    """What is asked, and of whom."""

    task: "Task"
    wanted: "tuple[Wanted, ...]"
    most: int | None
    """Candidates to try, from the smallest; None: all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Chosen:
    """One model, or the first of those that a search will try."""

    source: "Source"
    quant: Quant | None
    context: int | None
    precision: OnnxQuant | None = None
    """Of an encoder."""
    search: Search | None = None


def choosing_options(command: Command) -> Command:
    """Add --model, --task, --min-quality, --licence-policy, --quant and --tries."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def choose(
    profile: str,
    said: Choosing,
    context: int | None,
    *,
    allow_over_3b: bool,
    force: bool,
    output: Output,
) -> Chosen:
    """What the options ask for; raises UsageError where they make no sense together."""
    from edgepack.domain.task import Labels
    from edgepack.infra.library import load_policy
    from edgepack.pipeline.picking import pick_encoders, pick_models

    task, kind = _task_of(said)
    quants = tuple(Quant(quant) for quant in said["quants"] if quant in tuple(Quant))
    precisions = tuple(OnnxQuant(quant) for quant in said["quants"] if quant in tuple(OnnxQuant))
    if task is None:
        _refuse_several(said)
    if said["models"]:
        return _named(said["models"], quants, precisions, context, task)
    policy = load_policy(said["policy"])
    picked = pick_models(
        profile, kind, policy=policy, quants=quants, context=context,
        allow_over_3b=allow_over_3b, force=force,
    )  # fmt: skip
    model, source, quant = picked.wanted[0]
    if task is None:
        output.step(f"picked {model} {quant} for {kind}: `edgepack pick --profile {profile}` says why")
    labels = task is not None and isinstance(task.form, Labels)
    encoders = pick_encoders(profile, policy=policy, precisions=precisions) if labels else ()
    search = Search(task=task, wanted=(*picked.wanted, *encoders), most=said["tries"]) if task else None
    return Chosen(source=source, quant=quant, context=picked.context, search=search)


def candidates(order: "Order", search: Search, output: Output) -> "tuple[Attempt, ...]":
    """What a search may try, the smallest first."""
    from edgepack.pipeline.attempts import attempts

    return attempts(order, search.wanted, output)[: search.most]


def searched(order: "Order", search: Search, output: Output) -> "tuple[Order, Trials]":
    """The order for the candidate that does the task; NothingFitsError where none does."""
    from edgepack.pipeline.trying import chosen_order, try_each

    tried = try_each(order, candidates(order, search, output), search.task, output)
    return chosen_order(order, tried, output), tried.trials


def candidates_data(found: "Sequence[Attempt]") -> list[dict[str, object]]:
    """For --json."""
    return [{"model": one.title, "engine": one.engine, "quant": one.quant, "size": one.size} for one in found]


def shown_candidates(found: "Sequence[Attempt]") -> str:
    """For people."""
    rows = [(one.title, one.engine.value, one.quant or "as-is", f"{one.size / _MIB:,.1f}") for one in found]
    table = aligned(("MODEL", "ENGINE", "QUANT", "MIB"), rows, right=frozenset({3}))
    return f"would be asked in this order, until one meets every target:\n\n{table}"


def shown_trials(trials: "Trials") -> str:
    """The candidates for people, the cheapest first."""
    metric = trials.task.metric.value.upper()
    header = (
        "", "MODEL", "ENGINE", "QUANT", "MIB", metric, "95 % INTERVAL", "FIRST TOKEN", "TOKENS/S", "J/ANSWER",
        "MEMORY",
    )  # fmt: skip
    rows = [(trials.role(trial).value, *_row(trial)) for trial in trials.tried]
    table = aligned(header, rows, right=frozenset({4, 5, 7, 8, 9, 10}))
    return f"{trials.task.title}: {trials.stopped}\n\n{table}"


def _row(trial: "Trial") -> tuple[str, ...]:
    candidate, seen = trial.candidate, trial.evaluation
    size, memory = f"{candidate.size / _MIB:,.1f}", f"{candidate.memory / _MIB:,.0f} MiB" if candidate.memory else ""
    named = (candidate.model, candidate.engine.value, candidate.quant)
    if seen is None:
        return (*named, size, "", trial.skipped or "", "", "", "", memory)
    found = seen.quality
    part = f" of {len(seen.judged)}" if trial.skipped else ""
    first = trial.expected.first_token if trial.expected else seen.first_token.p95
    decode = trial.expected.decode if trial.expected and candidate.engine is Engine.LLAMA_CPP else seen.decode
    return (
        *named, size, f"{found.value:.1%}", f"{found.low:.1%} to {found.high:.1%}{part}",
        f"{first * 1e3:,.0f} ms", f"{decode:,.1f}" if decode else "",
        f"{trial.joules:.3g}" if trial.joules else "", memory,
    )  # fmt: skip


def _task_of(said: Choosing) -> "tuple[Task | None, TaskKind]":
    """A kind of task, which picks by published figures, or a task with examples, which is asked."""
    from edgepack.infra.tasks import load_task

    name, quality = said["task"], said["min_quality"]
    if name in _KINDS and quality is None:
        return None, TaskKind(name)
    task = load_task(name)
    if quality is not None:
        task = replace(task, targets=replace(task.targets, quality=quality))
    return task, task.kind


def _refuse_several(said: Choosing) -> None:
    for option, given in (("--model", said["models"]), ("--quant", said["quants"])):
        if len(given) > 1:
            raise UsageError(
                f"{option} {given[1]}: which of {len(given)} is to be built is decided by a task of yours",
                hint=f"name the task: --task T with --min-quality Q, or give one {option}",
            )


def _named(
    models: tuple[str, ...], quants: tuple[Quant, ...], precisions: tuple[OnnxQuant, ...], context: int | None,
    task: "Task | None",
) -> Chosen:  # fmt: skip
    from edgepack.stages.fetch import find_source

    sources = [(model, find_source(model)) for model in models]
    first = sources[0][1]
    quant, precision = (quants[0] if quants else None), (precisions[0] if precisions else None)
    search = None
    if task:
        asked: tuple[Quant | OnnxQuant | None, ...] = (*quants, *precisions) or (None,)
        wanted = tuple((model, source, one) for model, source in sources for one in asked)
        search = Search(task=task, wanted=wanted, most=None)
    return Chosen(source=first, quant=quant, precision=precision, context=context, search=search)


_OPTIONS = (
    click.option(
        "--model", "models", multiple=True, metavar="M",
        help="A catalogue id, ORGANIZATION/NAME[@REVISION], a directory, a .gguf or .onnx, or `demo`; default: "
        "pick's first, or with a task of yours the smallest that does it. Repeatable then.",
    ),
    click.option(
        "--task", metavar="KIND|T", default=TaskKind.CHAT.value, show_default=True,
        help=f"What the model is for. A kind ({', '.join(_KINDS)}) picks by published figures; a task of yours, its "
        "name or .toml file (docs/tasks.md), is asked: the smallest that meets its targets is built.",
    ),
    click.option(
        "--min-quality", type=click.FloatRange(0, 1), metavar="Q",
        help="What --task T must reach, of its metric, 0 to 1; default: what T says.",
    ),
    click.option(
        "--licence-policy", "policy", default="any", show_default=True, metavar="permissive|any|FILE",
        help="Which terms the model may have: others are not picked, and not built.",
    ),
    click.option(
        "--quant", "quants", multiple=True, type=click.Choice([quant.value for quant in (*Quant, *OnnxQuant)]),
        help="Default: the first that fits; with a task of yours Q4_0, Q4_K_M, Q8_0. Repeatable then. Of encoders: "
        "q8 or f32.",
    ),
    click.option(
        "--tries", type=click.IntRange(min=1), default=8, show_default=True,
        help="With a task of yours and without --model: ask at most so many, from the smallest.",
    ),
)  # fmt: skip

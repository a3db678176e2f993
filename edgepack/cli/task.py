"""edgepack task: lists, shows and checks what models are asked to do."""

from collections.abc import Iterator
from pathlib import Path

import click

from edgepack.cli.options import complete_task, output_of, output_options
from edgepack.cli.output import Mode, show_error
from edgepack.cli.tables import aligned, footnoted
from edgepack.domain.errors import BadInputError
from edgepack.domain.task import Entities, Form, FreeText, Grammar, JsonSchema, Labels, Targets, Task
from edgepack.infra.tasks import load_task, read_task, task_mistakes, task_names

_MIB = 1 << 20
_MOST_SHOWN = 20
"""Mistakes that people read at once; --json has all."""


@click.group("task")
def command() -> None:
    """List, show or check tasks: what a model is for, and how well it must do that."""


@command.command("list")
@output_options
@click.pass_context
def list_tasks(context: click.Context) -> None:
    """List the tasks that come with edgepack, and what they ask of a model."""
    tasks = [load_task(name) for name in task_names()]
    output_of(context).result("task", {"tasks": [_data(task) for task in tasks]}, lambda: _listing(tasks))


@command.command("show")
@click.argument("task", shell_complete=complete_task)
@output_options
@click.pass_context
def show_task(context: click.Context, task: str) -> None:
    """Show a task with its prompt, form of answer, metric and targets: a name or a .toml file."""
    found = load_task(task)
    output_of(context).result("task", {"task": _data(found)}, lambda: _sheet(found))


@command.command("check")
@click.argument("file", type=click.Path(path_type=Path))
@output_options
@click.pass_context
def check_task(context: click.Context, file: Path) -> None:
    """Check a task's file and its examples: every mistake, and exit code 4 if there is one."""
    output = output_of(context)
    if mistakes := task_mistakes(file):
        if output.mode is Mode.JSON:
            listed = [{"what": mistake.what, "next": mistake.hint} for mistake in mistakes]
            output.result("task", {"task": None, "mistakes": listed}, str)
        raise _last_of(mistakes)
    task = read_task(file)
    data = {"task": _data(task), "mistakes": []}
    output.result("task", data, lambda: f"{file}: a task, {len(task.held_out)} examples to ask\n\n{_sheet(task)}")


def _last_of(mistakes: tuple[BadInputError, ...]) -> BadInputError:
    """The one that ends the command, when the others have been said."""
    *others, last = mistakes[:_MOST_SHOWN]
    for mistake in others:
        show_error(mistake)
    if len(mistakes) > _MOST_SHOWN:
        click.echo(f"… {len(mistakes)} mistakes; --json has all, and this is the {_MOST_SHOWN}th:", err=True)
    return last


def _data(task: Task) -> dict[str, object]:
    return {
        "name": task.name,
        "title": task.title,
        "kind": task.kind.value,
        "level": task.level,
        "metric": task.metric.value,
        "digest": task.digest,
        "prompt": {"system": task.prompt.system, "user": task.prompt.user},
        "answer": _form_data(task.form),
        "max_tokens": task.max_tokens,
        "shown": len(task.shown),
        "train": len(task.train),
        "asked": len(task.held_out),
        "targets": _targets_data(task.targets),
    }


def _form_data(form: Form) -> dict[str, object]:
    match form:
        case Labels(labels=labels):
            return {"form": "labels", "labels": list(labels)}
        case Entities(kinds=kinds):
            return {"form": "entities", "kinds": list(kinds)}
        case JsonSchema(schema=schema):
            return {"form": "schema", "schema": schema}
        case Grammar(gbnf=gbnf):
            return {"form": "grammar", "grammar": gbnf}
        case FreeText():
            return {"form": "text"}


def _targets_data(targets: Targets) -> dict[str, object]:
    return {
        "quality": targets.quality,
        "first_token_seconds": targets.first_token,
        "tokens_per_second": targets.decode,
        "size_bytes": targets.size,
        "memory_bytes": targets.memory,
    }


def _listing(tasks: list[Task]) -> str:
    header = ("NAME", "LEVEL", "ANSWER", "METRIC", "ASKED", "SHOWN", "TARGETS")
    rows = [
        (
            task.name, str(task.level), _form_text(task.form), task.metric.value, str(len(task.held_out)),
            str(len(task.shown)), ", ".join(_targets_text(task.targets)) or "none",
        )
        for task in tasks
    ]  # fmt: skip
    return aligned(header, rows, right=frozenset({1, 4, 5}))


def _form_text(form: Form) -> str:
    match form:
        case Labels(labels=labels):
            return f"{len(labels)} labels"
        case Entities(kinds=kinds):
            return f"{len(kinds)} kinds of entities"
        case JsonSchema():
            return "JSON"
        case Grammar():
            return "grammar"
        case FreeText():
            return "text"


def _targets_text(targets: Targets) -> Iterator[str]:
    if targets.quality:
        yield f"quality {targets.quality:g}"
    if targets.first_token:
        yield f"first token in {targets.first_token:g} s"
    if targets.decode:
        yield f"{targets.decode:g} tokens/s"
    if targets.size:
        yield f"{targets.size / _MIB:g} MiB of weights"
    if targets.memory:
        yield f"{targets.memory / _MIB:g} MiB of memory"


def _sheet(task: Task) -> str:
    return f"{task.name}: {task.title}\n\n{footnoted([(*row, None) for row in _rows(task)])}"


def _rows(task: Task) -> Iterator[tuple[str, str]]:
    """What a person reads, line by line: label and text."""
    yield "kind", f"{task.kind}, level {task.level}"
    yield from _lines("system", task.prompt.system or "none")
    yield from _lines("user", task.prompt.user)
    yield "answer", _form_text(task.form)
    match task.form:
        case Labels(labels=labels):
            yield from _lines("", ", ".join(labels))
        case Entities(kinds=kinds):
            yield from _lines("", ", ".join(kinds))
        case JsonSchema(schema=text) | Grammar(gbnf=text):
            yield from _lines("", text.strip())
        case FreeText():
            pass
    if not isinstance(task.form, Labels):
        yield "", f"{task.max_tokens} tokens at most"
    yield "metric", task.metric
    learnt = f", {len(task.train)} for encoders to learn from" if task.train else ""
    yield "examples", f"{len(task.held_out)} asked, {len(task.shown)} shown in the prompt{learnt}"
    yield from _lines("targets", "\n".join(_targets_text(task.targets)) or "none")


def _lines(label: str, text: str) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(text.splitlines()):
        yield "" if number else label, line

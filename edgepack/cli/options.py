"""Options that several verbs share, declared once."""

from collections.abc import Callable
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from edgepack.cli.output import Mode, Output

Command = TypeVar("Command", bound=Callable[..., Any])


def complete_task(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Names of tasks for the shell; files where none begins so."""
    from edgepack.infra.tasks import task_names

    names = [CompletionItem(name) for name in task_names() if name.startswith(begun)]
    return names or [CompletionItem(begun, type="file")]


def output_options(command: Command) -> Command:
    """Add --json and --quiet; the command asks `output_of(context)` for the Output they choose."""
    return _json(_quiet(command))


def _set_mode(mode: Mode) -> Callable[[click.Context, click.Parameter, bool], None]:
    def remember(context: click.Context, _parameter: click.Parameter, chosen: bool) -> None:
        if chosen:
            context.meta["edgepack.mode"] = mode

    return remember


def output_of(context: click.Context) -> Output:
    """The Output that this call's --json and --quiet ask for."""
    return Output(mode=context.meta.get("edgepack.mode", Mode.HUMAN))


_json = click.option(
    "--json", is_flag=True, expose_value=False, is_eager=True, callback=_set_mode(Mode.JSON),
    help="Print the result as one JSON object.",
)  # fmt: skip
_quiet = click.option(
    "--quiet", is_flag=True, expose_value=False, is_eager=True, callback=_set_mode(Mode.QUIET),
    help="Print nothing but warnings and errors.",
)  # fmt: skip

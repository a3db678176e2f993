"""edgepack cache: what the store holds, why it was made, and how to be rid of it."""

import time

import click

from edgepack.cli.options import output_of, output_options
from edgepack.domain.errors import UsageError
from edgepack.infra.store import Entry, Store, home

_DAY = 86400.0


@click.group("cache")
def command() -> None:
    """List, explain or prune the store."""


@command.command("list")
@output_options
@click.pass_context
def list_entries(context: click.Context) -> None:
    """List what the store holds, the latest used first."""
    entries = _by_use(Store(home()))
    data = {"home": str(home()), "entries": [_data(entry) for entry in entries]}
    output_of(context).result("cache", data, lambda: "\n".join([f"{home()}", *map(_line, entries)]))


@command.command("explain")
@click.argument("key")
@output_options
@click.pass_context
def explain(context: click.Context, key: str) -> None:
    """Say what an entry was made from: KEY is the beginning of one that `list` shows."""
    found = [entry for entry in _by_use(Store(home())) if entry.key.startswith(key)]
    if len(found) != 1:
        raise UsageError(f"{len(found)} entries begin with {key!r}", hint="edgepack cache list shows the keys")
    output_of(context).result("cache", {"home": str(home()), "entries": [_data(found[0])]}, lambda: _sheet(found[0]))


@command.command("prune")
@click.option("--older-than", type=click.FloatRange(min=0), default=30.0, show_default=True, help="Days unused.")
@click.option("--all", "everything", is_flag=True, help="Whatever its age.")
@output_options
@click.pass_context
def prune(context: click.Context, older_than: float, everything: bool) -> None:
    """Delete what was not used for a while, and what killed runs left behind."""
    store = Store(home())
    leftovers = store.sweep()  # first: damaged entries cannot be listed
    limit = time.time() - (0 if everything else older_than * _DAY)
    removed = [entry for entry in _by_use(store) if everything or entry.last_used < limit]
    freed = sum(store.remove(entry) for entry in removed)
    data = {"home": str(home()), "removed": len(removed), "freed": freed, "leftovers": leftovers}
    text = f"removed {len(removed)} entries ({freed / 1e6:,.1f} MB) and {leftovers} leftovers of killed runs"
    output_of(context).result("cache", data, lambda: text)


def _by_use(store: Store) -> list[Entry]:
    return sorted(store.entries(), key=lambda entry: -entry.last_used)


def _data(entry: Entry) -> dict[str, object]:
    return {"key": entry.key, "size": entry.size, "last_used": entry.last_used, **entry.table}


def _line(entry: Entry) -> str:
    parameters = entry.table.get("parameters")
    words = " ".join(str(value) for value in parameters.values()) if isinstance(parameters, dict) else ""
    age = (time.time() - entry.last_used) / _DAY
    return f"  {entry.key[:12]}  {entry.size / 1e6:>10,.1f} MB  {age:>5.1f} days  {entry.table['step']}  {words}"


def _sheet(entry: Entry) -> str:
    lines = [f"{entry.key}", f"  step  {entry.table['step']}", f"  tool  {entry.table['tool']}"]
    for part in ("inputs", "parameters"):
        table = entry.table.get(part)
        lines += [f"  {part}.{name}  {value}" for name, value in (table.items() if isinstance(table, dict) else ())]
    return "\n".join([*lines, f"  path  {entry.path}"])

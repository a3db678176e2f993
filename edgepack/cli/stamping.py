"""`--stamp FILE`: tells Make when a bundle was made and what it was made of; a bundle's own times are fixed."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click

import edgepack
from edgepack.domain.needs import TaskKind
from edgepack.domain.source import is_demo
from edgepack.infra.library import profile_files
from edgepack.infra.tasks import task_files

_FILES = (
    "models", "imatrix", "calibration", "adapter", "system_prompt", "runtime", "record", "checkpoint", "routing",
    "large",
)  # fmt: skip
"""Parameters of `build` that may name files or directories."""

stamp_option = click.option(
    "--stamp", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="For Make: write FILE when all is done, and the rule of what it depends on to FILE.d.",
)  # fmt: skip


def write_stamp(stamp: Path, said: Mapping[str, object], digest: str) -> None:
    """Write the payload digest to `stamp`, after a rule `stamp: inputs…` beside it."""
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.with_name(stamp.name + ".d").write_text(make_rule(stamp, inputs_of(said)))
    stamp.write_text(f"{digest}\n")


def inputs_of(said: Mapping[str, object]) -> tuple[Path, ...]:
    """The files on this machine that a build with these parameters reads, its store's apart.

    edgepack itself is one: an upgrade is new everywhere.
    """
    found = [Path(edgepack.__file__), *profile_files(str(said["profile"]))]
    task = str(said["task"])
    if task not in tuple(TaskKind):
        found += task_files(task)
    for word in _words(said):
        found += _below(Path(word))
    return tuple(sorted({path.resolve() for path in found}))


def make_rule(target: Path, inputs: Sequence[Path]) -> str:
    """A rule in Make's words; each input gets an empty one, so that a file that goes away is no error."""
    names = [_escaped(path) for path in inputs]
    lines = [f"{_escaped(target)}: \\", *(f"  {name} \\" for name in names), "", *(f"{name}:" for name in names)]
    return "\n".join(lines) + "\n"


def _words(said: Mapping[str, object]) -> Iterator[str]:
    for name in _FILES:
        value = said.get(name)
        for word in value if isinstance(value, tuple) else (value,):
            if word and not is_demo(str(word)):
                yield str(word)


def _below(path: Path) -> list[Path]:
    """A file, or a directory's files, hidden ones apart; nothing where a word names none."""
    if path.is_dir():
        return [file for file in path.rglob("*") if file.is_file() and not file.name.startswith(".")]
    return [path] if path.is_file() else []


def _escaped(path: Path) -> str:
    text = str(path).replace("$", "$$")
    for letter in ("#", " "):
        text = text.replace(letter, f"\\{letter}")
    return text

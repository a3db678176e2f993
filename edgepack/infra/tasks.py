"""Task files read from disk: the package's by name, a user's by path."""

from difflib import get_close_matches
from pathlib import Path

from edgepack.domain.errors import BadInputError
from edgepack.domain.task import Task
from edgepack.domain.task_reading import HINT, files_of, mistakes_of, parse_task
from edgepack.infra.library import read_toml

_TASKS = Path(__file__).resolve().parent.parent / "data" / "tasks"


def task_names() -> tuple[str, ...]:
    """Names of the tasks that come with edgepack."""
    return tuple(sorted(path.stem for path in _TASKS.glob("*.toml")))


def load_task(name_or_path: str) -> Task:
    """The task with this name, or the one in this file; BadInputError names file, line or key of what is wrong."""
    if name_or_path.endswith(".toml") or "/" in name_or_path:
        return read_task(Path(name_or_path))
    if name_or_path not in task_names():
        near = get_close_matches(name_or_path, task_names(), n=1)
        known = f"did you mean {near[0]}?" if near else f"known are {', '.join(task_names())}"
        raise BadInputError(
            f"no task is called {name_or_path!r}", hint=f"{known}; a path to a .toml file works too (docs/tasks.md)"
        )
    return read_task(_TASKS / f"{name_or_path}.toml")


def task_files(name_or_path: str) -> tuple[Path, ...]:
    """The files that `load_task` reads for this name: the task's, and those beside it that it names."""
    named = name_or_path.endswith(".toml") or "/" in name_or_path
    path = Path(name_or_path) if named else _TASKS / f"{name_or_path}.toml"
    beside = files_of(read_toml(path), name=path.stem)
    return (path, *(path.parent / name for name in beside))


def read_task(path: Path) -> Task:
    """The task of a file, named after it."""
    table = read_toml(path)
    files = {name: _text(path.parent / name) for name in files_of(table, name=path.stem)}
    return parse_task(table, name=path.stem, files=files)


def task_mistakes(path: Path) -> tuple[BadInputError, ...]:
    """All that is wrong with a task's file; nothing where `read_task` reads it. Raises where it is no TOML at all."""
    table = read_toml(path)
    files: dict[str, str] = {}
    missing: list[BadInputError] = []
    for name in files_of(table, name=path.stem):
        try:
            files[name] = _text(path.parent / name)
        except BadInputError as error:
            missing.append(error)
    return tuple(missing) or mistakes_of(table, name=path.stem, files=files)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInputError(f"{path}: {error.strerror}", hint="a task's files lie beside it") from error
    except UnicodeDecodeError as error:
        raise BadInputError(f"{path}: not UTF-8 at byte {error.start}", hint=HINT) from error

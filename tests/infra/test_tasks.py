"""Tasks on disk: the package's are whole, a user's are read by path, and errors name files."""

from pathlib import Path

import pytest

from edgepack.domain.errors import BadInputError
from edgepack.domain.needs import TaskKind
from edgepack.infra.tasks import load_task, task_names


@pytest.mark.parametrize("name", task_names())
def test_the_packages_tasks_are_whole(name: str) -> None:
    """Each can be read, and has examples to ask."""
    task = load_task(name)
    assert task.name == name
    assert task.held_out


def test_there_is_a_task_of_each_common_kind() -> None:
    """Classification, extraction, summary, chat, and the demo models' own with all its commands."""
    kinds = {load_task(name).kind for name in task_names()}
    assert kinds >= {TaskKind.CLASSIFY, TaskKind.EXTRACT, TaskKind.SUMMARISE, TaskKind.CHAT}
    assert len(load_task("smart-home-intents").held_out) == 730


def test_no_example_is_shown_and_asked() -> None:
    """What the prompt gives away is not asked, and nothing is asked twice."""
    for task in map(load_task, task_names()):
        asked = [task.asks(example) for example in task.held_out + task.shown]
        assert len(set(asked)) == len(asked), task.name


def test_a_misspelt_name_gets_a_suggestion() -> None:
    with pytest.raises(BadInputError) as raised:
        load_task("sentimant")
    assert "did you mean sentiment?" in raised.value.hint


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A task file that names examples which are not beside it; one that is not there; one that is no text."""
    path = tmp_path / "own.toml"
    path.write_text('[examples]\nfile = "gone.jsonl"\n')
    with pytest.raises(BadInputError, match=r"gone\.jsonl: No such file"):
        load_task(str(path))
    with pytest.raises(BadInputError, match=r"missing\.toml: No such file"):
        load_task(str(tmp_path / "missing.toml"))
    (tmp_path / "gone.jsonl").write_bytes(b"ab\xff")
    with pytest.raises(BadInputError, match=r"gone\.jsonl: not UTF-8 at byte 2"):
        load_task(str(path))

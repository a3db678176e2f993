"""Answers kept as they come: found again, apart by subject, safe from a process that dies in the middle of one."""

import json
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

from edgepack.domain.answering import Answered
from edgepack.infra.answers import Answers, digest

ANSWER = Answered(
    text="yes\n“ok”",
    whole=True,
    confidence=0.75,
    prompt_tokens=12,
    tokens=1,
    first_token=0.1,
    seconds=0.2,
    joules=1.5,
)


def file_of(home: Path) -> Path:
    (found,) = (home / "observations/answers").iterdir()
    return found


def test_what_was_kept_is_found_by_its_prompt(tmp_path: Path) -> None:
    """Under its own subject only; the newest of two wins."""
    answers = Answers(tmp_path, "weights", "task")
    assert answers.all() == {}
    answers.keep("one", ANSWER)
    answers.keep("two", replace(ANSWER, text="", joules=None))
    answers.keep("one", replace(ANSWER, text="no"))
    again = Answers(tmp_path, "weights", "task").all()
    assert {key: one.text for key, one in again.items()} == {digest("one"): "no", digest("two"): ""}
    assert again[digest("one")] == replace(ANSWER, text="no")
    assert Answers(tmp_path, "weights", "other task").all() == {}


def test_a_torn_line_is_asked_again_and_spoils_no_other(tmp_path: Path) -> None:
    """Cut anywhere in the last line, the first stays, and the next one kept is whole."""
    answers = Answers(tmp_path, "x")
    answers.keep("one", ANSWER)
    length = file_of(tmp_path).stat().st_size
    answers.keep("two", ANSWER)
    whole = file_of(tmp_path).read_bytes()
    for end in range(length, len(whole)):
        file_of(tmp_path).write_bytes(whole[:end])
        assert set(answers.all()) >= {digest("one")}
        answers.keep("three", ANSWER)
        assert set(answers.all()) >= {digest("one"), digest("three")}, end


def test_lines_that_are_no_answers_are_none(tmp_path: Path) -> None:
    answers = Answers(tmp_path, "x")
    answers.keep("one", ANSWER)
    with file_of(tmp_path).open("ab") as file:
        file.write(b'[1]\n{"prompt": "ab"}\n\xff\xfe\nnull\n{"prompt": 3, "text": "x"}\n')
    assert set(answers.all()) == {digest("one")}


def test_what_tokens_said_is_kept_and_may_be_absent(tmp_path: Path) -> None:
    """Lines of earlier versions, which say nothing of tokens, are answers still."""
    answers = Answers(tmp_path, "x")
    noted = replace(ANSWER, log_probabilities=(-0.25, 0.0), margins=(1.5, -0.5))
    answers.keep("new", noted)
    answers.keep("old", ANSWER)
    lines = file_of(tmp_path).read_text().splitlines()
    old = {key: value for key, value in json.loads(lines[1]).items() if key not in ("log_probabilities", "margins")}
    file_of(tmp_path).write_text(f"{lines[0]}\n{json.dumps(old)}\n")
    assert answers.all() == {digest("new"): noted, digest("old"): ANSWER}


def test_two_runs_at_once_do_not_mix_their_lines(tmp_path: Path) -> None:
    context = get_context("spawn")
    runs = [context.Process(target=_keep_many, args=(tmp_path, name)) for name in ("a", "b")]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert len(Answers(tmp_path, "x").all()) == 400


def _keep_many(home: Path, name: str) -> None:
    answers = Answers(home, "x")
    for number in range(200):
        answers.keep(f"{name}{number}", ANSWER)


def test_forgotten_answers_are_asked_again(tmp_path: Path) -> None:
    answers = Answers(tmp_path, "x")
    answers.forget()
    answers.keep("one", ANSWER)
    answers.forget()
    assert answers.all() == {}

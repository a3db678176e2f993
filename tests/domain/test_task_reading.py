"""Task files: whole ones are read, and whatever is wrong with one is named by key or line."""

from collections.abc import Mapping
from typing import Any

import pytest

from edgepack.domain.errors import BadInputError
from edgepack.domain.needs import TaskKind
from edgepack.domain.task import Entities, JsonSchema, Labels, Metric, Task, fields_of
from edgepack.domain.task_reading import files_of, mistakes_of, parse_task

ROWS = '{"text": "good", "answer": "yes"}\n\n{"text": "bad", "answer": "no"}\n{"text": "so so", "answer": "no"}\n'


def table(**changed: Any) -> dict[str, Any]:
    """A classification that is right but for what `changed` says."""
    whole = {
        "title": "Does it please?", "kind": "classify", "metric": "accuracy",
        "prompt": {"user": "{text}"},
        "answer": {"labels": ["yes", "no"]},
        "examples": {"file": "rows.jsonl", "shown": 1},
    }  # fmt: skip
    return {**whole, **changed}


def read(values: Mapping[str, object], rows: str = ROWS) -> Task:
    return parse_task(values, name="pleased", files={"rows.jsonl": rows})


def test_a_whole_task_is_read() -> None:
    """The first examples are shown, the others asked; the level is the kind's; targets are in bytes and seconds."""
    task = read(table(targets={"quality": 0.9, "first_token_seconds": 2, "size_mib": 1.5}))
    assert (task.kind, task.level, task.metric) == (TaskKind.CLASSIFY, 1, Metric.ACCURACY)
    assert task.form == Labels(labels=("yes", "no"))
    assert [example.answer for example in task.shown + task.held_out] == ["yes", "no", "no"]
    assert len(task.shown) == 1
    assert task.asks(task.held_out[1]) == "so so"
    assert (task.targets.quality, task.targets.first_token, task.targets.size) == (0.9, 2.0, 1_572_864)
    assert task.targets.memory is None


def test_a_right_answer_in_json_is_written_one_way() -> None:
    """As a value or as text, with spaces or without: what is compared is the same."""
    rows = '{"text": "a", "answer": {"x": 1}}\n{"text": "b", "answer": "{\\"x\\": 1}"}'
    task = read(
        table(answer={"schema": '{"type": "object"}'}, metric="field-f1", examples={"file": "rows.jsonl"}), rows
    )
    assert task.form == JsonSchema(schema='{"type": "object"}')
    assert {example.answer for example in task.held_out} == {'{"x":1}'}


def test_the_digest_tells_what_answers_depend_on() -> None:
    """Another prompt, form or shown example changes it; another title, target or asked example does not."""
    digest = read(table()).digest
    assert read(table(title="Other", targets={"quality": 0.5})).digest == digest
    assert read(table(), ROWS + '{"text": "new", "answer": "no"}').digest == digest
    assert read(table(prompt={"user": "{text}!"})).digest != digest
    assert read(table(answer={"labels": ["no", "yes"]})).digest != digest
    assert read(table(), ROWS.replace("good", "fine")).digest != digest


def test_examples_to_learn_from_are_read_beside_those_asked() -> None:
    """They are neither shown nor asked, they change what an encoder answers, and their mistakes are found too."""
    values = table(examples={"file": "rows.jsonl", "shown": 1, "train": "more.jsonl"})
    assert files_of(values, name="pleased") == ("rows.jsonl", "more.jsonl")
    more = '{"text": "fine", "answer": "yes"}\n{"text": "dull", "answer": "no"}\n'
    task = parse_task(values, name="pleased", files={"rows.jsonl": ROWS, "more.jsonl": more})
    assert [example.fields["text"] for example in task.taught] == ["fine", "dull", "good"]
    assert (len(task.shown), len(task.held_out)) == (1, 2)
    assert task.digest != read(table()).digest
    bad = {"rows.jsonl": ROWS, "more.jsonl": more + '{"text": "x", "answer": "maybe"}\n'}
    with pytest.raises(BadInputError, match=r"more\.jsonl:3: answer: 'maybe' is none of the task's labels"):
        parse_task(values, name="pleased", files=bad)
    (mistake,) = mistakes_of(values, name="pleased", files=bad)
    assert "more.jsonl:3" in mistake.what


def entities(**changed: Any) -> dict[str, Any]:
    return table(**{
        "answer": {"entities": ["PER", "LOC"]}, "metric": "entity-f1", "examples": {"file": "rows.jsonl"}, **changed,
    })  # fmt: skip


def test_entities_are_read_by_their_texts_or_their_places() -> None:
    """Written in one way, so that what is compared is the same."""
    rows = (
        '{"text": "Ann is in Oslo", "answer": {"LOC": ["Oslo"], "PER": ["Ann"]}}\n'
        '{"text": "Ann is in Oslo", "answer": [{"kind": "LOC", "start": 10, "end": 14}, '
        '{"kind": "PER", "start": 0, "end": 3}]}\n'
    )
    task = read(entities(), rows)
    assert task.form == Entities(kinds=("PER", "LOC"))
    one, two = task.held_out
    assert one.answer == two.answer
    assert one.answer.startswith('[{"kind":"PER","start":0,"end":3,"text":"Ann"}')


@pytest.mark.parametrize(
    ("changed", "answer", "said"),
    [
        ({"prompt": {"user": "{text} {more}"}}, "{}", "expected one {field}, the text that entities are found in"),
        ({"metric": "accuracy"}, "{}", "exact-match or entity-f1 would"),
        ({"answer": {"entities": ["PER", "PER"]}}, "{}", "expected different kinds"),
        ({}, '{"PER": ["Bob"]}', "rows.jsonl:1: answer: 'Bob' does not stand in the text, or not so often"),
        ({}, '{"ORG": ["Ann"]}', "'ORG' is none of the kinds"),
    ],
)
def test_what_is_wrong_with_entities_is_named(changed: dict[str, Any], answer: str, said: str) -> None:
    """By the reader, and by the check that finds all mistakes."""
    rows = f'{{"text": "Ann", "more": "", "answer": {answer}}}'
    with pytest.raises(BadInputError) as caught:
        read(entities(**changed), rows)
    assert said in caught.value.what
    found = mistakes_of(entities(**changed), name="pleased", files={"rows.jsonl": rows})
    assert any(said in mistake.what for mistake in found)


def test_files_are_those_that_the_task_names() -> None:
    """The examples, and a schema's or grammar's where it is not in the task itself."""
    assert files_of(table(answer={"grammar_file": "g.gbnf"}), name="pleased") == ("g.gbnf", "rows.jsonl")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"kind": "clasify"}, "kind: 'clasify' is not known; did you mean classify?"),
        ({"level": 5}, "level: expected 1 to 4, got 5"),
        ({"metric": "rouge-l"}, "metric: rouge-l does not judge answers of this form; accuracy or macro-f1"),
        ({"colour": 1}, "colour: unknown key"),
        ({"prompt": {"user": "text"}}, "prompt.user: expected a {field}"),
        ({"prompt": {"user": "{text.upper}"}}, "prompt.user: {text.upper}: only plain names"),
        ({"prompt": {"user": "{text!r}"}}, "only plain names"),
        ({"prompt": {"user": "{text"}}, "prompt.user: expected '}'"),
        ({"prompt": {"user": "{text}", "sytem": "x"}}, "prompt.sytem: unknown key; did you mean system?"),
        ({"answer": {"labels": ["yes"]}}, "answer.labels: expected 2 to 255 different labels, got 1"),
        ({"answer": {"labels": ["yes", "yes"]}}, "answer.labels: expected 2 to 255 different labels, got 1"),
        ({"answer": {"labels": ["yes", "no"], "grammar": "x"}}, "answer.grammar: beside labels"),
        ({"answer": {"schema": "{"}, "metric": "field-f1"}, "answer.schema: not JSON"),
        ({"answer": {"schema": "[]"}, "metric": "field-f1"}, "answer.schema: expected a JSON Schema"),
        ({"examples": {"file": "rows.jsonl", "shown": 3}}, "examples.shown: shows 3 of 3 examples"),
        ({"targets": {"quality": 95}}, "targets.quality: expected a share up to 1, got 95"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_the_table_is_named(changed: dict[str, Any], said: str) -> None:
    """Each error says which key of which task."""
    with pytest.raises(BadInputError) as raised:
        read(table(**changed))
    assert raised.value.what.startswith("task pleased: ")
    assert said in raised.value.what


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "rows.jsonl:4: not JSON"),
        ("[1]", "rows.jsonl:4: expected an object"),
        ('{"answer": "yes"}', "rows.jsonl:4: text: expected string, which the prompt's {text} asks for"),
        ('{"text": 3, "answer": "yes"}', "rows.jsonl:4: text: expected string"),
        ('{"text": "x"}', "rows.jsonl:4: answer: the right answer is missing"),
        ('{"text": "x", "answer": "maybe"}', "rows.jsonl:4: answer: 'maybe' is none of the task's labels"),
    ],
)
def test_what_is_wrong_with_an_example_is_named(line: str, said: str) -> None:
    """File and line, and what is wrong there."""
    rows = '{"text": "good", "answer": "yes"}\n' * 3 + line
    with pytest.raises(BadInputError) as raised:
        read(table(), rows)
    assert said in raised.value.what


def test_braces_can_be_written() -> None:
    """Doubled, they are text."""
    assert fields_of("{{x}} {text} {more}") == {"text", "more"}

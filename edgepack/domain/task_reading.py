"""Task files: TOML and JSON lines made into tasks; where the files lie is not its business."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import NoReturn, TypeVar

from edgepack.domain.entities import entities_json, read_entities
from edgepack.domain.errors import BadInputError
from edgepack.domain.needs import TaskKind, usual_needs
from edgepack.domain.reading import Table
from edgepack.domain.task import (
    FORMS_OF,
    Entities,
    Example,
    Form,
    FreeText,
    Grammar,
    JsonSchema,
    Labels,
    Metric,
    Prompt,
    Targets,
    Task,
    fields_of,
)

_Read = TypeVar("_Read")

HINT = "correct the file; docs/tasks.md shows every key of a task"
_MIB = 1 << 20
_USUAL_TOKENS = 256
_ANSWER = "answer"
_MOST_LABELS = 255
"""llama.cpp keeps up to 256 texts at once, one of which is the prompt."""


def parse_task(table: Mapping[str, object], *, name: str, files: Mapping[str, str]) -> Task:
    """The task of a TOML table; `files` holds the texts of those that it names (see `files_of`).

    Raises BadInputError that names the key, or the line of the examples.
    """
    top = Table(table, subject=f"task {name}", hint=HINT)
    kind = top.choice("kind", TaskKind)
    prompt = _prompt(top.table("prompt"))
    answer = top.table("answer")
    form = _form(answer, files)
    metric = top.choice("metric", Metric)
    _refuse_misjudging(top, metric, form)
    _refuse_texts(top, prompt, form)
    rows = top.table("examples")
    shown, held_out, train = _examples(rows, prompt, form, files)
    task = Task(
        name=name, title=top.text("title"), kind=kind, level=_level(top, kind), prompt=prompt, form=form,
        max_tokens=answer.whole("max_tokens", least=1, default=_USUAL_TOKENS), metric=metric, shown=shown,
        held_out=held_out, targets=_targets(top.table_or_none("targets")), train=train,
    )  # fmt: skip
    answer.finish()
    top.finish()
    return task


def files_of(table: Mapping[str, object], *, name: str) -> tuple[str, ...]:
    """The paths that a task's table names, relative to its own file."""
    top = Table(table, subject=f"task {name}", hint=HINT)
    answer, examples = top.table_or_none("answer"), top.table_or_none("examples")
    found = [answer.text_or_none(key) for key in ("schema_file", "grammar_file")] if answer else []
    found += [examples.text_or_none(key) for key in ("file", "train")] if examples else []
    return tuple(path for path in found if path)


def _level(top: Table, kind: TaskKind) -> int:
    level = top.whole("level", least=1, default=usual_needs(kind).level)
    if level > 4:
        top.fail("level", f"expected 1 to 4, got {level}")
    return level


def _prompt(table: Table) -> Prompt:
    user = table.text("user")
    try:
        names = fields_of(user)
    except ValueError as error:
        table.fail("user", str(error))
    if not names:
        table.fail("user", "expected a {field} of the examples in it")
    prompt = Prompt(user=user, system=table.text_or_none("system"))
    table.finish()
    return prompt


def _form(table: Table, files: Mapping[str, str]) -> Form:
    keys = ("labels", "entities", "schema", "schema_file", "grammar", "grammar_file")
    given = [key for key in keys if table.has(key)]
    if len(given) > 1:
        table.fail(given[1], f"beside {given[0]}: an answer has one form")
    match given:
        case ["labels"]:
            return Labels(labels=_labels(table))
        case ["entities"]:
            return Entities(kinds=_kinds(table))
        case ["schema" | "schema_file" as key]:
            return JsonSchema(schema=_schema(table, key, _text(table, key, files)))
        case ["grammar" | "grammar_file" as key]:
            return Grammar(gbnf=_text(table, key, files))
    return FreeText()


def _labels(table: Table) -> tuple[str, ...]:
    labels = table.texts("labels")
    if not 2 <= len(labels) <= _MOST_LABELS or len(set(labels)) < len(labels):
        table.fail("labels", f"expected 2 to {_MOST_LABELS} different labels, got {len(set(labels))}")
    return labels


def _kinds(table: Table) -> tuple[str, ...]:
    kinds = table.texts("entities")
    if not kinds or len(set(kinds)) < len(kinds):
        table.fail("entities", f"expected different kinds, one at least, got {len(set(kinds))}")
    return kinds


def _text(table: Table, key: str, files: Mapping[str, str]) -> str:
    text = table.text(key)
    return files[text] if key.endswith("_file") else text


def _schema(table: Table, key: str, text: str) -> str:
    try:
        schema = json.loads(text)
    except ValueError as error:
        table.fail(key, f"not JSON: {error}")
    if not isinstance(schema, dict):
        table.fail(key, "expected a JSON Schema, which is an object")
    return text


def _refuse_misjudging(top: Table, metric: Metric, form: Form) -> None:
    if not isinstance(form, FORMS_OF[metric]):
        top.fail("metric", f"{metric} does not judge answers of this form; {_judges_of(form)} would")


def _refuse_texts(top: Table, prompt: Prompt, form: Form) -> None:
    names = fields_of(prompt.user)
    if isinstance(form, Entities) and len(names) > 1:
        top.fail("prompt.user", f"expected one {{field}}, the text that entities are found in, got {len(names)}")


def _judges_of(form: Form) -> str:
    return " or ".join(metric for metric, forms in FORMS_OF.items() if isinstance(form, forms))


def _examples(
    table: Table, prompt: Prompt, form: Form, files: Mapping[str, str]
) -> tuple[tuple[Example, ...], tuple[Example, ...], tuple[Example, ...]]:
    """Those shown, those asked, and those to learn from."""
    file, train = table.text("file"), table.text_or_none("train")
    answer = table.text_or_none("answer") or _ANSWER
    shown = table.whole("shown", default=0)
    found = tuple(_rows(files[file], file, answer, prompt, form))
    if len(found) <= shown:
        table.fail("shown", f"shows {shown} of {len(found)} examples, which leaves none to ask")
    table.finish()
    taught = tuple(_rows(files[train], train, answer, prompt, form)) if train else ()
    return found[:shown], found[shown:], taught


def _rows(text: str, file: str, answer: str, prompt: Prompt, form: Form) -> Iterator[Example]:
    needed = fields_of(prompt.user)
    for place, line in _lines(text, file):
        yield _example(line, place, answer, needed, form)


def _lines(text: str, file: str) -> Iterator[tuple[str, str]]:
    """Each line that is not blank, behind its place."""
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            yield f"{file}:{number}", line


def _example(line: str, place: str, answer: str, needed: frozenset[str], form: Form) -> Example:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        _wrong(place, f"not JSON: {error}")
    if not isinstance(row, dict):
        _wrong(place, "expected an object with the fields of an example")
    for name in needed:
        if not isinstance(row.get(name), str):
            _wrong(place, f"{name}: expected string, which the prompt's {{{name}}} asks for")
    if answer not in row:
        _wrong(place, f"{answer}: the right answer is missing")
    fields = {name: row[name] for name in needed}
    if isinstance(form, Entities):
        return Example(fields=fields, answer=_entities(row[answer], "".join(fields.values()), place, answer, form))
    return Example(fields=fields, answer=_answer(row[answer], place, answer, form))


def _entities(value: object, text: str, place: str, key: str, form: Entities) -> str:
    """In one way, whichever way they are given in."""
    try:
        found = read_entities(value, text, form.kinds)
    except ValueError as error:
        _wrong(place, f"{key}: {error}")
    if missing := [one.text for one in found if one.start is None]:
        _wrong(place, f"{key}: {missing[0]!r} does not stand in the text, or not so often")
    return entities_json(found)


def _answer(value: object, place: str, key: str, form: Form) -> str:
    """What is compared: JSON, given as a value or as text, is written in one way."""
    text = value if isinstance(value, str) else compact(value)
    if isinstance(form, Labels) and text not in form.labels:
        _wrong(place, f"{key}: {text!r} is none of the task's labels")
    if isinstance(form, JsonSchema):
        try:
            return compact(json.loads(text))
        except ValueError:
            _wrong(place, f"{key}: {text!r} is not JSON")
    return text


def compact(value: object) -> str:
    """JSON without spaces, its keys as they stand."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _targets(table: Table | None) -> Targets:
    if table is None:
        return Targets(quality=None, first_token=None, decode=None, size=None, memory=None)
    quality = table.number_or_none("quality", above=0.0)
    if quality is not None and quality > 1:
        table.fail("quality", f"expected a share up to 1, got {quality:g}")
    targets = Targets(
        quality=quality,
        first_token=table.number_or_none("first_token_seconds", above=0.0),
        decode=table.number_or_none("tokens_per_second", above=0.0),
        size=_bytes(table, "size_mib"),
        memory=_bytes(table, "memory_mib"),
    )
    table.finish()
    return targets


def _bytes(table: Table, key: str) -> int | None:
    mib = table.number_or_none(key, above=0.0)
    return None if mib is None else round(mib * _MIB)


def _wrong(place: str, what: str) -> NoReturn:
    raise BadInputError(f"{place}: {what}", hint=HINT)


def mistakes_of(table: Mapping[str, object], *, name: str, files: Mapping[str, str]) -> tuple[BadInputError, ...]:
    """All that `parse_task` would refuse, one after the other: every key, and every line of the examples."""
    found = _Found(mistakes=[])
    top = Table(table, subject=f"task {name}", hint=HINT)
    found.of(lambda: top.text("title"))
    kind = found.of(lambda: top.choice("kind", TaskKind))
    found.of(lambda: _level(top, kind or TaskKind.CLASSIFY))
    prompt = found.of(lambda: _prompt(top.table("prompt")))
    answer = found.of(lambda: top.table("answer"))
    form = found.of(lambda: _form(answer, files)) if answer else None
    metric = found.of(lambda: top.choice("metric", Metric))
    if metric and form:
        found.of(lambda: _refuse_misjudging(top, metric, form))
    if prompt and form:
        found.of(lambda: _refuse_texts(top, prompt, form))
    if answer:
        found.of(lambda: answer.whole("max_tokens", least=1, default=_USUAL_TOKENS))
        found.of(answer.finish)
    examples = found.of(lambda: top.table("examples"))
    if prompt and form and examples:
        _find_in_examples(found, examples, prompt, form, files)
    found.of(lambda: _targets(top.table_or_none("targets")))
    found.of(top.finish)
    return tuple(found.mistakes)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Found:
    """Mistakes as they are found."""

    mistakes: list[BadInputError]

    def of(self, read: Callable[[], _Read]) -> _Read | None:
        """What `read` gives, or None and one mistake more."""
        try:
            return read()
        except BadInputError as mistake:
            self.mistakes.append(mistake)
            return None


def _find_in_examples(found: _Found, table: Table, prompt: Prompt, form: Form, files: Mapping[str, str]) -> None:
    before = len(found.mistakes)
    file, key = found.of(lambda: table.text("file")), found.of(lambda: table.text_or_none("answer"))
    needed, train = fields_of(prompt.user), found.of(lambda: table.text_or_none("train"))
    for name in (file, train):
        for place, line in _lines(files[name], name) if name else ():
            found.of(partial(_example, line, place, key or _ANSWER, needed, form))
    if len(found.mistakes) == before:
        found.of(lambda: _examples(table, prompt, form, files))

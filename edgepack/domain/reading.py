"""Tables of TOML or JSON, read with types, written as TOML; it knows places in them, not what they mean."""

import json
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from enum import StrEnum
from math import isfinite
from typing import NoReturn, TypeVar

from edgepack.domain.errors import BadInputError

Choice = TypeVar("Choice", bound=StrEnum)

_NAMES: dict[type, str] = {
    str: "string", int: "int", float: "float", bool: "bool", list: "array", dict: "table", type(None): "null",
}  # fmt: skip


class Table:
    """One table and the place it lies at: keys are read one by one, and `finish` refuses those nobody read.

    `subject` names the file or object in errors (`profile rpi5`), `place` the way into it
    (`cpu.clusters[0]`), and `hint` is the second line of every error. All methods raise BadInputError.
    """

    def __init__(self, values: Mapping[str, object], *, subject: str, hint: str, place: str = "") -> None:
        self._values = values
        self._subject = subject
        self._hint = hint
        self._place = place
        self._read: set[str] = set()

    def has(self, key: str) -> bool:
        return key in self._values

    def text(self, key: str) -> str:
        """A string that says something."""
        return self._checked_text(key, self._required(key, "string"))

    def text_or_none(self, key: str) -> str | None:
        """The same, or None where the key is absent."""
        value = self._taken(key)
        return None if value is None else self._checked_text(key, value)

    def free_text(self, key: str) -> str:
        """A string that may be empty."""
        value = self._required(key, "string")
        if not isinstance(value, str):
            self._wrong(key, "string", value)
        return value

    def whole(self, key: str, *, least: int = 0, default: int | None = None) -> int:
        """An integer, `least` or more; `default` where the key is absent, if there is one."""
        value = self._taken(key)
        return default if value is None and default is not None else self._checked_whole(key, value, least)

    def whole_or_none(self, key: str, *, least: int = 0) -> int | None:
        """The same, or None where the key is absent."""
        value = self._taken(key)
        return None if value is None else self._checked_whole(key, value, least)

    def wholes_or_none(self, key: str, *, most: int) -> tuple[int, ...] | None:
        """An array of integers from 0 to `most`, or None where the key is absent."""
        values = self._taken(key)
        if values is None:
            return None
        if not isinstance(values, list):
            self._wrong(key, "array of ints", values)
        found = tuple(self._checked_whole(f"{key}[{index}]", value, 0) for index, value in enumerate(values))
        if any(value > most for value in found):
            self.fail(key, f"expected {most} or less, got {max(found)}")
        return found

    def number(self, key: str, *, above: float | None = None) -> float:
        """An integer or float, finite and greater than `above`."""
        return self._checked_number(key, self._required(key, "number"), above)

    def number_or_none(self, key: str, *, above: float | None = None) -> float | None:
        """The same, or None where the key is absent."""
        value = self._taken(key)
        return None if value is None else self._checked_number(key, value, above)

    def numbers_or_none(self, key: str) -> tuple[float, ...] | None:
        """An array of finite numbers, or None where the key is absent."""
        values = self._taken(key)
        if values is None:
            return None
        if not isinstance(values, list):
            self._wrong(key, "array of numbers", values)
        return tuple(self._checked_number(f"{key}[{index}]", value, None) for index, value in enumerate(values))

    def flag(self, key: str, *, default: bool | None = None) -> bool:
        """true or false; `default` where the key is absent, if there is one."""
        value = self._taken(key)
        if value is None and default is not None:
            return default
        if not isinstance(value, bool):
            self._wrong(key, "bool", value)
        return value

    def flag_or_none(self, key: str) -> bool | None:
        """The same, or None where the key is absent."""
        return None if self._taken(key) is None else self.flag(key)

    def texts(self, key: str) -> tuple[str, ...]:
        """An array of strings."""
        values = self._required(key, "array of strings")
        if not isinstance(values, list):
            self._wrong(key, "array of strings", values)
        return tuple(self._checked_text(f"{key}[{index}]", value) for index, value in enumerate(values))

    def texts_or_none(self, key: str) -> tuple[str, ...] | None:
        """The same, or None where the key is absent."""
        return None if self._taken(key) is None else self.texts(key)

    def choice(self, key: str, choices: type[Choice]) -> Choice:
        """A string that is one of a closed set."""
        return self._chosen(key, self.text(key), choices)

    def choice_or_none(self, key: str, choices: type[Choice]) -> Choice | None:
        """The same, or None where the key is absent."""
        text = self.text_or_none(key)
        return None if text is None else self._chosen(key, text, choices)

    def choices(self, key: str, choices: type[Choice]) -> tuple[Choice, ...]:
        """An array of strings out of a closed set."""
        return tuple(self._chosen(f"{key}[{index}]", text, choices) for index, text in enumerate(self.texts(key)))

    def numbers(self) -> dict[str, float]:
        """Every key of a table that holds only numbers, under names that its author chose."""
        return {key: self.number(key) for key in self._values}

    def strings(self) -> dict[str, str]:
        """Every key of a table that holds only strings, under names that its author chose."""
        return {key: self.text(key) for key in self._values}

    def rest(self) -> dict[str, object]:
        """Every key that nobody has read yet, as it stands: the words of another format, which its reader checks."""
        rest = {key: value for key, value in self._values.items() if key not in self._read}
        self._read |= rest.keys()
        return rest

    def table(self, key: str) -> "Table":
        """The table under `key`."""
        return self._inner(key, self._required(key, "table"))

    def table_or_none(self, key: str) -> "Table | None":
        """The same, or None where the key is absent."""
        value = self._taken(key)
        return None if value is None else self._inner(key, value)

    def tables(self, key: str, *, least: int = 0) -> tuple["Table", ...]:
        """An array of tables, `least` or more of them."""
        values = self._taken(key)
        if values is None and not least:
            return ()
        if not isinstance(values, list):
            self._wrong(key, "array of tables", values)
        if len(values) < least:
            self.fail(key, f"expected {least} or more tables, got {len(values)}")
        return tuple(self._inner(f"{key}[{index}]", value) for index, value in enumerate(values))

    def finish(self) -> None:
        """Refuse keys that nobody read: a misspelt key must not pass for an absent one."""
        for key in self._values:
            if key not in self._read:
                near = get_close_matches(key, self._read, n=1)
                self.fail(key, "unknown key" + (f"; did you mean {near[0]}?" if near else ""))

    def fail(self, key: str, what: str) -> NoReturn:
        """Raise BadInputError about the value under `key`."""
        raise BadInputError(f"{self._subject}: {self._at(key)}: {what}", hint=self._hint)

    def _at(self, key: str) -> str:
        return f"{self._place}.{key}" if self._place else key

    def _taken(self, key: str) -> object:
        self._read.add(key)
        return self._values.get(key)

    def _required(self, key: str, expected: str) -> object:
        value = self._taken(key)
        if value is None:
            self._wrong(key, expected, value)
        return value

    def _inner(self, key: str, value: object) -> "Table":
        if not isinstance(value, dict):
            self._wrong(key, "table", value)
        return Table(value, subject=self._subject, hint=self._hint, place=self._at(key))

    def _checked_text(self, key: str, value: object) -> str:
        if not isinstance(value, str):
            self._wrong(key, "string", value)
        if not value.strip():
            self.fail(key, "expected a text, got an empty string")
        return value

    def _checked_whole(self, key: str, value: object, least: int) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            self._wrong(key, "int", value)
        if value < least:
            self.fail(key, f"expected {least} or more, got {value}")
        return value

    def _checked_number(self, key: str, value: object, above: float | None) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool):
            self._wrong(key, "number", value)
        if not isfinite(value):
            self.fail(key, f"expected a finite number, got {value}")
        if above is not None and value <= above:
            self.fail(key, f"expected more than {above:g}, got {value:g}")
        return float(value)

    def _chosen(self, key: str, text: str, choices: type[Choice]) -> Choice:
        if text not in choices.__members__.values():
            near = get_close_matches(text, list(choices), n=1)
            known = f"did you mean {near[0]}?" if near else f"known are {', '.join(choices)}"
            self.fail(key, f"{text!r} is not known; {known}")
        return choices(text)

    def _wrong(self, key: str, expected: str, value: object) -> NoReturn:
        got = self._nothing(key) if value is None else _NAMES.get(type(value), type(value).__name__)
        self.fail(key, f"expected {expected}, got {got}")

    def _nothing(self, key: str) -> str:
        """A required key that is missing is often there, misspelt."""
        near = get_close_matches(key, self._values.keys() - self._read, n=1)
        return f"nothing; {near[0]} is not a key" if near else "nothing"


def named_source(table: Table, sources: Mapping[str, str], key: str = "source") -> str:
    """The text behind a name that the file's [sources] spell out."""
    name = table.text(key)
    if name not in sources:
        table.fail(key, f"{name!r} is not in the file's [sources]")
    return sources[name]


def toml_text(table: Mapping[str, object]) -> str:
    """TOML for a table of strings, numbers, bools, arrays of strings, tables and arrays of tables.

    It is the inverse of `tomllib.loads` for what edgepack's own files hold; other values are a TypeError.
    """
    return "\n".join(_section(table, "")).strip() + "\n"


def with_comments(text: str, comments: Mapping[str, Sequence[str]]) -> str:
    """TOML with lines of comment before the first header of each section named; "" is the top of the file."""
    left = dict(comments)
    lines = [f"# {line}" for line in left.pop("", ())]
    for line in text.splitlines():
        lines += [f"# {comment}" for comment in left.pop(line.strip("[]"), ())] if line.startswith("[") else []
        lines.append(line)
    return "\n".join(lines) + "\n"


def _section(table: Mapping[str, object], path: str) -> Iterator[str]:
    inner = {key: value for key, value in table.items() if _is_section(value)}
    for key, value in table.items():
        if key not in inner:
            yield f"{_key(key)} = {_value(value)}"
    for key, value in inner.items():
        place = f"{path}.{_key(key)}" if path else _key(key)
        for header, section in _sections(place, value):
            yield from ("", header) if header else ()
            yield from _section(section, place)


def _sections(place: str, value: object) -> Iterator[tuple[str, Mapping[str, object]]]:
    if isinstance(value, Mapping):
        # Where a table holds nothing but tables, their headers name it.
        yield "" if value and all(map(_is_section, value.values())) else f"[{place}]", value
    elif isinstance(value, list):
        for item in value:
            yield f"[[{place}]]", item


def _is_section(value: object) -> bool:
    return isinstance(value, Mapping) or (isinstance(value, list) and bool(value) and isinstance(value[0], Mapping))


def _key(key: str) -> str:
    bare = key.replace("_", "").replace("-", "")
    return key if bare.isascii() and bare.isalnum() else _quoted(key)


def _value(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case str():
            return _quoted(value)
        case list():
            return f"[{', '.join(_value(item) for item in value)}]"
        case _:
            raise TypeError(f"no TOML for {type(value).__name__}")


def _quoted(text: str) -> str:
    # A JSON string is a TOML basic string, but for DEL, which JSON leaves as it is.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")

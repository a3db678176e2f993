"""Answers kept as they come, a line each: what was asked once is not asked again, whatever ended the run."""

import json
import os
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path

from edgepack.domain.answering import Answered, answered_json, parse_answered
from edgepack.domain.errors import BadInputError
from edgepack.domain.reading import Table


class Answers:
    """The answers of one subject: all that they depend on but the prompt itself."""

    def __init__(self, root: Path, *subject: str) -> None:
        name = sha256(repr(subject).encode()).hexdigest()
        self._path = root / "observations" / "answers" / f"{name}.jsonl"

    def all(self) -> dict[str, Answered]:
        """What was kept, by the sha256 of its prompt, the newest winning. A torn line counts as none."""
        return dict(self._lines())

    def keep(self, prompt: str, answered: Answered) -> None:
        """Append one: a killed process leaves whole lines, and at most one torn one, which the next begins anew."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        row = json.dumps({"prompt": digest(prompt), **answered_json(answered)}, ensure_ascii=False)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        with os.fdopen(descriptor, "r+b", buffering=0) as file:
            # One write of a whole line: two runs at once do not mix theirs.
            file.write(f"{_new_line(file.fileno())}{row}\n".encode())

    def forget(self) -> None:
        """Ask everything anew."""
        self._path.unlink(missing_ok=True)

    def _lines(self) -> Iterator[tuple[str, Answered]]:
        try:
            text = self._path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return
        for line in text.split("\n"):
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(row, dict) and (found := _read(row)):
                yield found


def digest(prompt: str) -> str:
    return sha256(prompt.encode()).hexdigest()


def _new_line(descriptor: int) -> str:
    size = os.fstat(descriptor).st_size
    return "\n" if size and os.pread(descriptor, 1, size - 1) != b"\n" else ""


def _read(row: Mapping[str, object]) -> tuple[str, Answered] | None:
    table = Table(row, subject="answer", hint="it is asked again")
    try:
        return table.text("prompt"), parse_answered(table)
    except BadInputError:
        return None

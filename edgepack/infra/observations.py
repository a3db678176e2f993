"""What was seen and when: measurements and verdicts kept beside the store, never inputs of a cached step."""

import json
import os
from hashlib import sha256
from pathlib import Path


class Observations:
    """One file an observation, under what was observed; the newest wins."""

    def __init__(self, root: Path) -> None:
        self._root = root / "observations"

    def latest(self, kind: str, *subject: str) -> str | None:
        """The JSON last kept for `subject`, if any; a file that a power cut left damaged is none."""
        path = self._place(kind, subject)
        try:
            text = path.read_text(encoding="utf-8")
            json.loads(text)
        except (FileNotFoundError, ValueError):
            return None
        return text

    def keep(self, text: str, kind: str, *subject: str) -> None:
        """Replace the observation of `subject` by `text`, which is JSON, in one rename."""
        path = self._place(kind, subject)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.{os.getpid()}.part")
        try:
            partial.write_text(text, encoding="utf-8")
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    def _place(self, kind: str, subject: tuple[str, ...]) -> Path:
        return self._root / kind / f"{sha256(repr(subject).encode()).hexdigest()}.json"

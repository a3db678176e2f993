"""What was seen and when: measurements and verdicts kept beside the store, never inputs of a cached step."""

import os
from hashlib import sha256
from pathlib import Path


class Observations:
    """One file an observation, under what was observed; the newest wins."""

    def __init__(self, root: Path) -> None:
        self._root = root / "observations"

    def latest(self, kind: str, *subject: str) -> str | None:
        """The text last kept for `subject`, if any."""
        path = self._place(kind, subject)
        return path.read_text(encoding="utf-8") if path.is_file() else None

    def keep(self, text: str, kind: str, *subject: str) -> None:
        """Replace the observation of `subject`, in one rename."""
        path = self._place(kind, subject)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.{os.getpid()}.part")
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)

    def _place(self, kind: str, subject: tuple[str, ...]) -> Path:
        return self._root / kind / f"{sha256(repr(subject).encode()).hexdigest()}.json"

"""One large file a step, kept in the store with its digest: made once, and not read again to be trusted."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgepack import __version__
from edgepack.domain.errors import BadInputError
from edgepack.domain.step import Step
from edgepack.infra.store import Entry, Store

_RECORD = "weights.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptFile:
    """Where it lies, its bytes, and their sha256."""

    path: Path
    sha256: str
    size: int


def keep_file(store: Store, step: Step, name: str, make: Callable[[Path], str]) -> tuple[KeptFile, bool]:
    """The file of `step`, and whether `make` ran for it now: it writes the file and returns its sha256.

    Raises BadInputError where somebody changed the store.
    """

    def fill(place: Path) -> None:
        path = place / name
        digest = make(path)
        said = {"file": name, "sha256": digest, "size": path.stat().st_size, "made_by": __version__}
        (place / _RECORD).write_text(json.dumps(said))

    entry, made = store.get_or_make(step, fill)
    return _read(entry), made


def _read(entry: Entry) -> KeptFile:
    try:
        said = json.loads((entry.path / _RECORD).read_text(encoding="utf-8"))
        kept = KeptFile(path=entry.path / said["file"], sha256=said["sha256"], size=said["size"])
        stands = kept.path.stat().st_size == kept.size
    except (FileNotFoundError, ValueError, LookupError, TypeError):
        stands = False
    if not stands:
        raise BadInputError(
            f"{entry.path}: not as it was made", hint="something changed the store; run: edgepack cache prune --all"
        )
    return kept

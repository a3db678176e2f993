"""The content-addressed store: a step's result is made once, whole, and trusted by its key alone."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from filelock import FileLock, Timeout
from platformdirs import user_cache_path

from edgepack.domain.errors import BadInputError, NoSpaceError, UsageError
from edgepack.domain.step import Step

_TAG = "Signature: 8a477f597d28d172789f06886806bc55\n# This directory is a cache of edgepack; it may be deleted.\n"
_ENTRY = "entry.json"
_WRITTEN = frozenset({"step", "inputs", "parameters", "tool"})


def home() -> Path:
    """EDGEPACK_HOME, or the platform's place for a user's caches; made, and tagged as a cache."""
    said = os.environ.get("EDGEPACK_HOME")
    root = Path(said).expanduser().absolute() if said else user_cache_path("edgepack")
    tag = root / "CACHEDIR.TAG"
    try:
        if not tag.is_file():
            root.mkdir(parents=True, exist_ok=True)
            _write_tag(tag)
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        raise UsageError(
            f"{root}: no place for a store: {error.strerror}", hint="set EDGEPACK_HOME to another"
        ) from error
    return root


def _write_tag(tag: Path) -> None:
    partial = tag.with_name(f"{tag.name}.{token_hex(4)}")
    try:
        partial.write_text(_TAG, encoding="ascii")
        partial.replace(tag)
    finally:
        partial.unlink(missing_ok=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A kept result: a directory that nobody changes any more."""

    key: str
    path: Path
    table: dict[str, object]
    """The step that made it, as JSON."""

    @property
    def size(self) -> int:
        """Bytes of its files."""
        return sum(file.stat().st_size for file in self.path.rglob("*") if file.is_file())

    @property
    def last_used(self) -> float:
        """Seconds since the epoch."""
        return self.path.stat().st_mtime


class Store:
    """Entries under `root`. Any number of processes may use one store at once."""

    def __init__(self, root: Path) -> None:
        self._entries = root / "store"
        self._partial = root / "partial"
        self._locks = root / "locks"
        for place in (self._entries, self._partial, self._locks):
            place.mkdir(parents=True, exist_ok=True)

    def find(self, step: Step) -> Entry | None:
        """The entry of `step`, if it was made."""
        return self._read(self._place(step.key))

    def get_or_make(self, step: Step, make: Callable[[Path], None]) -> tuple[Entry, bool]:
        """The entry of `step`, and whether `make` ran for it now.

        `make` fills an empty directory; only when it returns, and its files are on the disk, does the
        directory get its name, in one rename. Whoever asks for the same step meanwhile waits, and shares it.
        """
        found = self.find(step)
        if found and _used_now(found):
            return found, False
        with FileLock(self._locks / f"{step.key}.lock"):
            found = self.find(step)
            if found:
                return found, False
            self._remove_leftovers(step.key)
            return self._make(step, make), True

    def entries(self) -> Iterator[Entry]:
        """Every entry, in no order; raises BadInputError for a damaged one, which `sweep` removes."""
        for place in self._entries.glob("*/*"):
            entry = self._read(place)
            if entry:
                yield entry

    def remove(self, entry: Entry) -> int:
        """Delete an entry; returns the bytes freed. An entry that is being made again is waited for."""
        with FileLock(self._locks / f"{entry.key}.lock"):
            if not entry.path.exists():
                return 0  # somebody else was quicker
            size = entry.size
            self._bury(entry.path)
        return size

    def sweep(self) -> int:
        """Delete what killed makers left behind, and damaged entries; returns how many of both there were."""
        removed = 0
        for key in {leftover.name.split(".")[0] for leftover in self._partial.iterdir()}:
            with _if_free(self._locks / f"{key}.lock") as free:
                removed += self._remove_leftovers(key) if free else 0
        for place in self._entries.glob("*/*"):
            with _if_free(self._locks / f"{place.name}.lock") as free:
                if free and self._is_damaged(place):
                    self._bury(place)
                    removed += 1
        return removed

    def _bury(self, place: Path) -> None:
        # First out of sight in one rename: a half-deleted entry must not be found by its key.
        grave = self._partial / f"{place.name}.{token_hex(4)}"
        place.rename(grave)
        shutil.rmtree(grave)

    def _is_damaged(self, place: Path) -> bool:
        try:
            return self._read(place) is None and place.exists()
        except BadInputError:
            return True

    def _make(self, step: Step, make: Callable[[Path], None]) -> Entry:
        partial = self._partial / f"{step.key}.{token_hex(4)}"
        partial.mkdir()
        try:
            make(partial)
            (partial / _ENTRY).write_text(json.dumps(step.table(), indent=2, sort_keys=True), encoding="utf-8")
            _to_disk(partial)
            place = self._place(step.key)
            place.parent.mkdir(exist_ok=True)
            partial.rename(place)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        _sync_directory(place.parent)
        entry = self._read(place)
        assert entry is not None
        return entry

    def _remove_leftovers(self, key: str) -> int:
        """Only while holding the key's lock: then no living maker owns them."""
        leftovers = list(self._partial.glob(f"{key}.*"))
        for leftover in leftovers:
            shutil.rmtree(leftover, ignore_errors=True)
        return len(leftovers)

    def _place(self, key: str) -> Path:
        return self._entries / key[:2] / key

    def _read(self, place: Path) -> Entry | None:
        try:
            table = json.loads((place / _ENTRY).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise _damaged(place, str(error)) from error
        if not isinstance(table, dict) or not table.keys() >= _WRITTEN:
            raise _damaged(place, "not what this store writes")
        return Entry(key=place.name, path=place, table=table)


def _damaged(place: Path, why: str) -> BadInputError:
    return BadInputError(
        f"{place / _ENTRY}: damaged ({why})", hint="run: edgepack cache prune; then it is made again"
    )


def _used_now(entry: Entry) -> bool:
    """Note the use, for `prune`; False where a prune elsewhere has just taken it away."""
    try:
        os.utime(entry.path)
    except FileNotFoundError:
        return False
    return True


def require_space(place: Path, needed: int, what: str) -> None:
    """Raise NoSpaceError before work that would write `needed` bytes to the disk of `place` in vain."""
    free = shutil.disk_usage(place).free
    if free < needed:
        raise NoSpaceError(
            f"{what} needs {needed / 1e6:,.0f} MB, and {place} has {free / 1e6:,.0f} MB free",
            hint="free some space (edgepack cache prune), or point EDGEPACK_HOME or --out at a larger disk",
        )


@contextmanager
def _if_free(path: Path) -> Iterator[bool]:
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _to_disk(directory: Path) -> None:
    """Files reach the disk before the rename that makes them trusted: a power cut must not reorder the two."""
    for file in directory.rglob("*"):
        if file.is_file():
            with file.open("rb") as opened:
                os.fsync(opened.fileno())
    _sync_directory(directory)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

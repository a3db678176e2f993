"""What was fetched from the hub and verified, by commit: files, records, partial downloads. Knows no network.

ORG--NAME/blobs/DIGEST          a whole file, by the digest that the hub lists for it
ORG--NAME/blobs/DIGEST.part     what has arrived of it; the next fetch goes on behind it
ORG--NAME/commits/COMMIT/       the checkpoint: hard links to blobs, under their names
ORG--NAME/commits/COMMIT.json   written last; without it nothing in COMMIT/ is trusted
ORG--NAME/revisions/NAME        the commit that a branch or tag meant last time
"""

import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from filelock import FileLock, Timeout

from edgepack.domain.checkpoint import Checkpoint, CheckpointFile
from edgepack.domain.errors import BadInputError
from edgepack.domain.progress import Progress
from edgepack.domain.reading import Table
from edgepack.infra.digests import sha256_of

COMMIT = re.compile(r"[0-9a-f]{40}")
_READ_ONLY = 0o444
_SCHEMA = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshots:
    """One repository's fetched commits, in a directory of its own under the cache."""

    repository: str
    root: Path

    def blob(self, digest: str) -> Path:
        """Where the file with this digest lies, or will."""
        return self.root / "blobs" / digest

    def part(self, digest: str) -> Path:
        """Where it grows."""
        return self.root / "blobs" / f"{digest}.part"

    def find(self, commit: str) -> Checkpoint | None:
        """The checkpoint at `commit` if it was recorded and its files are still what the record says.

        A file whose size and mtime are as recorded is not read.
        """
        try:
            recorded = self._record(commit)
        except (OSError, ValueError, BadInputError):
            return None  # Absent, or not what was written: as if never fetched.
        directory = self._directory(commit)
        if not all(_unchanged(directory / file.name, file, mtime) for file, mtime in recorded):
            return None
        return self._checkpoint(commit, (file for file, _ in recorded))

    def keep(self, commit: str, files: Iterable[tuple[CheckpointFile, Path]]) -> Checkpoint:
        """Give verified blobs their names, and record the commit; from then on `find` finds it."""
        directory = self._directory(commit)
        directory.mkdir(parents=True, exist_ok=True)
        kept = list(files)
        places = {directory / file.name: blob for file, blob in kept}
        for path, blob in places.items():
            path.parent.mkdir(exist_ok=True)
            _link(blob, path)
        for stranger in set(_files_under(directory)) - places.keys():
            stranger.unlink()
        for folder in {directory, *(path.parent for path in places)}:
            sync(folder)
        self._write_record(commit, [file for file, _ in kept])
        return self._checkpoint(commit, (file for file, _ in kept))

    def resolved(self, revision: str) -> str | None:
        """The commit that a branch or tag meant when it was fetched last."""
        try:
            commit = self._revision(revision).read_text(encoding="ascii")
        except (OSError, ValueError):
            return None
        return commit if COMMIT.fullmatch(commit) else None

    def remember(self, revision: str, commit: str) -> None:
        """Remember what a branch or tag means now, for work without a network."""
        if revision != commit and self.resolved(revision) != commit:
            _write(self._revision(revision), commit)

    @contextmanager
    def locked(self, progress: Progress) -> Iterator[None]:
        """One fetch of a repository at a time, across processes; who comes second waits, and shares it."""
        (self.root / "blobs").mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.root / "lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            progress.step(f"waiting for another fetch of {self.repository}")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def _directory(self, commit: str) -> Path:
        return self.root / "commits" / commit

    def _revision(self, revision: str) -> Path:
        return self.root / "revisions" / quote(revision, safe="")

    def _checkpoint(self, commit: str, files: Iterable[CheckpointFile]) -> Checkpoint:
        return Checkpoint(
            directory=self._directory(commit),
            origin=f"hub:{self.repository}",
            revision=commit,
            files=tuple(sorted(files, key=lambda file: file.name)),
        )

    def _record(self, commit: str) -> list[tuple[CheckpointFile, int]]:
        path = self.root / "commits" / f"{commit}.json"
        values = json.loads(path.read_text(encoding="utf-8"))
        table = Table(values, subject=str(path), hint="fetch it again")
        if table.whole("schema") != _SCHEMA:
            table.fail("schema", f"expected {_SCHEMA}")
        return [
            (
                CheckpointFile(name=file.text("name"), size=file.whole("size"), sha256=file.text("sha256")),
                file.whole("mtime_ns"),
            )
            for file in table.tables("files", least=1)
        ]

    def _write_record(self, commit: str, files: list[CheckpointFile]) -> None:
        directory = self._directory(commit)
        table = {
            "schema": _SCHEMA,
            "repository": self.repository,
            "commit": commit,
            "files": [
                {
                    "name": file.name,
                    "size": file.size,
                    "sha256": file.sha256,
                    "mtime_ns": (directory / file.name).stat().st_mtime_ns,
                }
                for file in files
            ],
        }
        _write(self.root / "commits" / f"{commit}.json", json.dumps(table, indent=2))


def snapshots_of(repository: str, cache: Path) -> Snapshots:
    """The place of one repository; the hub allows no `--` in names, so no two share one."""
    return Snapshots(repository=repository, root=cache / repository.replace("/", "--"))


def accept(part: Path, blob: Path) -> None:
    """Make a verified partial file the blob: first its bytes to the disk, then its name, then read-only."""
    sync(part)
    part.replace(blob)
    blob.chmod(_READ_ONLY)  # Hard links share it: an editor on one checkpoint must not change another.


def sync(path: Path) -> None:
    """A power cut must not keep a name and lose the bytes behind it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unchanged(path: Path, file: CheckpointFile, mtime_ns: int) -> bool:
    try:
        stat = path.stat()
    except OSError:
        return False
    if stat.st_size != file.size:
        return False
    # Another time on the same bytes: the cache was copied. They are read once more rather than fetched again.
    return stat.st_mtime_ns == mtime_ns or sha256_of(path) == file.sha256


def _files_under(directory: Path) -> Iterator[Path]:
    return (path for path in directory.rglob("*") if not path.is_dir())


def _link(blob: Path, path: Path) -> None:
    path.unlink(missing_ok=True)
    try:
        path.hardlink_to(blob)
    except OSError:
        shutil.copyfile(blob, path)  # exFAT and some network disks have no links.
        sync(path)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        partial.write_text(text, encoding="utf-8")
        sync(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    sync(path.parent)

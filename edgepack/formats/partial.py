"""Private directories beside a destination, which are gone when their maker ends, however it ends.

A maker holds a lock on its directory for as long as it lives; whoever can take that lock knows that the
maker is dead, and removes what it left. It does not know what is written in them.
"""

import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_MARK = "edgepack-partial"


@contextmanager
def partial_directory(destination: Path) -> Iterator[Path]:
    """A new directory on the same disk as `destination`, removed on leaving; stale ones are removed first."""
    remove_stale(destination)
    path, lock = _locked_new(destination)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


@contextmanager
def one_maker(directory: Path) -> Iterator[None]:
    """Whoever writes bundles into `directory` waits here for the one before; on a disk without locks nobody does."""
    lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def remove_stale(destination: Path) -> None:
    """Remove the directories that dead makers of the same destination left."""
    ours = re.compile(rf"\.{re.escape(destination.name)}\.{_MARK}-[0-9a-f]{{16}}")
    with os.scandir(destination.parent) as entries:
        stale = [Path(entry.path) for entry in entries
                 if ours.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)]  # fmt: skip
    for path in stale:
        _remove_if_dead(path)


def _locked_new(destination: Path) -> tuple[Path, int]:
    while True:
        path = destination.parent / f".{destination.name}.{_MARK}-{secrets.token_hex(8)}"
        path.mkdir(mode=0o700)
        # Before it is locked, another maker may take it for a dead one's and remove it: then once more.
        with suppress(FileNotFoundError):
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            with suppress(OSError):  # a disk without locks: nobody can take it for dead either
                fcntl.flock(lock, fcntl.LOCK_EX)
            if path.exists():
                return path, lock
            os.close(lock)


def _remove_if_dead(path: Path) -> None:
    with suppress(OSError):  # gone, somebody else's, or alive: not ours to remove
        lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path, ignore_errors=True)
        finally:
            os.close(lock)

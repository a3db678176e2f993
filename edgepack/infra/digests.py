"""SHA-256 of files, remembered as long as a file's identity, size and times stay as they were."""

import os
import re
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

_CHUNK = 1 << 20
_DIGEST = re.compile(r"[0-9a-f]{64}")
# A file changed this recently could change again within one tick of its clock, unseen.
_SETTLED_NS = 2_000_000_000


def sha256_of(path: Path, *, memo: Path | None = None, advance: Callable[[int], None] | None = None) -> str:
    """64 hexadecimal digits over the file's bytes.

    `memo` is a directory for remembered digests: a file whose device, inode, size, mtime and ctime are as
    remembered is not read again. `advance` is told the bytes as they are read, or skipped.
    """
    before = path.stat()
    remembered = memo / _identity(before) if memo else None
    known = _recall(remembered) if remembered else None
    if known:
        if advance:
            advance(before.st_size)
        return known
    started = time.time_ns()
    digest = _hash(path, advance)
    settled = started - max(before.st_mtime_ns, before.st_ctime_ns) > _SETTLED_NS
    if remembered and settled and _identity(path.stat()) == _identity(before):
        _remember(remembered, digest)
    return digest


def _hash(path: Path, advance: Callable[[int], None] | None) -> str:
    state = sha256()
    buffer = bytearray(_CHUNK)
    view = memoryview(buffer)
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            state.update(view[:count])
            if advance:
                advance(count)
    return state.hexdigest()


def _identity(stat: os.stat_result) -> str:
    facts = (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
    return sha256(repr(facts).encode()).hexdigest()


def _recall(path: Path) -> str | None:
    """What was remembered, if it is a digest: a power cut may leave anything."""
    text = path.read_text(encoding="latin-1") if path.is_file() else ""
    return text if _DIGEST.fullmatch(text) else None


def _remember(path: Path, digest: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        partial.write_text(digest, encoding="ascii")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)

"""Copies one large file the cheapest way the disk allows: shared blocks, in the kernel, or through memory."""

import errno
import os
import sys
from pathlib import Path

from edgepack.domain.errors import BadInputError
from edgepack.domain.progress import Bar

_FICLONE = 0x40049409
"""ioctl_ficlone(2): share the blocks of a whole file (btrfs, xfs, bcachefs)."""
_STEP = 64 << 20
"""Bytes between two movements of the bar."""
# What filesystems answer when they cannot do it this way; anything else is a real failure.
_NOT_THIS_WAY = frozenset({
    errno.EOPNOTSUPP, errno.ENOSYS, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.EPERM, errno.EBADF,
    errno.ETXTBSY,
})  # fmt: skip


def copy_file(source: Path, destination: Path, *, size: int, bar: Bar) -> None:
    """Copy `size` bytes, the whole of `source`, to the new file `destination`.

    The bar hears every byte. Raises BadInputError where the file does not have that size, OSError otherwise.
    """
    with source.open("rb", buffering=0) as reader, destination.open("xb", buffering=0) as writer:
        if os.fstat(reader.fileno()).st_size != size:
            raise _changed(source, size)
        if _cloned(reader.fileno(), writer.fileno()):
            bar.advance(size)
        else:
            _copy(reader.fileno(), writer.fileno(), size, bar)
        if os.fstat(writer.fileno()).st_size != size or os.fstat(reader.fileno()).st_size != size:
            raise _changed(source, size)


def _cloned(reader: int, writer: int) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    from fcntl import ioctl

    try:
        ioctl(writer, _FICLONE, reader)
    except OSError as error:
        if error.errno not in _NOT_THIS_WAY:
            raise
        return False
    return True


def _copy(reader: int, writer: int, size: int, bar: Bar) -> None:
    in_kernel = sys.platform.startswith("linux")
    done = 0
    while done < size:
        try:
            moved = _step(reader, writer, min(_STEP, size - done), in_kernel)
        except OSError as error:
            if not in_kernel or error.errno not in _NOT_THIS_WAY:
                raise
            in_kernel = False
            continue
        if not moved:
            return  # cut shorter meanwhile; the caller compares sizes
        done += moved
        bar.advance(moved)


def _step(reader: int, writer: int, count: int, in_kernel: bool) -> int:
    if in_kernel:
        return os.copy_file_range(reader, writer, count)
    chunk = os.read(reader, min(count, 4 << 20))
    view = memoryview(chunk)
    while view:
        view = view[os.write(writer, view) :]
    return len(chunk)


def _changed(source: Path, size: int) -> BadInputError:
    what = f"{source}: no longer the {size} bytes it was when the bundle was begun"
    return BadInputError(what, hint="let nothing else write to it, and run it again")

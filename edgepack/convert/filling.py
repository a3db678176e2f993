"""A GGUF whose head stands gets its tensors: disk space claimed first, slabs on all cores, the digest behind them."""

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from edgepack.convert.family import GeneratedTensor
from edgepack.convert.following import Frontier, digest_behind
from edgepack.convert.imatrix_file import Means
from edgepack.convert.layout import Placed
from edgepack.convert.quantizer import load_quantizer
from edgepack.convert.safetensors import StoredTensor
from edgepack.convert.slabs import SlabWriter, cut, fill_all
from edgepack.domain.errors import NoSpaceError
from edgepack.domain.progress import Progress


def fill_file(
    placed: tuple[Placed, ...],
    size: int,
    path: Path,
    *,
    threads: int,
    progress: Progress,
    label: str,
    importances: Mapping[str, Means] | None = None,
) -> str:
    """Bring all tensors to the file at `path`, which will have `size` bytes; returns its sha256.

    Memory stays at a few slabs a thread. After an error the file is incomplete; the caller removes it.
    """
    quantizer = load_quantizer({tensor.type for tensor in placed}, progress)
    stored = [tensor for tensor in placed if isinstance(tensor.source.origin, StoredTensor)]
    slabs = [slab for tensor in stored for slab in cut(tensor)]
    # A slab's piece of the file ends where the next begins, padding and generated tensors between included.
    frontier = Frontier([*(slab.start for slab in slabs[1:]), size])
    with (
        _opened({path for tensor in stored for path in tensor.source.paths}) as sources,
        reserved(path, size) as target,
        progress.bar(label, sum(slab.bytes_read for slab in slabs), "B") as bar,
    ):
        writer = SlabWriter(quantizer, target, sources, importances)
        for tensor in placed:
            if isinstance(tensor.source.origin, GeneratedTensor):
                writer.fill_generated(tensor)
        with digest_behind(target, frontier) as digest:
            fill_all(writer, slabs, threads=threads, done=frontier.reached, bar=bar)
    return digest[0]


@contextmanager
def _opened(paths: set[Path]) -> Iterator[dict[str, int]]:
    files = {str(path): os.open(path, os.O_RDONLY) for path in paths}
    try:
        yield files
    finally:
        for file in files.values():
            os.close(file)


@contextmanager
def reserved(path: Path, size: int) -> Iterator[int]:
    """The output, with its disk space claimed before any work is done for it."""
    file = os.open(path, os.O_RDWR)
    try:
        _reserve(file, path, size)
        yield file
    finally:
        os.close(file)


def _reserve(file: int, path: Path, size: int) -> None:
    try:
        os.posix_fallocate(file, 0, size)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            os.ftruncate(file, size)  # a file system without fallocate
            return
        raise NoSpaceError(
            f"{path.parent}: no space for {size:,} bytes of weights",
            hint="free some space, or point EDGEPACK_HOME or --out at a larger disk",
        ) from error

"""A bundle as a squashfs to mount, by squashfs-tools: the bundle's files at its root, the same bytes each time."""

from pathlib import Path

from edgepack.formats.outside import call
from edgepack.formats.payload import WRITTEN_AT


def write_squashfs(tree: Path, destination: Path) -> None:
    """Write the directory as a new image.

    Nothing is compressed: weights do not get smaller, and what is not compressed is mapped without a copy.
    """
    call([
        "mksquashfs", tree, destination, "-noappend", "-no-progress", "-all-root", "-no-xattrs",
        "-noI", "-noD", "-noF", "-noX", "-mkfs-time", str(WRITTEN_AT), "-all-time", str(WRITTEN_AT),
    ])  # fmt: skip

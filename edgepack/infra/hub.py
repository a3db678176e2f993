"""Repositories on the hub: what they hold, and its way to this machine, verified. Knows no model."""

from pathlib import Path

from edgepack.domain.checkpoint import Checkpoint
from edgepack.domain.errors import NetworkError
from edgepack.domain.progress import Progress


def fetch_repository(
    repository: str, revision: str | None, *, cache: Path, progress: Progress, offline: bool
) -> Checkpoint:
    """The needed files of a repository at one commit."""
    raise NetworkError(f"{repository}: not fetched", hint="give a directory")

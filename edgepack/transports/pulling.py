"""A file brought from the device in pieces, so that a lost connection costs one piece; named when it is whole."""

from collections.abc import Iterator
from hashlib import sha256 as new_sha256
from pathlib import Path
from secrets import token_hex

from edgepack.transports.failures import GarbledError, RefusedError
from edgepack.transports.scripts import BLOCK
from edgepack.transports.shell import Shell, time_to_read

_PIECE = 1 << 25
"""Bytes; each is held in memory, and begun anew where the connection was lost."""


def pull(shell: Shell, place: str, target: Path, *, sha256: str | None) -> None:
    """Bring a file from the device; it is compared with `sha256`, or with the device's own digest of it."""
    size = _size(shell, place)
    wanted = sha256 or _digest_there(shell, place, size)
    part = target.with_name(f".{target.name}.{token_hex(4)}.part")
    state = new_sha256()
    try:
        with part.open("wb") as file, shell.progress.bar(f"pull {target.name}", size, "B") as bar:
            for piece in _pieces(shell, place, size):
                file.write(piece)
                state.update(piece)
                bar.advance(len(piece))
        if state.hexdigest() != wanted:
            raise GarbledError(
                f"{shell.link.device}: {place}: sha256 {state.hexdigest()[:12]}… arrived, {wanted[:12]}… expected",
                hint="see whether something still writes to it, and run it again",
            )
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def digest_by_reading(shell: Shell, place: str, size: int) -> str:
    """The sha256 of a file on a device that cannot tell it: all of it is brought here."""
    state = new_sha256()
    for piece in _pieces(shell, place, size):
        state.update(piece)
    return state.hexdigest()


def _size(shell: Shell, place: str) -> int:
    size, _, _ = shell.survey(place)
    if size < 0:
        raise RefusedError(f"{shell.link.device}: {place}: no such file", hint="check the path, and who may read it")
    return size


def _digest_there(shell: Shell, place: str, size: int) -> str:
    if not shell.has_sha256sum:
        return digest_by_reading(shell, place, size)
    # By stdin: where a name has a backslash, GNU's puts another before the digest.
    words = ["sh", "-c", 'sha256sum <"$1"', "sh", place]
    return shell.insist(words, timeout=time_to_read(size)).stdout[:64]


def _pieces(shell: Shell, place: str, size: int) -> Iterator[bytes]:
    for at in range(0, size, _PIECE):
        words = ["dd", f"if={place}", f"bs={BLOCK}", f"skip={at // BLOCK}", f"count={_PIECE // BLOCK}"]
        piece = shell.persist(lambda words=words: shell.fetch(words))  # type: ignore[misc]
        if len(piece) != min(_PIECE, size - at):
            raise GarbledError(
                f"{shell.link.device}: {place}: its size changed while it was read",
                hint="see what still writes to it, and run it again",
            )
        yield piece

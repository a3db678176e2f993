"""The digest of a file that others are still writing, out of order: hashed as far as it is whole, behind them."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha256
from threading import Condition

_CHUNK = 1 << 20


class Frontier:
    """How far a file is whole, told piece by piece: piece `i` ends where `ends[i]` says."""

    def __init__(self, ends: list[int]) -> None:
        self._ends = ends
        self._done: set[int] = set()
        self._next = 0
        self._given_up = False
        self._moved = Condition()

    def reached(self, piece: int) -> None:
        """Say that a piece is written; from any thread, in any order."""
        with self._moved:
            self._done.add(piece)
            while self._next in self._done:
                self._done.remove(self._next)
                self._next += 1
            self._moved.notify()

    def give_up(self) -> None:
        """Say that the rest will not be written."""
        with self._moved:
            self._given_up = True
            self._moved.notify()

    def beyond(self, position: int) -> int:
        """Wait until the file is whole beyond `position`; how far it is. `position` itself: no more will come."""
        with self._moved:
            self._moved.wait_for(lambda: self._given_up or self._limit() > position or self._next == len(self._ends))
            return max(position, self._limit())

    def _limit(self) -> int:
        return self._ends[self._next - 1] if self._next else 0


@contextmanager
def digest_behind(file: int, frontier: Frontier) -> Iterator[list[str]]:
    """Hash the open `file` behind its writers; after the block, the list holds the digest of what was reached."""
    found: list[str] = []
    with ThreadPoolExecutor(1, thread_name_prefix="digest") as pool:
        follower = pool.submit(_follow, file, frontier)
        try:
            yield found
        except BaseException:
            frontier.give_up()
            raise
        found.append(follower.result())


def _follow(file: int, frontier: Frontier) -> str:
    state, buffer = sha256(), bytearray(_CHUNK)
    position = 0
    while (limit := frontier.beyond(position)) > position:
        while position < limit:
            view = memoryview(buffer)[: min(_CHUNK, limit - position)]
            count = os.preadv(file, [view], position)
            state.update(view[:count])
            position += count
    return state.hexdigest()

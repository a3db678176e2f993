"""What is brought to a device for a while only: it goes again, however the visit ends."""

from collections.abc import Iterator
from contextlib import contextmanager

from edgepack.domain.errors import DeviceError
from edgepack.domain.progress import Progress
from edgepack.transports.protocol import Transport


class Visit:
    """Files that will be pushed, by this transport or another to the same device."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._guests: list[str] = []

    def expect(self, sha256: str) -> None:
        """Have the file of that digest removed in the end, whole or in part, unless it lies there already."""
        place = f"{self._transport.root}/files/{sha256}"
        if place not in self._guests and not self._transport.exists(place):
            self._guests.append(place)

    def forget(self, sha256: str) -> None:
        """Remove it now, where it was expected."""
        place = f"{self._transport.root}/files/{sha256}"
        if place in self._guests:
            self._remove(place)
            self._guests.remove(place)

    def end(self, progress: Progress) -> None:
        """Remove all that was expected; what a lost device keeps is told. One ^C does not stop it."""
        try:
            self._remove_all(progress)
        except KeyboardInterrupt:
            self._remove_all(progress)
            raise

    def _remove_all(self, progress: Progress) -> None:
        for place in self._guests:
            try:
                self._remove(place)
            except DeviceError as error:
                progress.warn(f"{place} may be left on {self._transport.device}: {error.what}")
                return

    def _remove(self, place: str) -> None:
        self._transport.remove(place)
        self._transport.remove(f"{place}.part")


@contextmanager
def visiting(transport: Transport, progress: Progress) -> Iterator[Visit]:
    """A visit that ends with the block, with ^C too."""
    visit = Visit(transport)
    try:
        yield visit
    finally:
        visit.end(progress)

"""The way to this machine: its own shell."""

from edgepack.domain.device import LocalDevice
from edgepack.domain.errors import DeviceError


class LocalLink:
    """There is no connection that could be made, or lost; see protocol.Link."""

    device = LocalDevice()

    def connect(self) -> None:
        """It stands."""

    def arguments(self, command: str) -> list[str]:
        return ["sh", "-c", command]

    def drop(self) -> None:
        """It cannot break."""

    def failure(self, complaints: str) -> DeviceError | None:
        return None

    def close(self) -> None:
        """Nothing to let go."""

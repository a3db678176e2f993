"""The way to a device behind adb: the user's own adb client, its server and its keys."""

import re
import time

from edgepack.domain.device import AdbDevice
from edgepack.domain.errors import DeviceError
from edgepack.infra.process import Completed, ProgramMissing, ProgramTimeout, run
from edgepack.transports.failures import RefusedError, Symptom, UnreachableError, diagnose, last_line
from edgepack.transports.protocol import Patience

_SYMPTOMS = (
    Symptom(
        words="unauthorized",
        what="the device has not allowed this computer",
        hint="unlock its screen and allow USB debugging; if it does not ask: adb kill-server, and plug it in again",
        kind=RefusedError,
    ),
    Symptom(
        words="more than one device",
        what="adb sees more than one device",
        hint="name one, as `adb devices` lists it: adb://SERIAL",
        kind=RefusedError,
    ),
    Symptom(
        words="(?:no permissions|insufficient permissions)",
        what="this user may not use the USB device",
        hint="install udev rules (Debian: android-sdk-platform-tools-common), join group plugdev, plug it in again",
        kind=RefusedError,
    ),
    Symptom(
        words="no devices/emulators found",
        what="adb sees no device",
        hint="plug it in, and turn USB debugging on in its developer options; `adb devices` lists what is there",
        kind=UnreachableError,
    ),
    Symptom(
        words="device '.*' not found",
        what="adb does not see it",
        hint="see `adb devices` for the serials that are there; over the network: adb connect HOST:PORT",
        kind=UnreachableError,
    ),
    Symptom(
        words="(?:failed to connect|unable to connect|cannot connect) to (?!daemon)(.*)",
        what="no connection to {0}",
        hint="check its address, and that it listens there: adb tcpip 5555, or wireless debugging",
        kind=UnreachableError,
    ),
    Symptom(
        words="device (?:still )?(offline|authorizing|connecting)",
        what="adb sees it, but it is {0}",
        hint="wait a moment, or plug it in again",
        kind=UnreachableError,
    ),
    Symptom(
        words="(cannot connect to daemon.*|failed to start daemon.*|could not read ok from ADB Server.*)",
        what="adb's server does not run: {0}",
        hint="see by hand what it wants: adb start-server",
        kind=RefusedError,
    ),
    Symptom(
        words="error: (closed|protocol fault.*)",
        what="adb: {0}",
        hint="check the cable, and run it again",
        kind=UnreachableError,
    ),
)
_NETWORK_SERIAL = re.compile(r".*:[0-9]{1,5}")
_SETTLING = 3.0
"""Seconds that a device may be offline after it was connected to over the network."""
_PAUSE = 0.2
"""Seconds between two looks at it."""


class AdbLink:
    """One device of the adb server's, which keeps the connection; see protocol.Link."""

    def __init__(self, device: AdbDevice, *, patience: Patience) -> None:
        self.device = device
        self._patience = patience
        self._serial = device.serial or ""

    def connect(self) -> None:
        refused = self._refusal()
        if refused and _NETWORK_SERIAL.fullmatch(self._serial) and not isinstance(refused, RefusedError):
            refused = self._connect_by_network()
        if refused:
            raise refused
        if not self._serial:
            # From now on this one, whatever else is plugged in.
            self._serial = self._adb("get-serialno").stdout.strip()

    def arguments(self, command: str) -> list[str]:
        return [*self._words, "shell", command]

    def drop(self) -> None:
        """The server sees for itself that a device is gone."""

    def failure(self, complaints: str) -> DeviceError | None:
        name = str(AdbDevice(serial=self._serial))
        return diagnose(_SYMPTOMS, complaints, device=name)

    def close(self) -> None:
        """The connection is the server's, which others use too."""

    @property
    def _words(self) -> list[str]:
        return ["adb", *(["-s", self._serial] if self._serial else [])]

    def _connect_by_network(self) -> DeviceError | None:
        # What is offline counts as connected, until it is disconnected.
        self._adb("disconnect", self._serial)
        said = self._adb("connect", self._serial).stdout
        until = time.monotonic() + _SETTLING
        while (refused := self._refusal()) and time.monotonic() < until and "connected to" in said:
            time.sleep(_PAUSE)
        return (refused and self.failure(said)) or refused

    def _refusal(self) -> DeviceError | None:
        """Why the device is not there; None where it is."""
        done = self._adb("get-state")
        state = done.stdout.strip()
        if done.status == 0 and state == "device":
            return None
        said = last_line(done.stderr) or f"state {state!r}"
        return self.failure(f"{done.stderr}\ndevice {state}") or UnreachableError(
            f"{self.device}: adb: {said}", hint="see `adb devices -l` for the state it is in"
        )

    def _adb(self, *words: str) -> Completed:
        try:
            return run([*self._words, *words], timeout=self._patience.connect)
        except ProgramMissing as error:
            raise RefusedError(
                f"{self.device}: adb is not installed here", hint="install it (Debian, Ubuntu: apt install adb)"
            ) from error
        except ProgramTimeout as error:
            raise UnreachableError(
                f"{self.device}: adb {words[0]}: no answer in {self._patience.connect:g} s",
                hint="if it stays so: adb kill-server, and plug the device in again",
            ) from error

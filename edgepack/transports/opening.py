"""The way to each kind of device, on one page."""

from typing import assert_never

from edgepack.domain.device import AdbDevice, Device, LocalDevice, SshDevice
from edgepack.domain.progress import Progress, Silent
from edgepack.transports.adb import AdbLink
from edgepack.transports.local import LocalLink
from edgepack.transports.protocol import Link, Patience, Transport
from edgepack.transports.ssh import SshLink
from edgepack.transports.transport import ShellTransport

_SILENT = Silent()
_PATIENT = Patience()


def open_transport(
    device: Device, *, root: str = "", progress: Progress = _SILENT, patience: Patience = _PATIENT
) -> Transport:
    """Connect to the device, find edgepack's place there (`root`, if it is given), and sweep it.

    Raises DeviceError for a device that cannot be reached, or has no place where programs may run.
    """
    return ShellTransport(_link(device, patience), root=root, progress=progress, patience=patience)


def _link(device: Device, patience: Patience) -> Link:
    match device:
        case LocalDevice():
            return LocalLink()
        case SshDevice():
            return SshLink(device, patience=patience)
        case AdbDevice():
            return AdbLink(device, patience=patience)
        case _:
            assert_never(device)

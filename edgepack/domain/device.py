"""Where a command shall run: this machine, a machine behind ssh, or a device behind adb. Reaches nothing."""

import re
from dataclasses import dataclass
from typing import TypeAlias

from edgepack.domain.errors import UsageError

LOCAL = "local"

# Nothing that a shell or ssh's ProxyCommand could take for more than a name, and no leading dash.
_USER = r"[A-Za-z0-9_][A-Za-z0-9_.+-]*"
_NAME = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*)"
_IPV6 = r"[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(?:%[A-Za-z0-9_.-]+)?"
_SSH = re.compile(
    rf"(?:(?P<user>{_USER})@)?(?:(?P<name>{_NAME})|\[(?P<ipv6>{_IPV6})\])(?::(?P<port>[0-9]{{1,5}}))?/?"
)
_SERIAL = re.compile(r"[A-Za-z0-9\[][A-Za-z0-9._:%\[\]-]*")
_PORTS = range(1, 1 << 16)
_WAYS = "write local, ssh://[user@]host[:port] or adb://[serial]"


@dataclass(frozen=True, kw_only=True, slots=True)
class LocalDevice:
    """This machine."""

    def __str__(self) -> str:
        return LOCAL


@dataclass(frozen=True, kw_only=True, slots=True)
class SshDevice:
    """A machine behind ssh; `host` may be an alias of the user's ssh configuration, which also fills what is None."""

    host: str
    user: str | None = None
    port: int | None = None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port is None else f":{self.port}"
        return f"ssh://{self.login_prefix}{host}{port}"

    @property
    def login_prefix(self) -> str:
        """`user@`, where a user is named."""
        return f"{self.user}@" if self.user else ""


@dataclass(frozen=True, kw_only=True, slots=True)
class AdbDevice:
    """A device behind adb; without a serial the only one that is attached, or ANDROID_SERIAL's."""

    serial: str | None = None

    def __str__(self) -> str:
        return f"adb://{self.serial or ''}"


Device: TypeAlias = LocalDevice | SshDevice | AdbDevice


def parse_device(text: str) -> Device:
    """The device that `text` names; its str() is that text again. Raises UsageError."""
    if text == LOCAL:
        return LocalDevice()
    scheme, mark, rest = text.partition("://")
    if mark and scheme == "ssh":
        return _ssh(rest)
    if mark and scheme == "adb":
        return _adb(rest)
    raise UsageError(f"device {_without_login(text)!r}: no such kind of device", hint=_WAYS)


def _ssh(address: str) -> SshDevice:
    if ":" in address.rpartition("@")[0]:
        raise UsageError(
            f"device ssh://{address.rpartition('@')[2]}: a password does not belong into an address",
            hint="write ssh://user@host, and log in by key: ssh-copy-id installs one",
        )
    found = _SSH.fullmatch(address)
    port = int(found["port"]) if found and found["port"] else None
    if not found or (port is not None and port not in _PORTS):
        raise UsageError(f"device {_without_login(f'ssh://{address}')!r}: not an address", hint=_WAYS)
    return SshDevice(host=found["name"] or found["ipv6"], user=found["user"], port=port)


def _adb(serial: str) -> AdbDevice:
    if serial and not _SERIAL.fullmatch(serial):
        raise UsageError(f"device {f'adb://{serial}'!r}: not a serial", hint=f"{_WAYS}; `adb devices` shows serials")
    return AdbDevice(serial=serial or None)


def _without_login(text: str) -> str:
    """The text as it may be shown: a mistyped address may hold a password."""
    head, at, tail = text.rpartition("@")
    return f"{head.partition('://')[0]}://…@{tail}" if at and "://" in head else tail

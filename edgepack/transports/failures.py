"""How reaching a device fails, as types; and what the words of ssh and adb mean for the user."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from edgepack.domain.errors import DeviceError


class UnreachableError(DeviceError):
    """No connection could be made; another attempt may make one."""


class RefusedError(DeviceError):
    """The device, or the program that leads there, says no; another attempt would hear the same."""


class LostError(DeviceError):
    """The connection went away while something ran on the device."""


class DeviceTimeoutError(DeviceError):
    """A command took longer than it was given, and was ended."""


class GarbledError(DeviceError):
    """What arrived, there or here, is not what was sent."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Symptom:
    """Words of ssh or adb, and what they mean.

    `words` is a regular expression; `what` and `hint` may use its groups and the facts that `diagnose` is given.
    """

    words: str
    what: str
    hint: str
    kind: type[DeviceError]


def diagnose(symptoms: Sequence[Symptom], text: str, **facts: str) -> DeviceError | None:
    """The error that `text` speaks of; None where no symptom is found. The first symptom counts.

    `facts` must name the `device`; what the words' groups caught fills the places {0}, {1}, ….
    """
    for symptom in symptoms:
        if found := re.search(symptom.words, text, re.MULTILINE):
            groups = [group or "" for group in found.groups()]
            what = f"{facts['device']}: {symptom.what.format(*groups, **facts)}"
            return symptom.kind(what, hint=symptom.hint.format(*groups, **facts))
    return None


def last_line(text: str) -> str:
    """The last line that says something, as programs end with their reason."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""

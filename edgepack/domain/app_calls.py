"""What an Android app's process may ask of the kernel, and whether a program keeps to it; it reads no program."""

from collections.abc import Mapping
from dataclasses import dataclass

from edgepack.domain.aarch64 import Calls

_PLACES = 3
"""Places an error names; the rest are counted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AppCalls:
    """The rules: for each Android the numbers that an app may use, their names, and calls that are never made."""

    allowed: Mapping[str, frozenset[int]]
    names: Mapping[int, str]
    never_made: Mapping[str, str]
    """Name of a call that static musl programs contain -> why an app's server does not come there."""

    def excused(self, calls: Calls) -> tuple[str, ...]:
        """Calls off a list that are never made, as the rules say."""
        return tuple(
            self._name(number) for number in calls.numbers if self._forbidden(number) and self._excuse(number)
        )

    def faults(self, calls: Calls) -> tuple[str, ...]:
        """Why Android would end such a program; none where it would not."""
        forbidden = (
            f"{self._name(number)} ({number}), not allowed on Android {', '.join(versions)}{_at(places)}"
            for number, places in calls.numbers.items()
            if (versions := self._forbidden(number)) and not self._excuse(number)
        )
        unknown = [f"a system call whose number cannot be found{_at(calls.unknown)}"] if calls.unknown else []
        return (*forbidden, *unknown)

    def _forbidden(self, number: int) -> tuple[str, ...]:
        return tuple(version for version, allowed in self.allowed.items() if number not in allowed)

    def _excuse(self, number: int) -> str | None:
        return self.never_made.get(self._name(number))

    def _name(self, number: int) -> str:
        return self.names.get(number, f"call {number}")


def _at(places: tuple[int, ...]) -> str:
    more = f" and {len(places) - _PLACES} more" if len(places) > _PLACES else ""
    return f", at {', '.join(f'0x{place:x}' for place in places[:_PLACES])}{more}"

"""What installing an app on a telephone came to: Android's words for a refusal, and the app's own self-test."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from edgepack.domain.errors import DeviceError, EdgepackError, NoSpaceError, VerificationError
from edgepack.domain.measurement import Measurement
from edgepack.domain.measurement_json import parse_measurement
from edgepack.domain.reading import Table

SCHEMA = "edgepack.selftest/1"
_HINT = "build the app with this edgepack, and install it again"
_REFUSALS: Mapping[str, tuple[str, str]] = {
    "UPDATE_INCOMPATIBLE": (
        "an app of that name is there, signed with another key",
        "remove it there (adb uninstall dev.edgepack.demo), or sign with its key (--release-key)",
    ),
    "VERSION_DOWNGRADE": ("a newer version is there", "remove it there: adb uninstall dev.edgepack.demo"),
    "NO_MATCHING_ABIS": ("it runs no arm64 programs", "take a telephone with a 64-bit ARM processor"),
    "OLDER_SDK": ("its Android is older than 8", "take a newer one"),
    "USER_RESTRICTED": ("somebody has to allow it there", "allow installing over USB in its developer options"),
    "VERIFICATION_FAILURE": ("its own check of apps refused it", "turn off verifying apps over USB there"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class SelfTest:
    """What the installed app found: the model's answer, and a measurement on that telephone."""

    bundle: str
    answer: str
    milliseconds_to_first_token: int
    measurement: Measurement


@dataclass(frozen=True, kw_only=True, slots=True)
class Installed:
    """An app on a telephone."""

    device: str
    package: str
    payload_digest: str
    size: int
    beside: int
    """Bytes that were pushed beside it."""
    selftest: SelfTest | None


def refusal(device: str, said: str) -> EdgepackError | None:
    """What Android's package manager means; None where it says Success. Its exit status is not to be trusted."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    if "Success" in lines:
        return None
    failure = next(
        (line for line in lines if line.startswith(("Failure", "Error"))), lines[-1] if lines else "no word"
    )
    if "INSUFFICIENT_STORAGE" in failure or "No space left" in failure:
        return NoSpaceError(f"{device}: no room for the app", hint="free some storage there, and run it again")
    for code, (what, hint) in _REFUSALS.items():
        if code in failure:
            return DeviceError(f"{device}: the app was not installed: {what}", hint=hint)
    return DeviceError(f"{device}: the app was not installed: {failure[:200]}", hint="see adb logcat for why")


def parse_selftest(text: str, *, device: str) -> SelfTest:
    """Read the app's record. Raises VerificationError, NoSpaceError or DeviceError where its test failed."""
    try:
        values = json.loads(text)
    except ValueError as error:
        raise DeviceError(f"{device}: the self-test's record is no JSON: {error}", hint=_HINT) from error
    table = Table(values if isinstance(values, dict) else {}, subject=f"{device}: self-test", hint=_HINT)
    if table.text("schema") != SCHEMA:
        table.fail("schema", f"expected {SCHEMA}")
    if not table.flag("passed"):
        raise _failed(device, table.text("problem"), table.free_text("detail"))
    table.text("weights")
    table.free_text("prompt")
    test = SelfTest(
        bundle=table.text("bundle"), answer=table.free_text("answer"),
        milliseconds_to_first_token=table.whole("milliseconds_to_first_token"),
        measurement=parse_measurement(values["measurement"], subject=f"{device}: measurement"),
    )  # fmt: skip
    table.table("measurement")
    table.finish()
    return test


def _failed(device: str, problem: str, detail: str) -> EdgepackError:
    lines = [line for line in detail.splitlines() if line.strip()]
    what = f"{device}: the self-test failed: {problem}: {lines[0][:200] if lines else ''}"
    match problem:
        case "NO_SPACE":
            return NoSpaceError(what, hint="free some storage there, and run it again")
        case "DAMAGED" | "UNREADABLE" | "NO_MODEL":
            return VerificationError(what, hint="build the app again, and install it again")
        case _:
            return DeviceError(what, hint="close other apps there, and run it again; adb logcat says more")

"""An app brought to a telephone, installed, and tested there; adb's own `install` is not needed for it.

The APK is pushed as everything is, so that a pulled cable costs nothing, and handed to the package manager there.
"""

import json
import time
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from edgepack.domain.app import ACTIVITY, BESIDE, PACKAGE
from edgepack.domain.device import Device
from edgepack.domain.errors import DeviceError
from edgepack.domain.installing import Installed, SelfTest, parse_selftest, refusal
from edgepack.domain.measurement import Workload
from edgepack.domain.measurement_json import measurement_json
from edgepack.domain.progress import Progress
from edgepack.formats.checking import Checked, check_bundle
from edgepack.formats.opening import open_bundle
from edgepack.infra.digests import sha256_of
from edgepack.transports.opening import open_transport
from edgepack.transports.protocol import MINUTE, Transport

_INSTALLING = 15 * MINUTE
"""Seconds; Android compiles and checks an app while it installs it."""
_SELFTEST = 60 * MINUTE
_LOOK = 1.0
"""Seconds between two looks for the self-test's record."""
_INSTALL = 'exec pm install -r -S "$1" <"$2"'
_STORAGE = 'printf "%s\\n" "${EXTERNAL_STORAGE:-/sdcard}"'
_MOVE = 'mkdir -p "${2%/*}" && mv -f "$1" "$2"'


def install(
    apk: Path, device: Device, *, selftest: bool, workload: Workload, measurement: Path | None, progress: Progress
) -> Installed:
    """Install the app, push what lies beside it, and let it test itself; the measurement goes into a file.

    Raises VerificationError where the APK is not what it says or the test fails, NoSpaceError, DeviceError.
    """
    with closing(open_bundle(apk)) as reader:
        checked = check_bundle(reader, apk, progress)
    with open_transport(device, progress=progress) as transport:
        _hand_over(transport, apk, progress)
        storage = f"{_words(transport, _STORAGE)}/Android/data/{PACKAGE}/files"
        beside = _push_beside(transport, apk, checked, storage, progress)
        found = _tested(transport, storage, workload, progress) if selftest else None
    if found and measurement:
        measurement.write_text(json.dumps(measurement_json(found.measurement), indent=2) + "\n", encoding="utf-8")
    return Installed(
        device=str(device), package=PACKAGE, payload_digest=checked.payload_digest, size=apk.stat().st_size,
        beside=beside, selftest=found,
    )  # fmt: skip


def _hand_over(transport: Transport, apk: Path, progress: Progress) -> None:
    progress.step(f"bringing {apk.name} to {transport.device}")
    place = transport.push(apk, sha256=sha256_of(apk))
    progress.step("installing")
    size = str(apk.stat().st_size)
    done = transport.run(["sh", "-c", _INSTALL, "sh", size, place], timeout=_INSTALLING)
    if error := refusal(str(transport.device), f"{done.stdout}\n{done.stderr}"):
        raise error
    transport.remove(place)


def _push_beside(transport: Transport, apk: Path, checked: Checked, storage: str, progress: Progress) -> int:
    """Bring what is too large for an APK to the app's own directory there; its bytes."""
    directory, brought = apk.with_suffix(BESIDE), 0
    for file in checked.manifest.files if directory.is_dir() else ():
        source = directory / file.path
        if source.is_file():
            progress.step(f"bringing {file.path} to {transport.device}")
            pushed = transport.push(source, sha256=file.sha256)
            done = transport.run(
                ["sh", "-c", _MOVE, "sh", pushed, f"{storage}/bundle/{file.path}"], timeout=_INSTALLING
            )
            if done.status:
                raise DeviceError(
                    f"{transport.device}: {file.path} cannot be put beside the app: {done.stderr.strip()[:200]}",
                    hint=f"start the app there once, so that it makes {storage}, and run it again",
                )
            brought += file.size
    return brought


def _tested(transport: Transport, storage: str, workload: Workload, progress: Progress) -> SelfTest:
    """The app started with a wish, and the record that it leaves."""
    progress.step(f"self-test on {transport.device}")
    record = f"{storage}/selftest.json"
    transport.run(["rm", "-f", record])
    numbers = {"prompt": workload.prompt_tokens, "generate": workload.generated_tokens, "repeats": workload.repeats}
    extras = [word for name, value in numbers.items() for word in ("--ei", name, str(value))]
    done = transport.run(["am", "start", "-S", "-n", ACTIVITY, "--ez", "selftest", "true", *extras])
    said = f"{done.stdout}\n{done.stderr}"
    if done.status or "Error" in said:
        last = [line for line in said.splitlines() if line.strip()][-1:] or ["no word"]
        raise DeviceError(
            f"{transport.device}: the app does not start: {last[0]}", hint="unlock its screen, and see adb logcat"
        )
    until = time.monotonic() + _SELFTEST
    while not transport.exists(record):
        if time.monotonic() > until:
            raise DeviceError(
                f"{transport.device}: the app tells nothing of its self-test", hint="look at its screen"
            )
        time.sleep(_LOOK)
    with TemporaryDirectory(prefix="edgepack-") as scratch:
        target = Path(scratch) / "selftest.json"
        transport.pull(record, target)
        return parse_selftest(target.read_text(encoding="utf-8", errors="replace"), device=str(transport.device))


def _words(transport: Transport, script: str) -> str:
    return transport.run(["sh", "-c", script]).stdout.strip()

"""Connections cut, and edgepack killed, at seeded moments: no half file is ever used, nothing is left running."""

import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen

import pytest

from edgepack.domain.progress import Silent
from edgepack.transports.failures import LostError, UnreachableError
from edgepack.transports.protocol import Transport
from tests.transports.labs import Lab, eventually

pytestmark = pytest.mark.slow

CUTS = 20
SIZE = 48_000_007
WAYS = pytest.mark.parametrize("lab", ["ssh", "ssh-busybox", "adb", "adb-terminal"], indirect=True)
PUSHER = """
import sys
from pathlib import Path
from edgepack.domain.device import parse_device
from edgepack.transports.opening import open_transport
from edgepack.transports.protocol import Patience
with open_transport(parse_device(sys.argv[1]), patience=Patience(beat=0.5, silence=2)) as device:
    print("connected", flush=True)
    if sys.argv[2]:
        device.push(Path(sys.argv[2]), sha256=sys.argv[3])
    else:
        device.run(["sleep", "600"], timeout=600)
"""


class Heard(Silent):
    """Keeps the warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A file that takes a while, and its digest."""
    path = tmp_path_factory.mktemp("weights") / "weights"
    data = random.Random(4).randbytes(SIZE)
    path.write_bytes(data)
    return path, sha256(data).hexdigest()


def moments(seconds: float) -> Iterator[float]:
    """Seeded moments, one in each twentieth of the time, in no order."""
    seeded = random.Random(7)
    spread = [(number + seeded.random()) * seconds / CUTS for number in range(CUTS)]
    seeded.shuffle(spread)
    yield from spread


@contextmanager
def after(seconds: float, happen: Callable[[], None]) -> Iterator[None]:
    """Let something happen beside the block, so many seconds after its begin."""
    timer = threading.Timer(seconds, happen)
    timer.start()
    try:
        yield
    finally:
        timer.join()


def whole_or_absent(lab: Lab, digest: str) -> bool:
    """Whether the file has its name; then all of it is there."""
    try:
        data = (lab.root / "files" / digest).read_bytes()
    except FileNotFoundError:
        return False
    assert sha256(data).hexdigest() == digest
    return True


def seconds_of(work: Callable[[], object]) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started


@WAYS
def test_a_push_is_cut_and_goes_on(lab: Lab, device: Transport, weights: tuple[Path, str]) -> None:
    source, digest = weights
    seconds = seconds_of(lambda: device.push(source, sha256=digest))
    assert whole_or_absent(lab, digest)
    noticed = resumed = 0
    for moment in moments(seconds):
        lab.clear()
        heard = Heard()
        begun = 0

        def cut() -> None:
            nonlocal begun
            lab.cut()
            whole_or_absent(lab, digest)
            begun = sum(part.stat().st_size for part in (lab.root / "files").glob("*.part"))

        with lab.open(progress=heard) as battered:
            with after(moment, cut):
                battered.push(source, sha256=digest)
            assert whole_or_absent(lab, digest)
            assert lab.files == [digest]
        assert eventually(lambda: not lab.processes()), lab.processes()
        assert lab.runs == []
        noticed += bool(heard.warnings)
        resumed += begun > 0
    print(f"{lab.name}: {CUTS} cuts over {seconds:.2f} s, {noticed} noticed, {resumed} with a beginning there")
    assert noticed >= CUTS // 2, "the cuts missed the push"


@WAYS
def test_a_command_is_cut_and_never_gets_half_its_input(lab: Lab, device: Transport) -> None:
    """It runs whole, or is lost with all that it started; none begins before its input is there."""
    data = random.Random(5).randbytes(3_000_000)
    words = [
        "sh",
        "-c",
        'sha256sum >>"$1"; sleep 0.4 & setsid sleep 0.4; wait; echo end',
        "sh",
        str(lab.home / "log"),
    ]
    seconds = seconds_of(lambda: device.run(words, stdin=data))
    lost = 0
    for moment in moments(seconds):
        with lab.open() as battered, after(moment, lab.cut):
            try:
                assert battered.run(words, stdin=data).stdout == "end\n"
            except (LostError, UnreachableError):
                lost += 1
            assert eventually(lambda: not lab.processes()), lab.processes()
            assert lab.runs == []
    digests = {line.split()[0] for line in (lab.home / "log").read_text().splitlines()}
    (lab.home / "log").unlink()
    assert digests == {sha256(data).hexdigest()}
    print(f"{lab.name}: {CUTS} cuts over {seconds:.2f} s, {lost} lost")
    assert lost >= CUTS // 2, "the cuts missed the command"


@contextmanager
def other_process(lab: Lab, *words: str) -> Iterator[Popen[str]]:
    """edgepack in a process of its own, connected."""
    process = Popen(
        [sys.executable, "-c", PUSHER, str(lab.device), *words],
        stdin=DEVNULL, stdout=PIPE, stderr=PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        assert process.stdout
        assert process.stdout.readline() == "connected\n", process.stderr and process.stderr.read()
        yield process
    finally:
        process.kill()
        process.communicate()


def test_edgepack_is_killed_and_the_next_one_goes_on(lab: Lab, device: Transport, weights: tuple[Path, str]) -> None:
    source, digest = weights
    seconds = seconds_of(lambda: device.push(source, sha256=digest))
    begun = 0
    for moment in list(moments(seconds))[:6]:
        lab.clear()
        with other_process(lab, str(source), digest) as process:
            time.sleep(moment)
            process.send_signal(signal.SIGKILL)
        assert eventually(lambda: not lab.processes()), lab.processes()
        whole_or_absent(lab, digest)
        begun += lab.files == [f"{digest}.part"]
        device.push(source, sha256=digest)
        assert whole_or_absent(lab, digest)
        assert lab.files == [digest]
        assert lab.runs == []
    assert begun, "the kills missed the push"


def test_edgepack_is_killed_and_its_command_is_ended(lab: Lab) -> None:
    with other_process(lab, "") as process:
        assert eventually(lambda: "sleep 600" in "".join(lab.processes().values()))
        process.send_signal(signal.SIGKILL)
    assert eventually(lambda: not lab.processes()), lab.processes()
    assert lab.runs == []

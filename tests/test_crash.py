"""A build that is killed or interrupted at any moment: the next one gives the same bytes, and leaves nothing else."""

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen

import pytest

from edgepack.domain.errors import ExitCode

pytestmark = pytest.mark.slow

KILLS = 50
PATIENCE = 120.0
"""Seconds after which a build counts as hung."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """One build's own store and destination."""

    root: Path

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def out(self) -> Path:
        return self.root / "out" / "bundle"

    @property
    def unfinished(self) -> list[Path]:
        """What a maker has not given its name yet, in the store or beside the bundle."""
        return [*self.home.glob("partial/*"), *self.out.parent.glob(".bundle*")]


def start(place: Place, *arguments: str) -> Popen[str]:
    place.out.parent.mkdir(parents=True, exist_ok=True)
    words = arguments or (
        "build", "--profile", "rpi5", "--model", "demo", "--no-bench", "--json", "--out", str(place.out),
    )  # fmt: skip
    return Popen(
        [sys.executable, "-m", "edgepack", *words],
        env={**os.environ, "EDGEPACK_HOME": str(place.home)},
        stdin=DEVNULL, stdout=PIPE, stderr=PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def finish(place: Place) -> str:
    """Build to the end; the payload's digest."""
    out, err = start(place).communicate(timeout=PATIENCE)
    assert out, err
    digest: str = json.loads(out)["built"]["payload_digest"]
    return digest


def prune(place: Place) -> int:
    out, err = start(place, "cache", "prune", "--json").communicate(timeout=PATIENCE)
    assert out, err
    leftovers: int = json.loads(out)["leftovers"]
    return leftovers


def wait_until(process: Popen[str], happened: Callable[[], bool], seconds: float) -> None:
    """Return when it happened, the process ended, or time is up."""
    until = time.monotonic() + seconds
    while not happened() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.0005)


def kill(process: Popen[str]) -> bool:
    """End the whole group at once, as a power cut would; whether it was still at work."""
    alive = process.poll() is None
    if alive:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return alive


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, float]:
    """The payload's digest of a build in peace, and the seconds that it took."""
    place = Place(root=tmp_path_factory.mktemp("undisturbed"))
    started = time.monotonic()
    return finish(place), time.monotonic() - started


def moments(seconds: float) -> Iterator[float]:
    """Seeded moments, one in each fiftieth of the run, in no order."""
    seeded = random.Random(2)
    spread = [(number + seeded.random()) * seconds / KILLS for number in range(KILLS)]
    seeded.shuffle(spread)
    yield from spread


def whole_or_absent(place: Place, digest: str) -> None:
    """A bundle that already has its name is a whole one."""
    if place.out.exists():
        out, err = start(place, "verify", "--no-run", "--json", str(place.out)).communicate(timeout=PATIENCE)
        assert out, err
        assert json.loads(out)["payload_digest"] == digest


def goes_on(place: Place, digest: str) -> None:
    """The next build gives the same payload; after a prune nothing is left but the bundle."""
    assert finish(place) == digest
    assert [path.name for path in place.out.parent.iterdir()] == ["bundle"]


def test_a_build_after_a_kill_at_any_moment_gives_the_same_payload(
    undisturbed: tuple[str, float], tmp_path: Path
) -> None:
    """Half of the kills hit a fresh store, half the store and bundle that the kills before left behind."""
    digest, seconds = undisturbed
    at_work = leftovers = named = 0
    battered = Place(root=tmp_path / "battered")
    for number, moment in enumerate(moments(seconds)):
        place = battered if number % 2 else Place(root=tmp_path / f"{number}")
        process = start(place)
        wait_until(process, lambda: False, moment)
        at_work += kill(process)
        leftovers += bool(place.unfinished)
        if place.out.exists():
            named += 1
            whole_or_absent(place, digest)
        if place is not battered:
            goes_on(place, digest)
            prune(place)
            assert place.unfinished == []
    goes_on(battered, digest)
    prune(battered)
    assert battered.unfinished == []
    print(
        f"{KILLS} kills over {seconds:.1f} s: {at_work} at work, {leftovers} left something, {named} after the rename"
    )
    assert at_work >= KILLS // 2, "the moments missed the run"


APPEARANCES: dict[str, Callable[[Place], bool]] = {
    "the digest memo": lambda place: any(place.home.glob("hub/digests/*")),
    "the lock": lambda place: any(place.home.glob("locks/*.lock")),
    "the maker's directory": lambda place: any(place.home.glob("partial/*")),
    "the first bytes of weights": lambda place: any(place.home.glob("partial/*/*.gguf")),
    "the record of the weights": lambda place: any(place.home.glob("partial/*/weights.json")),
    "the entry": lambda place: any(place.home.glob("store/*/*")),
    "the bundle's directory": lambda place: any(place.out.parent.glob(".bundle*")),
    "the bundle's first file": lambda place: any(place.out.parent.glob(".bundle*/new/*")),
    "the bundle's weights": lambda place: any(place.out.parent.glob(".bundle*/new/model/*")),
    "the bundle": lambda place: place.out.exists(),
}


@pytest.mark.parametrize("name", APPEARANCES)
def test_a_build_after_a_kill_as_something_appears_gives_the_same_payload(
    name: str, undisturbed: tuple[str, float], tmp_path: Path
) -> None:
    digest, _ = undisturbed
    place = Place(root=tmp_path)
    process = start(place)
    wait_until(process, lambda: APPEARANCES[name](place), PATIENCE)
    assert APPEARANCES[name](place)
    kill(process)
    whole_or_absent(place, digest)
    goes_on(place, digest)
    prune(place)
    assert place.unfinished == []


def test_a_converted_file_appears_whole_after_a_kill(tmp_path: Path) -> None:
    """`edgepack convert` past the store: killed while it writes, then run again, it leaves one file."""
    place = Place(root=tmp_path)
    out = tmp_path / "out" / "weights.gguf"
    words = ("convert", "demo", "--quant", "Q4_K_M", "--out", str(out), "--json")
    process = start(place, *words)
    wait_until(process, lambda: any(out.parent.glob(".weights*/*")), PATIENCE)
    kill(process)
    assert not out.exists()
    assert start(place, *words).wait(timeout=PATIENCE) == ExitCode.DONE
    assert [path.name for path in out.parent.iterdir()] == ["weights.gguf"]


@pytest.mark.parametrize("share", [0.35, 0.5, 0.65, 0.75, 0.85, 0.95])
def test_an_interrupted_build_says_so_in_one_line(
    share: float, undisturbed: tuple[str, float], tmp_path: Path
) -> None:
    """Exit code 130, no traceback, nothing unfinished; unless the build had ended already."""
    digest, seconds = undisturbed
    place = Place(root=tmp_path)
    process = start(place)
    wait_until(process, lambda: False, share * seconds)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    lines = [line for line in err.splitlines() if line and not line.startswith("==>")]
    if process.returncode == ExitCode.DONE:
        assert json.loads(out)["built"]["payload_digest"] == digest
        assert lines == []
    else:
        assert (process.returncode, out) == (ExitCode.INTERRUPTED, ""), err
        assert len(lines) == 1, err
        assert lines[0].startswith("interrupted;")
        assert place.unfinished == []
    goes_on(place, digest)


def test_two_builds_at_once_share_one_conversion(undisturbed: tuple[str, float], tmp_path: Path) -> None:
    digest, _ = undisturbed
    places = [Place(root=tmp_path / name) for name in ("one", "two")]
    (tmp_path / "two").mkdir()
    (tmp_path / "one" / "home").mkdir(parents=True)
    (tmp_path / "two" / "home").symlink_to(tmp_path / "one" / "home")
    ended = [process.communicate(timeout=PATIENCE) for process in [start(place) for place in places]]
    assert [json.loads(out)["built"]["payload_digest"] for out, _ in ended] == [digest, digest]
    assert sum("converting demo-5m to Q8_0" in err for _, err in ended) == 1
    assert sum("stands in the store" in err for _, err in ended) == 1
    assert len(list(places[0].home.glob("store/*/*"))) == 1

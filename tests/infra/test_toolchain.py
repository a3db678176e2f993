"""The pinned build tools: kept wheels are enough, by their digest alone, and nothing in them leads elsewhere."""

import stat
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest

from edgepack.domain.errors import BadInputError, NetworkError
from edgepack.domain.progress import Silent
from edgepack.infra import toolchain as module
from edgepack.infra.pins import PinnedTool, pinned_tools
from edgepack.infra.store import home
from edgepack.infra.toolchain import compiler, toolchain

PROGRAMS = {"ziglang": "ziglang/zig", "cmake": "cmake/data/bin/cmake", "ninja": "ninja-1.data/scripts/ninja"}


def wheel(name: str, members: dict[str, int]) -> str:
    """A wheel of that name in the store, its members by mode; its sha256."""
    path = home() / "vendor" / f"{name}-1-py3-none-any.whl"
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w") as opened:
        for member, mode in members.items():
            information = zipfile.ZipInfo(member)
            information.external_attr = mode << 16
            opened.writestr(information, b"#!/bin/sh\n")
    return sha256(path.read_bytes()).hexdigest()


def pin(monkeypatch: pytest.MonkeyPatch, digests: dict[str, str]) -> None:
    tools = tuple(PinnedTool(name=name, version="1", digests=(digest,)) for name, digest in digests.items())
    monkeypatch.setattr(module, "pinned_tools", lambda: tools)


def test_every_tool_is_pinned_by_digest() -> None:
    assert [tool.name for tool in pinned_tools()] == ["ziglang", "cmake", "ninja"]
    assert all(len(tool.digests) == 3 for tool in pinned_tools())


def test_kept_wheels_are_unpacked_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pin(monkeypatch, {name: wheel(name, {path: stat.S_IFREG | 0o755}) for name, path in PROGRAMS.items()})
    tools = toolchain(tmp_path / "tools", offline=True, progress=Silent())
    assert [path.name for path in (tools.zig, tools.cmake, tools.ninja)] == ["zig", "cmake", "ninja"]
    assert all(path.stat().st_mode & stat.S_IXUSR for path in (tools.zig, tools.cmake, tools.ninja))


def test_the_compiler_alone_needs_no_other_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pin(monkeypatch, {"ziglang": wheel("ziglang", {PROGRAMS["ziglang"]: stat.S_IFREG | 0o755}), "cmake": "0" * 64})
    assert compiler(tmp_path / "tools", offline=True, progress=Silent()).name == "zig"


def test_a_wheel_with_another_digest_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel("ziglang", {"ziglang/zig": stat.S_IFREG | 0o755})
    pin(monkeypatch, {"ziglang": "0" * 64})
    with pytest.raises(NetworkError, match="ziglang 1: not here, and --offline"):
        toolchain(tmp_path / "tools", offline=True, progress=Silent())


@pytest.mark.parametrize(
    ("member", "mode"), [("../escaped", 0o644), ("/etc/escaped", 0o644), ("ziglang/zig", stat.S_IFLNK | 0o777)]
)
def test_a_wheel_that_leads_elsewhere_is_refused(
    member: str, mode: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pin(monkeypatch, {"ziglang": wheel("ziglang", {member: mode})})
    with pytest.raises(BadInputError, match="leads out of it"):
        toolchain(tmp_path / "tools", offline=True, progress=Silent())
    assert not list(tmp_path.rglob("escaped"))

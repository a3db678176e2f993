"""The packages that ride in an encoder's bundle: pinned, unpacked once, whole or not at all."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from edgepack.domain.bundle import WheelPlatform
from edgepack.domain.errors import (
    EdgepackError,
    NetworkError,
    NothingFitsError,
    UsageError,
)
from edgepack.domain.progress import Silent
from edgepack.infra.wheels import pinned_wheels
from edgepack.pipeline import Built, build, prepare
from edgepack.stages.verify import verify
from tests.fakes.encoder_bundles import order, started, with_wheels


def test_wheels_are_unpacked_once_and_found_first(built: Built, tmp_path: Path) -> None:
    bundle = with_wheels(built, tmp_path, {"tokenizers/__init__.py": "raise SystemExit('the unpacked one')"})
    assert "wheels/numpy-" in (bundle / "SHA256SUMS").read_text()
    found = verify(bundle, run_model=True, progress=Silent())
    assert len([path for path in found.manifest.licences if "wheel-" in path]) == 3
    first, second = (started(bundle, "run", "hello") for _ in range(2))
    assert "unpacking 3 wheels" in first.stderr
    assert "unpacking" not in second.stderr
    assert "the unpacked one" in first.stderr
    assert "the unpacked one" in second.stderr


def test_what_a_killed_one_left_is_cleared_away(built: Built, tmp_path: Path) -> None:
    """A half that nobody finished never gets the name, and is gone when the next has the lock."""
    bundle = with_wheels(built, tmp_path, {"probe.txt": "hello"})
    assert started(bundle, "run", "hello").returncode == 0
    cache = tmp_path / "cache"
    (place,) = (path for path in cache.glob("packages-*") if path.is_dir())
    assert (place / "probe.txt").read_text() == "hello"
    half = place.with_name(f"{place.name}-half-abcdefgh")
    place.rename(half)
    (half / "probe.txt").unlink()
    assert started(bundle, "run", "hello").returncode == 0
    assert (place / "probe.txt").is_file()
    assert not half.exists()


def test_eight_starts_at_once_unpack_once(built: Built, tmp_path: Path) -> None:
    bundle = with_wheels(built, tmp_path, {"probe.txt": "hello"})
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda _: started(bundle, "run", "hello"), range(8)))
    assert {one.returncode for one in done} == {0}
    assert sum("unpacking" in one.stderr for one in done) == 1


@pytest.mark.parametrize("name", ["../stray.txt", "/tmp/stray.txt", "a/../../stray.txt"])
def test_a_wheel_that_leads_out_is_refused(built: Built, tmp_path: Path, name: str) -> None:
    bundle = with_wheels(built, tmp_path, {name: "out"})
    done = started(bundle, "run", "hello")
    assert done.returncode == 7
    assert "leads out of it" in done.stderr
    assert not list(tmp_path.rglob("stray.txt"))


def test_wheels_for_another_python_are_left_packed(built: Built, tmp_path: Path) -> None:
    """This Python has the packages itself; one that has none is told what the wheels are for."""
    bundle = with_wheels(built, tmp_path, {}, python="3.99")
    done = started(bundle, "run", "hello")
    assert done.returncode == 0
    assert "unpacking" not in done.stderr
    bare = tmp_path / "bare"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "$@"\n')
    bare.chmod(0o755)
    done = started(bundle, "run", "hello", EDGEPACK_PYTHON=str(bare))
    assert done.returncode == 6
    assert "its wheels are for Python 3.99" in done.stderr


def test_wheels_that_cannot_be_had_are_a_network_error(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match="not here, and --offline"):
        build(order(checkpoint, tmp_path / "out", wheels=True, python="3.12", offline=True), Silent())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"wheels": True, "python": "3.9"}, NothingFitsError, "none for Python 3.9 on aarch64"),
        ({"wheels": True, "python": "three"}, UsageError, "'three' is not the version of a Python"),
        ({"wheels": True, "profile": "orange-pi-5"}, UsageError, "the profile does not say"),
        ({"python": "3.11"}, UsageError, "no wheels are asked for"),
    ],
)
def test_a_python_that_makes_no_sense_is_refused_before_any_work(
    checkpoint: Path, tmp_path: Path, changes: dict[str, object], error: type[EdgepackError], said: str
) -> None:
    with pytest.raises(error, match=said):
        prepare(order(checkpoint, tmp_path, **changes), Silent())


def test_every_pinned_wheel_has_a_digest_and_a_safe_name() -> None:
    for python in ("3.11", "3.12", "3.13", "3.14"):
        for architecture in ("aarch64", "x86_64"):
            wheels = pinned_wheels(WheelPlatform(python=python, architecture=architecture))
            assert [wheel.name for wheel in wheels] == ["numpy", "onnxruntime", "tokenizers"]
            assert all(architecture in wheel.file for wheel in wheels)

"""The pinned conversion scripts: the checkout's, or out of the pinned archive alone, and nothing else of it."""

import io
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pytest

from edgepack.domain.bundle import PinnedSource
from edgepack.domain.errors import NetworkError
from edgepack.domain.progress import Silent
from edgepack.infra import pinned_source
from edgepack.infra.pinned_source import conversion_scripts
from edgepack.infra.store import home

ROOT = "llama_cpp_python-1.2.3/vendor/llama.cpp"


@contextmanager
def pinned(monkeypatch: pytest.MonkeyPatch, vendor: Path, digest: str) -> Iterator[None]:
    """An installation without a checkout, whose pin is another archive."""
    pin = PinnedSource(name="llama-cpp-python", version="1.2.3", sha256=digest)
    with monkeypatch.context() as patch:
        patch.setattr(pinned_source, "llama_cpp_pin", lambda: pin)
        patch.setattr(pinned_source, "vendor_directory", lambda: vendor)
        yield


def archive(path: Path) -> str:
    """Scripts among much else, some of it hostile; returns the sha256."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as tar:
        for name in (
            f"{ROOT}/convert_hf_to_gguf.py", f"{ROOT}/conversion/base.py", f"{ROOT}/gguf-py/gguf/constants.py",
            f"{ROOT}/src/llama.cpp", f"{ROOT}/README.md", f"{ROOT}/conversion/../../../../../escaped.py",
            "/absolute.py", "../up.py", "llama_cpp_python-1.2.3/conversion/other.py",
        ):  # fmt: skip
            member = tarfile.TarInfo(name)
            member.size = 3
            tar.addfile(member, io.BytesIO(b"abc"))
        link = tarfile.TarInfo(f"{ROOT}/conversion/link.py")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    return sha256(path.read_bytes()).hexdigest()


def test_the_scripts_come_out_of_the_archive_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a network: an archive with the pinned digest is enough, and is unpacked once."""
    digest = archive(home() / "vendor" / "llama_cpp_python-1.2.3.tar.gz")
    with pinned(monkeypatch, tmp_path / "vendor", digest):
        scripts = conversion_scripts(offline=True, progress=Silent())
        assert conversion_scripts(offline=True, progress=Silent()) == scripts
    files = sorted(str(path.relative_to(scripts)) for path in scripts.rglob("*") if path.is_file())
    assert files == ["conversion/base.py", "convert_hf_to_gguf.py", "gguf-py/gguf/constants.py"]
    assert scripts.is_relative_to(home() / "store")
    assert not list(tmp_path.rglob("escaped.py"))


def test_a_checkout_has_them_already(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "cache" / ROOT / "convert_hf_to_gguf.py"
    script.parent.mkdir(parents=True)
    script.write_text("")
    with pinned(monkeypatch, tmp_path, "0" * 64):
        assert conversion_scripts(offline=True, progress=Silent()) == script.parent


def test_another_archive_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive(home() / "vendor" / "llama_cpp_python-1.2.3.tar.gz")
    with (
        pinned(monkeypatch, tmp_path / "vendor", "0" * 64),
        pytest.raises(NetworkError, match=r"llama-cpp-python 1\.2\.3: not here, and --offline"),
    ):
        conversion_scripts(offline=True, progress=Silent())
    assert not list((home() / "partial").iterdir())

"""What cannot become an app is refused before anything large is made."""

from dataclasses import replace
from pathlib import Path

import pytest

from edgepack.cli.main import run
from edgepack.domain.bundle import Format
from edgepack.domain.errors import ExitCode, UsageError
from edgepack.domain.native import NativeRuntime, RuntimeFile
from edgepack.domain.progress import Silent
from edgepack.domain.source import Demo, DemoSource
from edgepack.pipeline.app import refuse_encoder, signed_app
from edgepack.pipeline.order import Order

ORDER = Order(profile="galaxy-s23", source=DemoSource(name=Demo.SMALL), format=Format.APK)


def runtime(*names: str) -> NativeRuntime:
    files = tuple(RuntimeFile(name=name, path=Path("/none"), size=1, sha256="a" * 64) for name in names)
    return NativeRuntime(target="aarch64-linux-musl", origin="given", files=files)


@pytest.mark.parametrize("programs", [None, runtime("llama-server", "llama-bench"), runtime("llama", "router")])
def test_an_app_takes_llama_cpps_one_program(programs: NativeRuntime | None) -> None:
    with pytest.raises(UsageError, match="one program"):
        signed_app(programs, ORDER, Silent())


def test_an_apps_name_ends_in_apk() -> None:
    with pytest.raises(UsageError, match=r"ends in \.apk"):
        signed_app(runtime("llama"), replace(ORDER, out=Path("demo.zip")), Silent())


def test_an_encoder_is_refused() -> None:
    with pytest.raises(UsageError, match="no ONNX encoder"):
        refuse_encoder(ORDER)
    refuse_encoder(replace(ORDER, format=Format.TAR))


def test_a_release_key_is_for_apps(tmp_path: Path) -> None:
    (tmp_path / "key.p12").write_bytes(b"")
    words = ["build", "--profile", "host", "--model", "demo", "--release-key", str(tmp_path / "key.p12")]
    assert run(words) == ExitCode.USAGE

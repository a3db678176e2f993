"""A bundle with two models: both are in it, listed, checked and named; its scripts start what belongs together."""

import json
import os
import shutil
import subprocess
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from edgepack.domain.address import Address
from edgepack.domain.bundle import LARGE, BundledRoute, BundledRuntime, BundleFacts, Format, LargeModel
from edgepack.domain.confidence import Calibration, Signal
from edgepack.domain.errors import VerificationError
from edgepack.domain.native import ROUTER, UNIFIED, NativeRuntime, RuntimeFile
from edgepack.domain.progress import Silent
from edgepack.domain.quant import Quant
from edgepack.formats.checking import check
from edgepack.formats.opening import open_bundle
from edgepack.infra.digests import sha256_of
from edgepack.stages.bundle import write_bundle
from edgepack.stages.verify import verify
from tests.fakes.tiny_gguf import write_tiny_gguf
from tests.formats.bundles import FACTS, PLAIN_FORMATS, contents, fake_gguf
from tests.formats.test_scripts import SHELLS, call

ROUTE = BundledRoute(
    calibration=Calibration(intercept=-0.4, weights={Signal.PRODUCT: 1.5}),
    threshold=0.53,
    large=LargeModel(
        model=replace(FACTS.model, name="larger", origin="file:larger.gguf", revision=None), quantization=Quant.Q8_0
    ),
)
AWAY = replace(ROUTE, large=Address(url="http://10.0.0.2:8080/v1", model="larger"))
# Says which words it was started with, each in brackets.
PROGRAM = '#!/bin/sh\ncase " $* " in *" --help "*) exit 0 ;; esac\nfor word; do printf "<%s>" "$word"; done\necho\n'


def made(
    directory: Path,
    route: BundledRoute,
    *,
    format: Format = Format.DIR,
    small: Path | None = None,
    large: Path | None,
) -> Path:
    """With a llama and a router that only tell what they were told."""
    directory.mkdir(parents=True, exist_ok=True)
    files = []
    for name in (UNIFIED, ROUTER):
        path = directory / name
        path.write_text(PROGRAM.replace("for word", f'printf "{name}"; for word') if name == ROUTER else PROGRAM)
        files.append(RuntimeFile(name=name, path=path, size=path.stat().st_size, sha256=sha256_of(path)))
    runtime = NativeRuntime(target="x86_64-linux-musl", origin="given", files=tuple(files))
    native = BundledRuntime(target=runtime.target, origin=runtime.origin, digest=runtime.digest)
    facts: BundleFacts = replace(FACTS, route=route, native=native)
    return write_bundle(
        replace(contents(directory, facts=facts, weights=small), runtime=runtime, large=large),
        destination=directory / f"out/bundle{'.tar' if format is Format.TAR else ''}", format=format,
        progress=Silent(),
    ).path  # fmt: skip


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return made(tmp_path / "it's made", ROUTE, large=fake_gguf(tmp_path / "large", seed=2))


@pytest.mark.parametrize("format", PLAIN_FORMATS)
def test_both_models_are_listed_and_checked(format: Format, tmp_path: Path) -> None:
    path = made(tmp_path / "made", ROUTE, format=format, large=fake_gguf(tmp_path / "large", seed=2))
    with closing(open_bundle(path)) as reader, Silent().bar("", None, "B") as bar:
        manifest = check(reader, bar).manifest
    assert manifest.large is not None
    assert (manifest.large.path, manifest.large.sha256) == (LARGE, sha256_of(tmp_path / "large"))
    assert manifest.facts.route == ROUTE
    assert {"runtime/router", "route.json"} <= {file.path for file in manifest.files}


def test_a_larger_model_that_is_none_or_changed_is_found(tmp_path: Path, bundle: Path) -> None:
    with (bundle / LARGE).open("ab") as file:
        file.write(b"x")
    with pytest.raises(VerificationError, match=f"changed: {LARGE}"):
        verify(bundle, run_model=False, progress=Silent())
    (tmp_path / "no.gguf").write_bytes(b"x" * 100)
    other = made(tmp_path / "other", ROUTE, large=tmp_path / "no.gguf")
    with pytest.raises(VerificationError, match=f"no GGUF: {LARGE}"):
        verify(other, run_model=False, progress=Silent())


def test_verify_asks_the_larger_model_too(tmp_path: Path) -> None:
    """One that has nothing to say is found, though the small one talks."""
    small = write_tiny_gguf(tmp_path / "small.gguf")
    good = made(tmp_path / "good", ROUTE, small=small, large=write_tiny_gguf(tmp_path / "large.gguf", seed=3))
    assert verify(good, run_model=True, progress=Silent()).answer
    mute = write_tiny_gguf(tmp_path / "mute.gguf", always_ends=True)
    with pytest.raises(VerificationError, match=r"model/large\.gguf: the model says nothing"):
        verify(made(tmp_path / "bad", ROUTE, small=small, large=mute), run_model=True, progress=Silent())


def test_the_bill_of_materials_names_both(bundle: Path) -> None:
    document = json.loads((bundle / "sbom.cdx.json").read_text())
    found = {component["bom-ref"]: component for component in document["components"]}
    assert found["large"]["name"] == "larger"
    assert found["large"]["hashes"] == [{"alg": "SHA-256", "content": sha256_of(bundle / LARGE)}]
    assert found["router"]["licenses"] == [{"license": {"id": "Apache-2.0"}}]
    assert found["large"]["bom-ref"] in document["dependencies"][0]["dependsOn"]


def test_the_router_is_told_the_route_and_no_key(tmp_path: Path) -> None:
    """route.json has the manifest's figures to the last digit, and the address, if there is one."""
    away = made(tmp_path / "away", AWAY, large=None)
    told = json.loads((away / "route.json").read_text())
    assert told == {
        "schema": "edgepack.route/1", "threshold": 0.53, "address": "http://10.0.0.2:8080/v1", "model": "larger",
        "calibration": {"intercept": -0.4, "weights": {"product": 1.5}},
    }  # fmt: skip
    assert not (away / LARGE).exists()


@pytest.mark.parametrize("shell", SHELLS)
def test_run_puts_the_router_before_both_servers(shell: str, bundle: Path) -> None:
    """The larger one's words, then the small one's; where it listens is the router's alone; paths are whole."""
    path = Path(os.environ["PATH"])
    said = call(shell, bundle / "run", path=path, EDGEPACK_API_KEY_FILE=str(keys(bundle))).stdout
    start, large, small = said.split("<-->")
    assert start == f"router<--host><127.0.0.1><--port><8080><--route><{bundle}/route.json>"
    assert large.startswith(f"<{bundle}/runtime/llama><server><-m><{bundle}/{LARGE}><-c>")
    assert small.startswith(f"<{bundle}/runtime/llama><server><-m><{bundle}/model/{FACTS.name}.gguf><-c>")
    for words in (large, small):
        assert f"<--api-key-file><{keys(bundle)}>" in words
        assert "<-np><1>" in words
        assert "<--port>" not in words


def keys(bundle: Path) -> Path:
    path = bundle.parent / "the keys"
    path.write_text("hidden\n")
    return path


@pytest.mark.parametrize("shell", SHELLS)
def test_one_model_is_taken_alone_where_somebody_insists(shell: str, bundle: Path) -> None:
    path = Path(os.environ["PATH"])
    small = call(shell, bundle / "run", path=path, EDGEPACK_MODEL="small").stdout
    large = call(shell, bundle / "run", path=path, EDGEPACK_MODEL="large").stdout
    assert small.startswith(f"<server><-m><{bundle}/model/{FACTS.name}.gguf>")
    assert large.startswith(f"<server><-m><{bundle}/{LARGE}>")
    assert call(shell, bundle / "run", path=path, EDGEPACK_MODEL="middle").returncode == 2


@pytest.mark.parametrize("shell", SHELLS)
def test_without_a_router_the_small_model_serves_and_says_so(shell: str, bundle: Path) -> None:
    (bundle / "runtime/router").unlink()
    done = call(shell, bundle / "run", path=Path(os.environ["PATH"]))
    assert done.stdout.startswith(f"<server><-m><{bundle}/model/{FACTS.name}.gguf>")
    assert "the small model alone" in done.stderr


def test_with_an_address_one_server_is_started(tmp_path: Path) -> None:
    away = made(tmp_path / "away", AWAY, large=None)
    said = call(next(iter(SHELLS)), away / "run", path=Path(os.environ["PATH"])).stdout
    assert said.count("<-->") == 1
    done = call(next(iter(SHELLS)), away / "run", path=Path(os.environ["PATH"]), EDGEPACK_MODEL="large")
    assert (done.returncode, "no larger model" in done.stderr) == (2, True)


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="no shellcheck here")
def test_the_scripts_are_clean(bundle: Path) -> None:
    done = subprocess.run(["shellcheck", "-s", "sh", *(bundle / name for name in ("run", "selftest"))])
    assert done.returncode == 0

"""Bundles wrapped for other systems, each read by that system's own tool; what comes out is what was put in."""

import hashlib
import json
import os
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from subprocess import DEVNULL, CompletedProcess, Popen
from subprocess import run as start
from urllib.error import URLError
from urllib.request import urlopen

import jsonschema
import pytest

from edgepack.cli.main import run
from edgepack.domain.bundle import BundledRuntime, Format, Manifest, PayloadFile
from edgepack.domain.errors import ExitCode
from edgepack.domain.packaging import debian_architecture
from tests.conftest import ROOT
from tests.formats.bundles import FACTS, PLAIN_FORMATS, make_bundle

SCHEMA = json.loads((ROOT / "docs" / "schemas" / "package.schema.json").read_text())
NAME = f"edgepack-{FACTS.name.replace('_', '-')}"
REGISTRY = """\
version: 0.1
storage: {{filesystem: {{rootdirectory: {root}}}}}
http: {{addr: 127.0.0.1:{port}}}
"""


def needs(*programs: str) -> pytest.MarkDecorator:
    missing = [name for name in programs if not shutil.which(name)]
    return pytest.mark.skipif(bool(missing), reason=f"needs {', '.join(missing)}")


@pytest.fixture(params=PLAIN_FORMATS)
def bundle(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    return make_bundle(tmp_path, request.param).path


@pytest.fixture(scope="session")
def identity(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A private key and its certificate."""
    place = tmp_path_factory.mktemp("identity")
    key, certificate = place / "key.pem", place / "cert.pem"
    words = ["-nodes", "-keyout", key, "-out", certificate, "-days", "30", "-subj", "/CN=maker"]
    start(["openssl", "req", "-x509", "-newkey", "rsa:2048", *words], check=True, capture_output=True)
    return key, certificate


def wrapped(bundle: Path, kind: str, *words: str | Path) -> Path:
    out = bundle.parent / f"wrapped.{kind}"
    assert run(["package", str(bundle), "--as", kind, "--out", str(out), "--quiet", *map(str, words)]) == 0
    assert not [path for path in bundle.parent.iterdir() if "partial" in path.name]
    return out


def tool(*words: str | Path, cwd: Path | None = None) -> CompletedProcess[str]:
    done = start([str(word) for word in words], capture_output=True, text=True, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def right(tree: Path) -> bool:
    return run(["verify", str(tree), "--no-run", "--quiet"]) == 0


def digest(path: Path) -> str:
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


@needs("mksquashfs", "unsquashfs")
def test_a_squashfs_holds_the_bundle(bundle: Path, tmp_path: Path) -> None:
    tool("unsquashfs", "-q", "-no-progress", "-d", tmp_path / "tree", wrapped(bundle, "squashfs"))
    assert right(tmp_path / "tree")


@needs("dpkg-deb", "systemd-analyze")
def test_a_deb_holds_the_bundle_a_unit_and_a_file_of_settings(bundle: Path, tmp_path: Path) -> None:
    deb = wrapped(bundle, "deb", "--package-version", "2.1", "--maintainer", "A Maker <maker@example.org>")
    tool("dpkg-deb", "-x", deb, tmp_path / "root")
    tool("dpkg-deb", "-e", deb, tmp_path / "control")
    assert right(tmp_path / "root/usr/lib/edgepack" / FACTS.name)
    fields = tool("dpkg-deb", "-f", deb, "Package", "Version", "Architecture").stdout
    assert fields == f"Package: {NAME}\nVersion: 2.1\nArchitecture: all\n"
    assert (tmp_path / "control/conffiles").read_text() == f"/etc/default/{NAME}\n"
    tool("md5sum", "-c", "--quiet", tmp_path / "control/md5sums", cwd=tmp_path / "root")
    for script in ("postinst", "prerm", "postrm"):
        tool("sh", "-n", tmp_path / "control" / script)
    unit = tmp_path / "root/lib/systemd/system" / f"{NAME}.service"
    # The program that it starts is not where it will be.
    (tmp_path / unit.name).write_text(unit.read_text().replace("=/usr/lib/", f"={tmp_path}/root/usr/lib/"))
    assert tool("systemd-analyze", "verify", tmp_path / unit.name).stderr == ""


@needs("dpkg-deb", "lintian")
def test_lintian_finds_nothing_that_is_not_explained(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path).path
    deb = wrapped(bundle, "deb", "--maintainer", "A Maker <maker@example.org>")
    assert tool("lintian", "--allow-root", "--tag-display-limit", "0", deb).stdout == ""


def test_a_debs_architecture_is_its_programs() -> None:
    for target, architecture in (("aarch64-linux-musl", "arm64"), ("arm-linux-musleabihf", "armhf")):
        native = BundledRuntime(target=target, origin="x", digest="0" * 64)
        weights = PayloadFile(path="model/x.gguf", size=1, sha256="0" * 64)
        manifest = Manifest(facts=replace(FACTS, native=native), weights=weights, files=(weights,))
        assert debian_architecture(manifest) == architecture


@needs("rauc", "mksquashfs", "unsquashfs", "openssl")
def test_rauc_reads_and_trusts_its_bundle(bundle: Path, identity: tuple[Path, Path], tmp_path: Path) -> None:
    key, certificate = identity
    raucb = wrapped(bundle, "rauc", "--key", key, "--cert", certificate, "--compatible", "board-7")
    said = tool("rauc", f"--keyring={certificate}", "info", "--output-format=json", raucb).stdout
    found = json.loads(said)
    assert (found["compatible"], found["version"]) == ("board-7", "1.0")
    assert "verity" in tool("rauc", f"--keyring={certificate}", "info", raucb).stdout
    tool("rauc", f"--keyring={certificate}", "extract", raucb, tmp_path / "extracted")
    tool("unsquashfs", "-q", "-no-progress", "-d", tmp_path / "tree", tmp_path / "extracted/model.squashfs")
    assert right(tmp_path / "tree")
    content = bytearray(raucb.read_bytes())
    content[-40] ^= 1
    raucb.write_bytes(content)
    assert start(["rauc", f"--keyring={certificate}", "info", raucb], capture_output=True).returncode


@needs("swupdate", "cpio", "openssl")
def test_swupdate_checks_its_image(bundle: Path, identity: tuple[Path, Path]) -> None:
    key, certificate = identity
    swu = wrapped(bundle, "swu", "--key", key, "--cert", certificate, "--package-version", "1.3")

    def checked() -> bool:
        words = ["swupdate", "-c", "-i", swu, "-k", certificate, "-H", "board:3"]
        return "SWUPDATE successful" in start(words, capture_output=True, text=True).stdout

    assert checked()
    content = swu.read_bytes()
    swu.write_bytes(content.replace(b'version = "1.3"', b'version = "1.4"', 1))
    assert not checked(), "another description under the old signature"
    at = content.index(b"GGUF")
    swu.write_bytes(content[:at] + b"GGUG" + content[at + 4 :])
    assert not checked(), "other weights under the old description"


@contextmanager
def registry(place: Path) -> Iterator[str]:
    """A registry on this machine; its address."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
    (place / "registry.yml").write_text(REGISTRY.format(root=place / "registry", port=port))
    with Popen(["docker-registry", "serve", place / "registry.yml"], stdout=DEVNULL, stderr=DEVNULL) as serving:
        try:
            for _ in range(100):
                try:
                    urlopen(f"http://127.0.0.1:{port}/v2/")
                    break
                except URLError:
                    time.sleep(0.1)
            yield f"127.0.0.1:{port}"
        finally:
            serving.terminate()


@needs("skopeo", "docker-registry", "tar")
def test_an_oci_layout_goes_through_a_registry_and_comes_back(bundle: Path, tmp_path: Path) -> None:
    layout = wrapped(bundle, "oci", "--package-version", "3.0")
    plain = ["--src-tls-verify=false", "--dest-tls-verify=false", "--insecure-policy"]
    with registry(tmp_path) as address:
        there = f"docker://{address}/models/tiny:3.0"
        tool("skopeo", "copy", "-q", "--insecure-policy", "--dest-tls-verify=false", f"oci:{layout}:3.0", there)
        said = json.loads(tool("skopeo", "inspect", "--raw", "--tls-verify=false", there).stdout)
        tool("skopeo", "copy", "-q", *plain[:1], *plain[2:], there, f"oci:{tmp_path / 'back'}:3.0")
    assert said["artifactType"] == "application/vnd.cncf.model.manifest.v1+json"
    kinds = [layer["mediaType"].removeprefix("application/vnd.cncf.model.") for layer in said["layers"]]
    assert kinds == ["weight.v1.tar", "code.v1.tar", "doc.v1.tar", "weight.config.v1.tar"]
    (tmp_path / "root").mkdir()
    for layer in said["layers"]:
        blob = tmp_path / "back/blobs" / layer["digest"].replace(":", "/")
        tool("tar", "-xf", blob, "-C", tmp_path / "root")
    assert right(tmp_path / "root/usr/lib/edgepack" / FACTS.name)


def test_an_oci_configuration_follows_modelpack(bundle: Path) -> None:
    layout = wrapped(bundle, "oci")
    index = json.loads((layout / "index.json").read_text())
    blobs = layout / "blobs/sha256"
    for path in blobs.iterdir():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
    image = json.loads((blobs / index["manifests"][0]["digest"][7:]).read_text())
    config = json.loads((blobs / image["config"]["digest"][7:]).read_text())
    assert set(config) == {"descriptor", "config", "modelfs"}
    assert config["descriptor"]["licenses"] == ["Apache-2.0"]
    assert config["config"]["format"] == "gguf"
    assert config["config"]["paramSize"] == "0.1m"
    assert config["modelfs"] == {"type": "layers", "diffIds": [layer["digest"] for layer in image["layers"]]}


@needs("mksquashfs", "dpkg-deb", "openssl", "cpio")
@pytest.mark.parametrize("kind", ["squashfs", "deb", "oci", "swu"])
def test_the_same_bundle_gives_the_same_package(
    kind: str, tmp_path: Path, identity: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["--key", identity[0], "--cert", identity[1]] if kind == "swu" else []
    one = wrapped(make_bundle(tmp_path / "one").path, kind, *words)
    monkeypatch.setenv("TZ", "Pacific/Chatham")
    monkeypatch.setenv("LC_ALL", "C")
    before = os.umask(0o077)
    try:
        two = wrapped(make_bundle(tmp_path / "two", Format.TAR).path, kind, *words)
    finally:
        os.umask(before)
    assert digest(one) == digest(two)


def test_a_package_takes_the_place_of_its_own_kind_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = make_bundle(tmp_path).path
    out = tmp_path / "layout"
    words = ["package", str(bundle), "--as", "oci", "--out", str(out)]
    assert run([*words, "--json"]) == 0
    jsonschema.validate(json.loads(capsys.readouterr().out), SCHEMA)
    assert run([*words, "--package-version", "1.1", "--quiet"]) == 0
    assert "1.1" in (out / "index.json").read_text()
    (out / "oci-layout").unlink()
    assert run(words) == ExitCode.USAGE
    assert len(capsys.readouterr().err.strip().splitlines()) == 2


def test_what_cannot_be_is_two_lines_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = make_bundle(tmp_path).path
    out = tmp_path / "out.squashfs"

    def refused(*words: str, code: ExitCode) -> str:
        assert run(["package", str(bundle), "--out", str(out), "--quiet", *words]) == code
        said = capsys.readouterr().err
        assert len(said.splitlines()) == 2, said
        assert not out.exists()
        return said

    assert "--key PEM and --cert PEM" in refused("--as", "rauc", code=ExitCode.USAGE)
    refused("--as", "deb", "--package-version", "v1", code=ExitCode.USAGE)
    refused("--as", "deb", "--maintainer", "nobody", code=ExitCode.USAGE)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "apt-get install squashfs-tools" in refused("--as", "squashfs", code=ExitCode.USAGE)
    (bundle / "run").write_text("#!/bin/sh\n")
    refused("--as", "oci", code=ExitCode.VERIFICATION)

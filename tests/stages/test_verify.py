"""A verdict is given only on a bundle whose every byte is right and whose model speaks."""

import os
import shutil
from pathlib import Path

import pytest

from edgepack.domain.bundle import Format
from edgepack.domain.errors import BadInputError, VerificationError
from edgepack.domain.progress import Silent
from edgepack.stages.verify import Verdict, verify
from tests.formats.bundles import FACTS, PLAIN_FORMATS, fake_gguf, make_bundle
from tests.formats.tiny_model import write_tiny_adapter, write_tiny_gguf


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both formats of one bundle whose model runs."""
    directory = tmp_path_factory.mktemp("made")
    weights = write_tiny_gguf(directory / "tiny.gguf")
    make_bundle(directory, Format.TAR, weights=weights)
    return make_bundle(directory, weights=weights).path


def verdict(bundle: Path, *, run_model: bool = True) -> Verdict:
    return verify(bundle, run_model=run_model, progress=Silent())


@pytest.mark.parametrize("suffix", ["", ".tar"])
def test_the_model_answers_the_sample_prompt(made: Path, suffix: str) -> None:
    found = verdict(Path(f"{made}{suffix}"))
    assert found.answer is not None
    assert found.answer.prompt == FACTS.sample_prompt
    assert found.answer.tokens > 0
    assert found.answer.text.strip()
    assert found.answer.chat
    assert found.format == (Format.TAR if suffix else Format.DIR)
    assert sorted(path.name for path in made.parent.iterdir()) == [FACTS.name, f"{FACTS.name}.tar"]


def test_both_formats_give_the_same_answer(made: Path) -> None:
    assert verdict(made).answer == verdict(Path(f"{made}.tar")).answer


def test_without_running_there_is_no_answer(made: Path) -> None:
    assert verdict(made, run_model=False).answer is None


def test_a_model_without_a_chat_template_goes_on_with_the_text(tmp_path: Path) -> None:
    weights = write_tiny_gguf(tmp_path / "tiny.gguf", chat_template=None)
    found = verdict(make_bundle(tmp_path, weights=weights).path)
    assert found.answer is not None
    assert not found.answer.chat


@pytest.mark.parametrize("format", PLAIN_FORMATS)
def test_weights_that_do_not_run_fail_and_leave_nothing(tmp_path: Path, format: Format) -> None:
    path = make_bundle(tmp_path, format, weights=fake_gguf(tmp_path / "blob")).path
    with pytest.raises(VerificationError, match="the model does not run"):
        verdict(path)
    assert [left.name for left in path.parent.iterdir()] == [path.name]


def test_a_model_is_not_run_from_a_bundle_that_is_not_right(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made, tmp_path / "x")
    weights = tmp_path / "x" / "model" / f"{FACTS.name}.gguf"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(VerificationError, match=f"changed: model/{FACTS.name}"):
        verdict(tmp_path / "x")


@pytest.mark.parametrize("kind", ["nothing", "file", "directory"])
def test_what_is_no_bundle_is_bad_input(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x"
    match kind:
        case "file":
            path.write_text("hello")
        case "directory":
            (path / "inner").mkdir(parents=True)
    with pytest.raises(BadInputError):
        verdict(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_tar_on_a_disk_that_is_not_ours_is_verified_too(made: Path) -> None:
    made.parent.chmod(0o555)
    try:
        assert verdict(Path(f"{made}.tar")).answer is not None
    finally:
        made.parent.chmod(0o755)


@pytest.mark.parametrize("format", PLAIN_FORMATS)
def test_the_model_is_asked_with_its_adapter(tmp_path: Path, format: Format) -> None:
    """Out of a directory and out of a tar; without it the model says something else."""
    weights, adapter = write_tiny_gguf(tmp_path / "tiny.gguf"), write_tiny_adapter(tmp_path / "lora.gguf")
    made = [
        make_bundle(tmp_path / name, format, weights=weights, adapter=path)
        for name, path in (("with", adapter), ("without", None))
    ]
    answers = [verify(bundle.path, run_model=True, progress=Silent()).answer for bundle in made]
    assert answers[0]
    assert answers[1]
    assert answers[0].text != answers[1].text
    (licences,) = {verify(made[0].path, run_model=False, progress=Silent()).manifest.licences}
    assert licences == ("LICENSES/LICENSE", "LICENSES/adapter-LICENSE")


def test_an_adapter_that_is_no_gguf_is_named(tmp_path: Path) -> None:
    adapter = tmp_path / "lora.gguf"
    adapter.write_bytes(b"no GGUF at all")
    made = make_bundle(tmp_path, weights=write_tiny_gguf(tmp_path / "tiny.gguf"), adapter=adapter)
    with pytest.raises(VerificationError, match=r"no GGUF: model/adapter\.gguf"):
        verify(made.path, run_model=False, progress=Silent())

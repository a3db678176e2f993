"""A ready GGUF as it is taken: what it says of itself, what it would need, and what is refused."""

from hashlib import sha256
from pathlib import Path

import pytest

from edgepack.domain.errors import BadInputError, UsageError
from edgepack.domain.memory import Need
from edgepack.domain.progress import Silent
from edgepack.domain.quant import Quant
from edgepack.domain.repacking import NOTHING, Loading
from edgepack.stages.adopt import Adopted, adopt
from tests.fakes.tiny_gguf import BYTES, CONTEXT, HIDDEN, LAYERS, SPECIAL, WORDS, write_tiny_gguf

VOCABULARY, MIB = len(SPECIAL + BYTES + WORDS), 1 << 20


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_gguf(tmp_path_factory.mktemp("gguf") / "mine.gguf")


def adopted(path: Path, *, allow_over_3b: bool = False) -> Adopted:
    return adopt(path, memo=path.parent / "digests", allow_over_3b=allow_over_3b, progress=Silent())


def test_a_gguf_is_known_by_its_metadata_and_its_bytes(tiny: Path) -> None:
    found = adopted(tiny)
    assert found.weights.sha256 == sha256(tiny.read_bytes()).hexdigest()
    assert (found.weights.path, found.weights.size) == (tiny, tiny.stat().st_size)
    assert (found.name, found.context_length, found.weights.quant) == ("tiny", CONTEXT, Quant.F16)


def test_nothing_is_claimed_that_nobody_said(tiny: Path) -> None:
    """No checkpoint, no commit, no licence; and the origin is the file's name, not where it lies."""
    found = adopted(tiny)
    assert (found.origin, found.digest, found.revision) == ("file:mine.gguf", None, None)
    assert (found.licence, found.terms) == (None, ())


def test_a_link_goes_by_its_own_name(tiny: Path, tmp_path: Path) -> None:
    """Stores of downloads name files by their digests, and link to them by name."""
    link = tmp_path / "model.gguf"
    link.symlink_to(tiny)
    assert adopted(link).origin == "file:model.gguf"
    assert adopted(link).weights.sha256 == adopted(tiny).weights.sha256


def test_a_relative_path_is_made_absolute(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tiny.parent)
    assert adopted(Path(tiny.name)).weights.path == tiny


def test_the_only_candidate_is_what_it_is(tiny: Path) -> None:
    """Its memory is its tensors' bytes and an f16 cache that grows with the context."""
    found = adopted(tiny)
    (candidate,) = found.candidates(None, Need(context=256), Loading(repacks=NOTHING))
    assert (candidate.quant, candidate.title, candidate.fallbacks) == (Quant.F16, "F16", 0)
    embedding = 4 * HIDDEN * VOCABULARY  # of which a row is looked up now and then
    assert candidate.memory.weights + embedding == found.tensor_bytes < tiny.stat().st_size
    assert candidate.memory.kv_cache == pytest.approx(2 * LAYERS * HIDDEN * 256 * 2, abs=MIB / 100)


def test_another_quantization_is_a_usage_error(tiny: Path) -> None:
    with pytest.raises(UsageError, match=r"--quant Q8_0: mine\.gguf is F16 already"):
        adopted(tiny).candidates(Quant.Q8_0, Need(context=128), Loading(repacks=NOTHING))


def test_a_split_model_is_refused(tmp_path: Path) -> None:
    """A bundle holds one file of weights: the first part alone would not run."""
    write_tiny_gguf(tmp_path / "parts.gguf", tensors_a_file=12)
    first = sorted(tmp_path.glob("parts-00001-of-*.gguf"))[0]
    with pytest.raises(BadInputError, match="one of 2 files") as caught:
        adopted(first)
    assert "llama-gguf-split --merge" in caught.value.hint


def test_a_vocabulary_alone_is_refused(vocabularies: Path) -> None:
    with pytest.raises(BadInputError, match="a vocabulary without weights"):
        adopted(vocabularies / "ggml-vocab-llama-spm.gguf")


def test_a_cut_file_is_refused_by_name(tiny: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(tiny.read_bytes()[:-4096])
    with pytest.raises(BadInputError, match=r"cut\.gguf: llama\.cpp cannot load it"):
        adopted(cut)


def test_a_model_too_large_for_devices_is_refused_unless_allowed(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgepack.domain.plan.OVER_3B", adopted(tiny).parameters - 1)
    with pytest.raises(BadInputError, match="a device profile takes up to 3 B"):
        adopted(tiny)
    assert adopted(tiny, allow_over_3b=True).name == "tiny"


def test_a_name_that_no_terminal_should_see_is_not_taken(tiny: Path, tmp_path: Path) -> None:
    """Metadata are a stranger's: a control character in general.name leaves the file's own name."""
    evil = tmp_path / "plain.gguf"
    evil.write_bytes(tiny.read_bytes().replace(b"tiny", b"\x1b[2J", 1))
    assert adopted(evil).name == "plain"

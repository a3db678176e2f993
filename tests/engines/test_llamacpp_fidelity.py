"""Two models over a text: llama-perplexity's own figures, and what must hold of any."""

import json
import math
import os
import re
import subprocess
from pathlib import Path

import pytest

from edgepack.domain.errors import BadInputError
from edgepack.domain.fidelity import divergence
from edgepack.domain.progress import Silent
from edgepack.engines.llamacpp import identify
from edgepack.engines.llamacpp_fidelity import chunks_of
from edgepack.stages.fidelity import compare
from tests.fakes.tiny_gguf import BOS, CONTEXT, write_tiny_gguf

DATA = Path(__file__).parents[2] / "edgepack/data"
WITHIN = 0.005


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the demo models know: 100 commands and answers, some 2,000 tokens."""
    path = tmp_path_factory.mktemp("text") / "commands.txt"
    rows = [json.loads(line) for line in (DATA / "demo-intents-heldout.jsonl").read_text().splitlines()[:100]]
    path.write_text("".join(f"{row['text']}\n{row['json']}\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def demos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The larger demo model at full precision and at four quantizations."""
    from edgepack.cli.main import run

    place = tmp_path_factory.mktemp("demos")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEPACK_HOME", str(place / "home"))
        found = {}
        for quant in ("F16", "Q8_0", "Q4_K_M", "Q4_0", "Q2_K"):
            found[quant] = place / f"{quant}.gguf"
            assert run(["convert", "demo-5m", "--quant", quant, "--out", str(found[quant]), "--quiet"]) == 0
    return found


@pytest.fixture(scope="module")
def llama_perplexity(llama_tools: Path) -> Path:
    program = llama_tools / "llama-perplexity"
    if not program.is_file():
        pytest.skip("llama-perplexity is not here: run `make tools`")
    return program


def test_the_figures_are_llama_perplexitys(
    llama_perplexity: Path, demos: dict[str, Path], commands: Path, tmp_path: Path
) -> None:
    """Perplexity of both, divergence and agreement within 0.5 %, for four quantizations of a trained model."""
    base = tmp_path / "base.kld"
    words = [str(llama_perplexity), "-f", str(commands), "-c", "512", "-t", "2", "--kl-divergence-base", str(base)]
    full = said_by([*words, "-m", str(demos["F16"])])
    wanted = float(re.findall(r"Final estimate: PPL = ([\d.]+)", full)[0])
    for quant in ("Q8_0", "Q4_K_M", "Q4_0", "Q2_K"):
        theirs = said_by([*words, "-m", str(demos[quant]), "--kl-divergence"])
        ours = compare(identify(demos[quant]), identify(demos["F16"]), commands, progress=Silent(), threads=2)
        assert ours.chunks >= 3
        assert ours.perplexity_against == pytest.approx(wanted, rel=WITHIN)
        assert ours.perplexity == pytest.approx(figure(theirs, r"Mean PPL\(Q\) +: +([\d.]+)"), rel=WITHIN)
        # They print six decimals, and keep what full precision expects in 16 bits.
        assert ours.divergence.mean == pytest.approx(figure(theirs, r"Mean +KLD: +([\d.]+)"), rel=WITHIN, abs=2e-6)
        assert ours.divergence.error == pytest.approx(figure(theirs, r"Mean +KLD: .*± +([\d.]+)"), rel=0.01, abs=2e-6)
        assert ours.divergence.median == pytest.approx(figure(theirs, r"Median +KLD: +([\d.]+)"), rel=0.01, abs=1e-5)
        assert ours.divergence.p99 == pytest.approx(figure(theirs, r"99\.0% +KLD: +([\d.]+)"), rel=WITHIN, abs=2e-6)
        assert ours.same_top * 100 == pytest.approx(figure(theirs, r"Same top p: +([\d.]+)"), abs=0.3)


def said_by(words: list[str]) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=True, env={**os.environ, "LC_ALL": "C"})
    return done.stdout + done.stderr


def figure(text: str, pattern: str) -> float:
    (found,) = re.findall(pattern, text)
    return float(found)


def test_weights_are_no_way_from_themselves(tmp_path: Path) -> None:
    """No divergence, the same perplexity twice, agreement everywhere; every counted place is there.

    Chunks are no longer than what the model was trained for.
    """
    tiny = identify(write_tiny_gguf(tmp_path / "tiny.gguf"))
    (tmp_path / "text.txt").write_text("the cat and the other dog " * 60)
    found = compare(tiny, tiny, tmp_path / "text.txt", progress=Silent(), threads=1)
    assert (found.divergence.mean, found.divergence.maximum, found.same_top) == (0.0, 0.0, 1.0)
    assert found.perplexity == found.perplexity_against > 1
    assert found.chunk_tokens == CONTEXT
    assert len(found.places) == found.chunks * (CONTEXT // 2 - 1)


def test_others_are_some_way_off(tmp_path: Path) -> None:
    """Divergence is never negative, and large between models that know nothing of each other."""
    one, two = (identify(write_tiny_gguf(tmp_path / f"{seed}.gguf", seed=seed)) for seed in (1, 2))
    (tmp_path / "text.txt").write_text("the cat and the other dog " * 60)
    found = compare(one, two, tmp_path / "text.txt", progress=Silent(), threads=1, limit=1)
    assert min(place.divergence for place in found.places) > 0
    assert found.divergence.mean > 0.5
    assert found.chunks == 1


def test_chunks_begin_as_the_vocabulary_wants(tmp_path: Path) -> None:
    """Each with the beginning-of-text token in place of its first; what is less than a chunk is left."""
    tiny = write_tiny_gguf(tmp_path / "tiny.gguf")
    chunks = chunks_of(tiny, "the cat " * 40 + "x", size=16)
    assert all(len(chunk) == 16 and chunk[0] == BOS for chunk in chunks)
    assert len(chunks) >= 4


def test_what_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    """A short text, a text that is none, a vocabulary that ends every text, an encoder, another vocabulary."""
    tiny = write_tiny_gguf(tmp_path / "tiny.gguf")
    with pytest.raises(BadInputError, match="tokens, and 1024 are needed"):
        chunks_of(tiny, "short", size=512)
    with pytest.raises(BadInputError, match="ends every text"):
        chunks_of(write_tiny_gguf(tmp_path / "ends.gguf", adds_eos=True), "the cat " * 99, size=16)
    with pytest.raises(BadInputError, match="an encoder"):
        chunks_of(write_tiny_gguf(tmp_path / "encoder.gguf", causal=False), "the cat " * 99, size=16)
    (tmp_path / "binary").write_bytes(b"ab\xff")
    for name, said in (("gone", "No such file"), ("binary", "not UTF-8 at byte 2")):
        with pytest.raises(BadInputError, match=said):
            compare(identify(tiny), identify(tiny), tmp_path / name, progress=Silent(), threads=1)


def test_models_that_read_other_tokens_are_refused(tmp_path: Path, demos: dict[str, Path]) -> None:
    (tmp_path / "text.txt").write_text("the cat and the other dog " * 90)
    tiny = identify(write_tiny_gguf(tmp_path / "tiny.gguf"))
    with pytest.raises(BadInputError, match="as other tokens"):
        compare(tiny, identify(demos["Q2_K"]), tmp_path / "text.txt", progress=Silent(), threads=1)


def test_statistics_of_few_values() -> None:
    """One value is all of them; the error is of the mean."""
    assert divergence([0.5]).error == 0.0
    assert divergence([0.5]).p99 == 0.5
    assert divergence([0.0, 1.0]).error == pytest.approx(math.sqrt(0.25 / 1))

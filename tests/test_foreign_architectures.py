"""`--converter upstream` from one end to the other, with torch: what llama.cpp's own two steps give, and no code run.

Needs EDGEPACK_UPSTREAM_PYTHON, the Python of an environment as vendor/oracle-requirements.txt describes it.
"""

import ctypes
import json
import os
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

from edgepack.cli.main import run
from edgepack.domain.converter import Converter
from edgepack.domain.errors import ExitCode
from edgepack.domain.progress import Silent
from edgepack.domain.quant import Quant
from edgepack.stages.verify import verify
from tests.fakes.checkpoints import Recipe, make_checkpoint
from tests.oracle.foreign import FOREIGN

PYTHON = os.environ.get("EDGEPACK_UPSTREAM_PYTHON", "")

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.skipif(not PYTHON, reason="EDGEPACK_UPSTREAM_PYTHON names no Python with torch"),
]


@pytest.fixture(scope="module", params=FOREIGN, ids=[recipe.name for recipe in FOREIGN])
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, vocabularies: Path) -> Path:
    recipe: Recipe = request.param
    return make_checkpoint(recipe, tmp_path_factory.mktemp("foreign") / recipe.name, vocabularies)


@pytest.fixture(scope="module")
def full(checkpoint: Path, llama_cpp: Path) -> Path:
    """The oracle's first step."""
    path = checkpoint.parent / "full.gguf"
    dtype = {"float32": "f32", "float16": "f16", "bfloat16": "bf16"}
    outtype = dtype[json.loads((checkpoint / "config.json").read_text())["torch_dtype"]]
    script = [PYTHON, llama_cpp / "convert_hf_to_gguf.py", checkpoint, "--outfile", path, "--outtype", outtype]
    subprocess.run(list(map(str, script)), check=True, capture_output=True, env={"HF_HUB_OFFLINE": "1", "PATH": ""})
    return path


def quantized(full: Path, quant: Quant, path: Path) -> str:
    """The oracle's second step, and the sha256 of what it gives."""
    import llama_cpp

    settings = llama_cpp.llama_model_quantize_default_params()
    settings.ftype, settings.nthread = quant.file_type, 2
    assert llama_cpp.llama_model_quantize(bytes(full), bytes(path), ctypes.byref(settings)) == 0
    return sha256(path.read_bytes()).hexdigest()


def test_an_architecture_without_a_family_equals_the_oracles_two_steps(
    checkpoint: Path, full: Path, tmp_path: Path
) -> None:
    """Every quantization, byte for byte; upstream's script runs once for all."""
    ours = tmp_path / "ours.gguf"
    for quant in Quant:
        arguments = ["convert", str(checkpoint), "--converter", "upstream", "--quant", quant, "--out", str(ours)]
        assert run([*arguments, "--quiet"]) == 0
        assert sha256(ours.read_bytes()).hexdigest() == quantized(full, quant, tmp_path / "theirs.gguf"), quant
    assert len(list((tmp_path / "home" / "store").glob("*/*/full.gguf"))) == 1


def test_it_becomes_a_bundle_that_verifies(checkpoint: Path, tmp_path: Path) -> None:
    arguments = ["build", "--profile", "rpi5", "--model", str(checkpoint), "--converter", "upstream", "--no-bench"]
    assert run([*arguments, "--ctx", "128", "--out", str(tmp_path / "bundle"), "--quiet"]) == 0
    facts = verify(tmp_path / "bundle", run_model=True, progress=Silent()).manifest.facts
    assert facts.model.parameters > 0
    assert facts.checkpoint is not None
    assert facts.provenance.converter is Converter.UPSTREAM


def test_no_code_of_a_repository_runs(
    llama_cpp: Path, vocabularies: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A class whose converter trusts remote code, and a tokenizer that leaves a mark where the script runs alone."""
    mark = tmp_path / "it-ran"
    directory = make_checkpoint(marking(mark), tmp_path / "model", vocabularies)
    arguments = ["convert", str(directory), "--converter", "upstream", "--quant", "F16"]
    assert run([*arguments, "--out", str(tmp_path / "o.gguf")]) == ExitCode.BAD_INPUT
    assert "its tokenizer is code of the repository (tokenization_mark.py)" in capfd.readouterr().err
    assert not mark.exists()
    assert not (tmp_path / "o.gguf").exists()
    assert not list((tmp_path / "home" / "partial").iterdir())
    script = [PYTHON, llama_cpp / "convert_hf_to_gguf.py", directory, "--outfile", tmp_path / "o.gguf"]
    environment = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hub"), "PATH": ""}
    subprocess.run(list(map(str, script)), check=False, capture_output=True, env=environment)
    assert mark.exists()


def marking(mark: Path) -> Recipe:
    """A Qwen 1 as far as its converter asks before it loads the tokenizer."""
    code = {"AutoTokenizer": ["tokenization_mark.MarkTokenizer", None]}
    return Recipe(
        name="marking", vocabulary="gpt2", dtype="F16",
        tensors=lambda config: {"transformer.wte.weight": (config["vocab_size"], 32)},
        config={
            "architectures": ["QWenLMHeadModel"], "model_type": "qwen", "hidden_size": 32, "num_hidden_layers": 1,
            "num_attention_heads": 2, "intermediate_size": 64, "seq_length": 128, "kv_channels": 16,
            "rotary_emb_base": 10000.0, "layer_norm_epsilon": 1e-6, "auto_map": code,
        },
        files={
            "tokenizer_config.json": json.dumps({"tokenizer_class": "MarkTokenizer", "auto_map": code}),
            "tokenization_mark.py": f"open({str(mark)!r}, 'w')\nclass MarkTokenizer: pass\n",
        },
    )  # fmt: skip

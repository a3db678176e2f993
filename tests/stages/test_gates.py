"""Gates: weights pass beside their own checkpoint, and one thing made wrong is caught and named."""

import json
from pathlib import Path

import pytest

from edgepack.convert.onepass import open_conversion, write_gguf
from edgepack.domain.errors import VerificationError
from edgepack.domain.gates import Gate, GateKind, gates_json, refuse_failed
from edgepack.domain.progress import Silent
from edgepack.domain.quant import Quant
from edgepack.stages.gates import check_gates
from tests.fakes.checkpoints import make_checkpoint
from tests.fakes.demo_copy import DEMO, copy_demo, edit_json
from tests.oracle.recipes import RECIPES


def weights_of(checkpoint: Path, path: Path) -> Path:
    write_gguf(open_conversion(checkpoint, "model"), Quant.F16, path, threads=2, progress=Silent())
    return path


def failed(gates: tuple[Gate, ...]) -> list[GateKind]:
    return [gate.kind for gate in gates if not gate.passed]


def test_the_demo_model_passes(tmp_path: Path) -> None:
    """Every gate has looked at something, and found no difference."""
    gates = check_gates(DEMO, weights_of(DEMO, tmp_path / "demo.gguf"))
    assert failed(gates) == []
    assert all(gate.checked for gate in gates)
    refuse_failed(gates, "demo")
    assert gates_json(gates)["passed"] is True


@pytest.mark.parametrize("name", ["Llama-3-seeded-bf16", "Qwen3-seeded-f16", "smollm3-seeded", "phi-3-seeded"])
def test_known_vocabularies_read_alike(name: str, tmp_path: Path, vocabularies: Path) -> None:
    """The library that defines a tokenizer.json, and llama.cpp after conversion, on every difficult text."""
    (recipe,) = (recipe for recipe in RECIPES if recipe.name == name)
    checkpoint = make_checkpoint(recipe, tmp_path / "checkpoint", vocabularies)
    gates = check_gates(checkpoint, weights_of(checkpoint, tmp_path / "model.gguf"))
    assert failed(gates) == []


def test_one_merge_removed_is_caught(tmp_path: Path, vocabularies: Path) -> None:
    """Weights of a checkpoint that lacks one merge, beside the whole one."""
    (recipe,) = (recipe for recipe in RECIPES if recipe.name == "Qwen3-seeded-f16")
    whole = make_checkpoint(recipe, tmp_path / "whole", vocabularies)
    damaged = make_checkpoint(recipe, tmp_path / "damaged", vocabularies)
    table = json.loads((damaged / "tokenizer.json").read_text())
    merges = table["model"]["merges"]
    merges.remove(next(merge for merge in merges if merge in ("h e", ["h", "e"])))
    (damaged / "tokenizer.json").write_text(json.dumps(table))
    gates = check_gates(whole, weights_of(damaged, tmp_path / "model.gguf"))
    assert failed(gates) == [GateKind.TOKENIZER]
    with pytest.raises(VerificationError, match=r"model: not what its checkpoint says: tokenizer: \d+ apart of \d+"):
        refuse_failed(gates, "model")


def test_a_wrong_chat_template_is_caught(tmp_path: Path) -> None:
    """A line break too many before the assistant's turn."""
    damaged = copy_demo(tmp_path / "damaged")
    template = json.loads((damaged / "tokenizer_config.json").read_text())["chat_template"]
    edit_json(damaged, "tokenizer_config.json", chat_template=template.replace("<|assistant|>", "\\n<|assistant|>"))
    gates = check_gates(DEMO, weights_of(damaged, tmp_path / "model.gguf"))
    assert failed(gates) == [GateKind.CHAT_TEMPLATE]
    assert "<|assistant|>" in gates[1].different[0]


def test_a_wrong_end_is_caught(tmp_path: Path) -> None:
    """Another token as the end of text, in every file that names one."""
    damaged = copy_demo(tmp_path / "damaged")
    edit_json(damaged, "tokenizer_config.json", eos_token="<pad>")
    edit_json(damaged, "special_tokens_map.json", eos_token="<pad>")
    for name in ("config.json", "generation_config.json"):
        edit_json(damaged, name, eos_token_id=3)
    gates = check_gates(DEMO, weights_of(damaged, tmp_path / "model.gguf"))
    assert GateKind.ENDS in failed(gates)
    assert "token 3: the file's end, and none of the checkpoint's (2)" in gates[2].different

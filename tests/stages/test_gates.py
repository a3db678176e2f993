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

(QWEN3,) = (recipe for recipe in RECIPES if recipe.name == "Qwen3-seeded-f16")


def weights_of(checkpoint: Path, path: Path) -> Path:
    write_gguf(open_conversion(checkpoint, "model"), Quant.F16, path, threads=2, progress=Silent())
    return path


def failed(gates: tuple[Gate, ...]) -> list[GateKind]:
    return [gate.kind for gate in gates if not gate.passed]


def test_the_demo_model_passes(tmp_path: Path) -> None:
    """Every gate has looked at something, and found no difference."""
    gates = check_gates(DEMO, weights_of(DEMO, tmp_path / "demo.gguf"))
    assert failed(gates) == []
    # Its tokenizer.model is of pieces, which no merges make.
    assert [gate.kind for gate in gates if not gate.checked] == [GateKind.MERGES]
    assert [note for gate in gates for note in gate.notes] == []
    refuse_failed(gates, "demo")
    assert gates_json(gates)["passed"] is True


def without_a_merge(checkpoint: Path) -> Path:
    """Take "h e" out of tokenizer.json."""
    table = json.loads((checkpoint / "tokenizer.json").read_text())
    merges = table["model"]["merges"]
    merges.remove(next(merge for merge in merges if merge in ("h e", ["h", "e"])))
    (checkpoint / "tokenizer.json").write_text(json.dumps(table))
    return checkpoint


def test_one_merge_removed_is_caught(tmp_path: Path, vocabularies: Path) -> None:
    """Weights of a checkpoint that lacks one merge, beside the whole one."""
    whole = make_checkpoint(QWEN3, tmp_path / "whole", vocabularies)
    damaged = without_a_merge(make_checkpoint(QWEN3, tmp_path / "damaged", vocabularies))
    gates = check_gates(whole, weights_of(damaged, tmp_path / "model.gguf"))
    assert failed(gates) == [GateKind.TOKENIZER]
    with pytest.raises(VerificationError, match=r"model: not what its checkpoint says: tokenizer: \d+ apart of \d+"):
        refuse_failed(gates, "model")


def test_a_checkpoint_that_lacks_a_merge_is_caught(tmp_path: Path, vocabularies: Path) -> None:
    """Weights read as their checkpoint does, and neither can read the token that the merge made."""
    damaged = without_a_merge(make_checkpoint(QWEN3, tmp_path / "damaged", vocabularies))
    gates = check_gates(damaged, weights_of(damaged, tmp_path / "model.gguf"))
    assert failed(gates) == [GateKind.MERGES]
    assert "token 'he': no merge makes it" in gates[1].different


def test_two_chat_templates_that_differ_are_caught(tmp_path: Path) -> None:
    """chat_template.jinja is what transformers takes, and tokenizer_config.json's what becomes of weights."""
    damaged = copy_demo(tmp_path / "damaged")
    template = json.loads((damaged / "tokenizer_config.json").read_text())["chat_template"]
    (damaged / "chat_template.jinja").write_text(template)
    weights = weights_of(damaged, tmp_path / "model.gguf")
    assert failed(check_gates(damaged, weights)) == []
    (damaged / "chat_template.jinja").write_text(template.replace("<|user|>", "<|system|>"))
    assert failed(check_gates(damaged, weights)) == [GateKind.CHAT_TEMPLATE]


def test_marks_that_are_no_tokens_are_noted(tmp_path: Path) -> None:
    """Another family's template: some models were trained so, so it is no failure."""
    foreign = copy_demo(tmp_path / "foreign")
    template = json.loads((foreign / "tokenizer_config.json").read_text())["chat_template"]
    edit_json(foreign, "tokenizer_config.json", chat_template=template.replace("<|user|>", "<|im_start|>user"))
    gates = check_gates(foreign, weights_of(foreign, tmp_path / "model.gguf"))
    assert failed(gates) == []
    assert gates[2].notes == ("it writes <|im_start|>, which is no token",)


def test_a_wrong_chat_template_is_caught(tmp_path: Path) -> None:
    """A line break too many before the assistant's turn."""
    damaged = copy_demo(tmp_path / "damaged")
    template = json.loads((damaged / "tokenizer_config.json").read_text())["chat_template"]
    edit_json(damaged, "tokenizer_config.json", chat_template=template.replace("<|assistant|>", "\\n<|assistant|>"))
    gates = check_gates(DEMO, weights_of(damaged, tmp_path / "model.gguf"))
    assert failed(gates) == [GateKind.CHAT_TEMPLATE]
    assert "<|assistant|>" in gates[2].different[0]


def test_a_wrong_end_is_caught(tmp_path: Path) -> None:
    """Another token as the end of text, in every file that names one."""
    damaged = copy_demo(tmp_path / "damaged")
    edit_json(damaged, "tokenizer_config.json", eos_token="<pad>")
    edit_json(damaged, "special_tokens_map.json", eos_token="<pad>")
    for name in ("config.json", "generation_config.json"):
        edit_json(damaged, name, eos_token_id=3)
    weights = weights_of(damaged, tmp_path / "model.gguf")
    gates = check_gates(DEMO, weights)
    assert GateKind.ENDS in failed(gates)
    assert "token 3: the file's end, and the tokenizer's is 2" in gates[3].different


def test_a_checkpoint_with_a_wrong_end_is_caught(tmp_path: Path) -> None:
    """Its own files cannot all be right, and what weights are made of is not."""
    damaged = copy_demo(tmp_path / "damaged")
    edit_json(damaged, "generation_config.json", eos_token_id=3)
    gates = check_gates(damaged, weights_of(damaged, tmp_path / "model.gguf"))
    assert failed(gates) == [GateKind.ENDS]
    assert gates[3].different == ("generation_config.json: token 3: generation does not stop at it",)


def test_a_tokenizer_with_a_wrong_end_is_caught(tmp_path: Path) -> None:
    """Its template writes that end behind every answer, and weights whose end is config.json's write another."""
    damaged = copy_demo(tmp_path / "damaged")
    edit_json(damaged, "tokenizer_config.json", eos_token="<pad>")
    gates = check_gates(damaged, weights_of(damaged, tmp_path / "model.gguf"))
    assert failed(gates) == [GateKind.CHAT_TEMPLATE]
    assert gates[3].notes == ("token 2: the file's end; the tokenizer's is 3",)


def test_a_stale_config_is_noted(tmp_path: Path, vocabularies: Path) -> None:
    """Where generation_config.json and the tokenizer are right, config.json does no harm."""
    stale = make_checkpoint(QWEN3, tmp_path / "stale", vocabularies)
    edit_json(stale, "config.json", eos_token_id=3)
    (stale / "generation_config.json").write_text('{"eos_token_id": [151645, 151643]}')
    gates = check_gates(stale, weights_of(stale, tmp_path / "model.gguf"))
    assert failed(gates) == []
    assert gates[3].notes == ("config.json: token 3: generation does not stop at it",)


def test_a_stale_config_that_decides_is_caught(tmp_path: Path) -> None:
    """Where no tokenizer.json gives tokens numbers, config.json says which is the weights' end."""
    stale = copy_demo(tmp_path / "stale")
    edit_json(stale, "config.json", eos_token_id=3)
    gates = check_gates(stale, weights_of(stale, tmp_path / "model.gguf"))
    assert failed(gates) == [GateKind.CHAT_TEMPLATE, GateKind.ENDS]


@pytest.mark.parametrize("end", ["<|end|>", "<pad>"])
def test_a_template_that_writes_its_end_itself_is_believed(tmp_path: Path, end: str) -> None:
    """It says what stands behind an answer, whatever the files call their end."""
    spelt = copy_demo(tmp_path / "spelt")
    template = json.loads((spelt / "tokenizer_config.json").read_text())["chat_template"]
    edit_json(spelt, "tokenizer_config.json", chat_template=template.replace("eos_token", repr(end)))
    gates = check_gates(spelt, weights_of(spelt, tmp_path / "model.gguf"))
    assert failed(gates) == ([] if end == "<|end|>" else [GateKind.ENDS])

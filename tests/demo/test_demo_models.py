"""The demo models that the package carries: small, complete, measured on commands training never saw."""

from __future__ import annotations

import itertools
import json
import struct
from pathlib import Path
from typing import Any

import pytest

from demo import sentences
from demo.intents import KEYS

DATA = Path(__file__).resolve().parents[2] / "edgepack" / "data"
HELDOUT = DATA / "demo-intents-heldout.jsonl"
MODELS = {"demo-5m": 4_918_528, "demo-1m": 984_320}
FILES = {
    "LICENSE",
    "README.md",
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "special_tokens_map.json",
    "tokenizer.model",
    "tokenizer_config.json",
}
SPECIAL = ["<unk>", "<s>", "<|end|>", "<pad>", "<|system|>", "<|user|>", "<|assistant|>"]

either_model = pytest.mark.parametrize("name", MODELS)


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def tensors(name: str) -> dict[str, Any]:
    """The safetensors header, without the weights."""
    with (DATA / name / "model.safetensors").open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header: dict[str, Any] = json.loads(file.read(length))
    assert header.pop("__metadata__") == {"format": "pt"}
    return header


def heldout_rows() -> list[dict[str, str]]:
    return [json.loads(line) for line in HELDOUT.read_text(encoding="utf-8").splitlines()]


def expected_shapes(config: dict[str, Any]) -> dict[str, list[int]]:
    """What the configuration says that a LLaMA with tied embeddings holds."""
    hidden, ffn, head = config["hidden_size"], config["intermediate_size"], config["head_dim"]
    queries, keys = config["num_attention_heads"] * head, config["num_key_value_heads"] * head
    shapes = {"model.embed_tokens.weight": [config["vocab_size"], hidden], "model.norm.weight": [hidden]}
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}"
        shapes |= {
            f"{prefix}.input_layernorm.weight": [hidden],
            f"{prefix}.post_attention_layernorm.weight": [hidden],
            f"{prefix}.self_attn.q_proj.weight": [queries, hidden],
            f"{prefix}.self_attn.k_proj.weight": [keys, hidden],
            f"{prefix}.self_attn.v_proj.weight": [keys, hidden],
            f"{prefix}.self_attn.o_proj.weight": [hidden, queries],
            f"{prefix}.mlp.gate_proj.weight": [ffn, hidden],
            f"{prefix}.mlp.up_proj.weight": [ffn, hidden],
            f"{prefix}.mlp.down_proj.weight": [hidden, ffn],
        }
    return shapes


def test_both_models_fit_into_twelve_megabytes() -> None:
    """The wheel stays small: every file of both models together is at most 12,000,000 bytes."""
    sizes = [path.stat().st_size for name in MODELS for path in (DATA / name).rglob("*") if path.is_file()]
    assert sum(sizes) <= 12_000_000


@either_model
def test_a_model_is_a_whole_hugging_face_directory(name: str) -> None:
    """Nothing that a converter reads is missing, and nothing else lies beside it."""
    assert {path.name for path in (DATA / name).iterdir()} == FILES


@either_model
def test_the_weights_are_what_the_configuration_says(name: str) -> None:
    """Every tensor is there in bfloat16 with its shape; the tied output matrix is not stored twice."""
    header = tensors(name)
    assert {tensor: entry["shape"] for tensor, entry in header.items()} == expected_shapes(
        read_json(DATA / name / "config.json")
    )
    assert {entry["dtype"] for entry in header.values()} == {"BF16"}


@either_model
def test_the_weights_are_as_many_as_the_card_says(name: str) -> None:
    """The parameters counted from the tensors are the published number, and every byte belongs to one."""
    header = tensors(name)
    count = sum(_product(entry["shape"]) for entry in header.values())
    assert count == MODELS[name]
    assert max(entry["data_offsets"][1] for entry in header.values()) == 2 * count
    assert f"{count:,}" in (DATA / name / "README.md").read_text(encoding="utf-8")


def _product(shape: list[int]) -> int:
    product = 1
    for length in shape:
        product *= length
    return product


@either_model
def test_every_matrix_can_be_k_quantized(name: str) -> None:
    """Rows are multiples of 256 weights, the block of the K-quants."""
    matrices = [entry["shape"] for entry in tensors(name).values() if len(entry["shape"]) == 2]
    assert all(shape[1] % 256 == 0 for shape in matrices)


@either_model
def test_the_special_tokens_agree_everywhere(name: str) -> None:
    """The four configurations mean the same tokens, and generation ends at the end of a turn."""
    config = read_json(DATA / name / "config.json")
    tokenizer = read_json(DATA / name / "tokenizer_config.json")
    generation = read_json(DATA / name / "generation_config.json")
    names = read_json(DATA / name / "special_tokens_map.json")
    assert [tokenizer["added_tokens_decoder"][str(place)]["content"] for place in range(7)] == SPECIAL
    for kind in ("bos", "eos", "pad"):
        assert SPECIAL[config[f"{kind}_token_id"]] == tokenizer[f"{kind}_token"] == names[f"{kind}_token"]
        assert generation[f"{kind}_token_id"] == config[f"{kind}_token_id"]
    assert tokenizer["eos_token"] == "<|end|>"
    assert tokenizer["add_bos_token"] is True
    assert tokenizer["add_prefix_space"] is False


@either_model
def test_the_tokenizer_spells_any_input(name: str) -> None:
    """The tokenizer has as many pieces as the embedding has rows, and gives back whatever it is given."""
    sentencepiece = pytest.importorskip("sentencepiece")
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(DATA / name / "tokenizer.model"))
    assert pieces.vocab_size() == read_json(DATA / name / "config.json")["vocab_size"]
    assert [pieces.id_to_piece(place) for place in range(7)] == SPECIAL
    for text in ("dim the lamp to 30 %", " two  spaces ", "22 °C, naïve 温度 \n\t"):
        assert pieces.decode(pieces.encode(text)) == text


def test_both_models_share_one_tokenizer() -> None:
    """A prompt is the same tokens for both, so that they can be compared."""
    first, second = ((DATA / name / "tokenizer.model").read_bytes() for name in MODELS)
    assert first == second


def test_the_chat_template_writes_what_training_used() -> None:
    """The template puts the markers around the command, and the runtime adds the first token."""
    jinja2 = pytest.importorskip("jinja2")
    config = read_json(DATA / "demo-5m" / "tokenizer_config.json")
    template = jinja2.Environment(autoescape=False).from_string(config["chat_template"])
    turns = [{"role": "user", "content": "lock the gate"}]
    text = template.render(messages=turns, add_generation_prompt=True, bos_token="<s>", eos_token="<|end|>")
    assert text == "<|user|>\nlock the gate<|assistant|>"


def test_the_stored_heldout_commands_are_the_generators() -> None:
    """The file is what the generator makes today: a change of the grammar must retrain the models."""
    commands = sentences.heldout()
    assert heldout_rows() == [{"text": command.text, "json": command.answer} for command in commands]
    assert HELDOUT.stat().st_size <= 102_400


def test_no_heldout_command_occurs_in_training() -> None:
    """Neither the words of a held-out command nor a new combination of slots ever comes up in training."""
    heldout = sentences.heldout()
    texts = {sentences.normalized(command.text) for command in heldout}
    meanings = {command.answer for command in heldout if "new meaning" in command.kinds}
    assert len(meanings) > 50
    for command in itertools.islice(sentences.training(), 4_000):
        assert sentences.normalized(command.text) not in texts
        assert command.answer not in meanings


def test_the_generator_is_deterministic() -> None:
    """The same seed gives the same commands, another seed others."""
    first = list(itertools.islice(sentences.training(seed=5), 200))
    sentences.heldout.cache_clear()
    assert first == list(itertools.islice(sentences.training(seed=5), 200))
    assert first != list(itertools.islice(sentences.training(seed=6), 200))


def test_every_answer_is_compact_json_with_its_keys_in_order() -> None:
    """An answer can be compared as a string: one way to write it, and an intent in front."""
    for command in itertools.islice(sentences.training(), 2_000):
        slots = json.loads(command.answer)
        assert command.answer == json.dumps(slots, separators=(",", ":"))
        assert list(slots) == [key for key in KEYS if key in slots]
        assert next(iter(slots)) == "intent"


def test_one_sentence_has_one_answer() -> None:
    """The grammar is not ambiguous: the same words never mean two things."""
    answers: dict[str, str] = {}
    for command in itertools.islice(sentences.training(), 6_000):
        if "typos" not in command.kinds:
            assert answers.setdefault(sentences.normalized(command.text), command.answer) == command.answer

"""Seeded checkpoints in Hugging Face layout: small layers, real vocabularies, random weights; no torch."""

import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.fakes.encoder_vocabularies import end_texts, put_unigram, put_wordpiece
from tests.fakes.gguf_raw import keys_of
from tests.fakes.renamed_tokens import name_as_qwen25, name_as_r1
from tests.fakes.sentencepiece_file import bytes_field, piece, varint_field

LLAMA3_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2_SPLIT = LLAMA3_SPLIT.replace(r"\p{N}{1,3}", r"\p{N}")
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}\n"
)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One checkpoint: its config, its vocabulary, how its weights are stored."""

    name: str
    vocabulary: str
    dtype: str
    config: Mapping[str, Any]
    shards: int = 1
    biases: tuple[str, ...] = ()
    card: str = ""
    generation: Mapping[str, Any] = field(default_factory=dict)
    added: Mapping[str, int] = field(default_factory=dict)
    tensors: "Callable[[Mapping[str, Any]], Mapping[str, tuple[int, ...]]] | None" = None
    """Every tensor's shape, from config.json; None: those of llama, qwen2 or qwen3."""
    spread: float = 0.02
    """Standard deviation of the weights; the larger, the more a wrong tensor shows in the logits."""
    float32: tuple[str, ...] = ()
    """Ends of the names of tensors that are float32 whatever the rest is."""
    options: tuple[str, ...] = ()
    """Further words for the oracle's first step."""
    outtype: str = ""
    """The precision in which the oracle's first step writes, where the checkpoint's own would lose something."""
    files: Mapping[str, str] = field(default_factory=dict)
    """More files, by name; they replace those of the vocabulary."""

    @property
    def tied(self) -> bool:
        return bool(self.config.get("tie_word_embeddings"))


def make_checkpoint(recipe: Recipe, directory: Path, vocabularies: Path) -> Path:
    """Write the checkpoint; `vocabularies` holds llama.cpp's ggml-vocab-*.gguf files."""
    directory.mkdir(parents=True)
    size = _WRITERS[recipe.vocabulary](directory, vocabularies, recipe)
    config = {"vocab_size": size, **recipe.config}
    (directory / "config.json").write_text(json.dumps(config, indent=2))
    if recipe.card:
        (directory / "README.md").write_text(recipe.card)
    if recipe.generation:
        (directory / "generation_config.json").write_text(json.dumps(recipe.generation))
    for name, text in recipe.files.items():
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_text(text)
    _write_weights(recipe, config, directory)
    return directory


def shapes(recipe: Recipe, config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Every tensor of a llama, qwen2 or qwen3 checkpoint."""
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    head = config.get("head_dim") or hidden // heads
    query, narrow = head * heads, head * config.get("num_key_value_heads", heads)
    wide = config["intermediate_size"]
    found: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (config["vocab_size"], hidden)}
    if not recipe.tied:
        found["lm_head.weight"] = (config["vocab_size"], hidden)
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        outputs = {"q": query, "k": narrow, "v": narrow, "o": hidden}
        for part, rows in outputs.items():
            found[f"{prefix}self_attn.{part}_proj.weight"] = (rows, query if part == "o" else hidden)
            if part in recipe.biases:
                found[f"{prefix}self_attn.{part}_proj.bias"] = (rows,)
        if config["model_type"] == "qwen3":
            found[f"{prefix}self_attn.q_norm.weight"] = (head,)
            found[f"{prefix}self_attn.k_norm.weight"] = (head,)
        found[f"{prefix}mlp.gate_proj.weight"] = (wide, hidden)
        found[f"{prefix}mlp.up_proj.weight"] = (wide, hidden)
        found[f"{prefix}mlp.down_proj.weight"] = (hidden, wide)
        found[f"{prefix}input_layernorm.weight"] = (hidden,)
        found[f"{prefix}post_attention_layernorm.weight"] = (hidden,)
    found["model.norm.weight"] = (hidden,)
    return found


def _write_weights(recipe: Recipe, config: Mapping[str, Any], directory: Path) -> None:
    random = np.random.default_rng(seed=sum(recipe.name.encode()))
    tensors = recipe.tensors(config) if recipe.tensors else shapes(recipe, config)
    stored = {
        name: ("F32" if name.endswith(recipe.float32) else recipe.dtype, shape) for name, shape in tensors.items()
    }

    def values(name: str) -> bytes:
        dtype, shape = stored[name]
        return encode(random_weights(random, shape, recipe.spread), dtype)

    if recipe.shards == 1:
        write_safetensors(directory / "model.safetensors", stored, values)
        return
    data = {name: values(name) for name in stored}
    weight_map = {}
    names = list(stored)
    for shard in range(recipe.shards):
        file = f"model-{shard + 1:05}-of-{recipe.shards:05}.safetensors"
        part = names[shard :: recipe.shards]
        write_safetensors(directory / file, {name: stored[name] for name in part}, data.__getitem__)
        weight_map |= dict.fromkeys(part, file)
    index = {"metadata": {"total_size": sum(map(len, data.values()))}, "weight_map": weight_map}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))


def random_weights(
    random: np.random.Generator, shape: tuple[int, ...], spread: float = 0.02
) -> npt.NDArray[np.float32]:
    """Normal weights; vectors (norms, biases) lie around one."""
    values = random.standard_normal(shape, dtype=np.float32) * np.float32(spread)
    return values + np.float32(1) if len(shape) == 1 else values


def encode(values: npt.NDArray[np.float32], dtype: str) -> bytes:
    """The values' bytes; bfloat16 rounds to nearest even."""
    if dtype == "F32":
        return values.tobytes()
    if dtype == "F16":
        return values.astype(np.float16).tobytes()
    bits = values.view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16).tobytes()


def write_safetensors(
    path: Path, tensors: Mapping[str, tuple[str, tuple[int, ...]]], values: Callable[[str], bytes]
) -> None:
    """`tensors` are name -> (dtype, shape); `values` gives one tensor's bytes, asked for in this order."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    position = 0
    for name, (dtype, shape) in tensors.items():
        end = position + prod(shape) * (4 if dtype == "F32" else 2)
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [position, end]}
        position = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name in tensors:
            file.write(values(name))


# --- vocabularies, rebuilt from the pinned source's ggml-vocab-*.gguf ---


def _byte_level(directory: Path, source: Path, *, qwen: bool) -> int:
    keys = keys_of(source)
    tokens, types = keys["tokenizer.ggml.tokens"], keys["tokenizer.ggml.token_type"]
    merges = keys["tokenizer.ggml.merges"]
    vocabulary = {text: index for index, (text, type) in enumerate(zip(tokens, types, strict=True)) if type == 1}
    added = [
        {"id": index, "content": text, "single_word": False, "lstrip": False, "rstrip": False,
         "normalized": False, "special": type == 3}
        for index, (text, type) in enumerate(zip(tokens, types, strict=True)) if type in (3, 4)
    ]  # fmt: skip
    split = {
        "type": "Split",
        "pattern": {"Regex": QWEN2_SPLIT if qwen else LLAMA3_SPLIT},
        "behavior": "Isolated",
        "invert": False,
    }
    byte_level = {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": not qwen,
        "use_regex": False,
    }
    tokenizer = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
        "normalizer": {"type": "NFC"} if qwen else None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, byte_level]},
        "post_processor": byte_level if qwen else _begin_of_text(tokens.index("<|begin_of_text|>")),
        "decoder": {**byte_level, "use_regex": not qwen},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
                  "ignore_merges": not qwen, "vocab": vocabulary, "merges": merges},
    }  # fmt: skip
    (directory / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False), encoding="utf-8")
    entry_keys = ("content", "lstrip", "normalized", "rstrip", "single_word", "special")
    decoder = {str(entry["id"]): {key: entry[key] for key in entry_keys} for entry in added}
    settings: dict[str, Any] = {
        "added_tokens_decoder": decoder,
        "chat_template": CHAT_TEMPLATE,
        "clean_up_tokenization_spaces": False,
    }
    if qwen:
        settings |= {
            "add_bos_token": False,
            "add_prefix_space": False,
            "bos_token": None,
            "eos_token": "<|im_end|>",
            "pad_token": "<|endoftext|>",
            "unk_token": None,
            "tokenizer_class": "Qwen2Tokenizer",
        }
    else:
        settings |= {
            "bos_token": "<|begin_of_text|>",
            "eos_token": "<|eot_id|>",
            "tokenizer_class": "PreTrainedTokenizerFast",
        }
    (directory / "tokenizer_config.json").write_text(json.dumps(settings))
    return len(tokens)


def _gpt2(directory: Path, vocabularies: Path, recipe: Recipe) -> int:
    """GPT-2's 50,257 tokens: the smallest byte-level vocabulary whose pre-tokenizer llama.cpp knows."""
    keys = keys_of(vocabularies / "ggml-vocab-gpt-2.gguf")
    tokens = keys["tokenizer.ggml.tokens"]
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    end = {"id": 50256, "content": "<|endoftext|>", "single_word": False, "lstrip": False, "rstrip": False,
           "normalized": False, "special": True}  # fmt: skip
    added = [end | {"id": index, "content": text, "normalized": True, "special": False}
             for text, index in recipe.added.items()]  # fmt: skip
    tokenizer = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [end, *added], "normalizer": None,
        "pre_tokenizer": level, "post_processor": level, "decoder": level,
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "",
                  "end_of_word_suffix": "", "fuse_unk": False, "byte_fallback": False,
                  "vocab": {text: index for index, text in enumerate(tokens)},
                  "merges": keys["tokenizer.ggml.merges"]},
    }  # fmt: skip
    (directory / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False), encoding="utf-8")
    settings = {
        "bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>",
        "add_prefix_space": False, "tokenizer_class": "GPT2Tokenizer", "chat_template": CHAT_TEMPLATE,
    }  # fmt: skip
    (directory / "tokenizer_config.json").write_text(json.dumps(settings))
    return len(tokens) + len(added)


def _begin_of_text(token_id: int) -> dict[str, Any]:
    name = "<|begin_of_text|>"
    first: list[dict[str, Any]] = [
        {"SpecialToken": {"id": name, "type_id": 0}},
        {"Sequence": {"id": "A", "type_id": 0}},
    ]
    second = [{"SpecialToken": {"id": name, "type_id": 1}}, {"Sequence": {"id": "B", "type_id": 1}}]
    template = {"type": "TemplateProcessing", "single": first, "pair": first + second,
                "special_tokens": {name: {"id": name, "ids": [token_id], "tokens": [name]}}}  # fmt: skip
    level = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True}
    return {"type": "Sequence", "processors": [level, template]}


def _qwen2(directory: Path, vocabularies: Path, _recipe: Recipe) -> int:
    _byte_level(directory, vocabularies / "ggml-vocab-qwen2.gguf", qwen=True)
    return 151936  # as in the published configs: more rows than tokens


def _qwen25(directory: Path, vocabularies: Path, recipe: Recipe) -> int:
    size = _qwen2(directory, vocabularies, recipe)
    name_as_qwen25(directory)
    return size


def _r1(directory: Path, vocabularies: Path, recipe: Recipe) -> int:
    size = _qwen2(directory, vocabularies, recipe)
    name_as_r1(directory)
    return size


def _llama3(directory: Path, vocabularies: Path, _recipe: Recipe) -> int:
    return _byte_level(directory, vocabularies / "ggml-vocab-llama-bpe.gguf", qwen=False)


def _sentencepiece(directory: Path, vocabularies: Path, recipe: Recipe) -> int:
    return _put_sentencepiece(directory, vocabularies, recipe, 32000)


def _few_pieces(directory: Path, vocabularies: Path, recipe: Recipe) -> int:
    """LLaMA's first 700 pieces, bytes and all: no multiple of 32, and quick to convert."""
    return _put_sentencepiece(directory, vocabularies, recipe, 700)


def _odd_pieces(directory: Path, vocabularies: Path, recipe: Recipe) -> int:
    """As few pieces, with those that InternLM2 treats its own way, and no space before a text."""
    renamed = {690: "\0", 691: "[UNUSED_TOKEN_1]", 692: "[UNUSED_TOKEN_2]"}
    return _put_sentencepiece(directory, vocabularies, recipe, 700, renamed=renamed, prefix=False)


def _put_sentencepiece(
    directory: Path, vocabularies: Path, recipe: Recipe, count: int, *,
    renamed: Mapping[int, str] | None = None, prefix: bool = True,
) -> int:  # fmt: skip
    keys = keys_of(vocabularies / "ggml-vocab-llama-spm.gguf")
    tokens, types, scores = (keys[f"tokenizer.ggml.{name}"][:count] for name in ("tokens", "token_type", "scores"))
    for token_id, text in (renamed or {}).items():
        tokens[token_id] = text
    pieces = b"".join(piece(*entry) for entry in zip(tokens, scores, types, strict=True))
    trainer = bytes_field(2, varint_field(3, 2) + varint_field(35, 1))  # BPE, with byte fallback
    normalizer = bytes_field(
        3, bytes_field(1, b"identity") + varint_field(3, prefix) + varint_field(4, 0) + varint_field(5, 1)
    )
    (directory / "tokenizer.model").write_bytes(pieces + trainer + normalizer)
    settings: dict[str, Any] = {
        "add_bos_token": True, "add_eos_token": False, "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>",
        "tokenizer_class": "LlamaTokenizer", "legacy": False, "chat_template": CHAT_TEMPLATE,
    }  # fmt: skip
    if recipe.added:
        settings["added_tokens_decoder"] = {
            str(index): {"content": text, "special": text.startswith("<"), "normalized": False, "lstrip": False,
                         "rstrip": False, "single_word": False}
            for text, index in recipe.added.items()
        }  # fmt: skip
    (directory / "tokenizer_config.json").write_text(json.dumps(settings))
    return len(tokens) + len(recipe.added)


def _wordpiece(directory: Path, vocabularies: Path, _recipe: Recipe) -> int:
    return put_wordpiece(directory, vocabularies)


def _unigram(directory: Path, vocabularies: Path, _recipe: Recipe) -> int:
    return put_unigram(directory, vocabularies, whole=True)


def _unigram_json(directory: Path, vocabularies: Path, _recipe: Recipe) -> int:
    return put_unigram(directory, vocabularies, whole=False)


def _qwen2_ended(directory: Path, vocabularies: Path, recipe: Recipe) -> int:
    size = _qwen2(directory, vocabularies, recipe)
    end_texts(directory, "<|endoftext|>", 151643)
    return size


_WRITERS = {
    "qwen2": _qwen2,
    "qwen2.5": _qwen25,
    "r1": _r1,
    "llama3": _llama3,
    "gpt2": _gpt2,
    "sentencepiece": _sentencepiece,
    "few-pieces": _few_pieces,
    "odd-pieces": _odd_pieces,
    "qwen2-ended": _qwen2_ended,
    "wordpiece": _wordpiece,
    "unigram": _unigram,
    "unigram-json": _unigram_json,
}

"""The vocabularies of embedding models: BERT's WordPiece, and a part of XLM-RoBERTa's Unigram in both its forms."""

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

from tests.fakes.gguf_raw import keys_of
from tests.fakes.sentencepiece_file import bytes_field, piece, varint_field

_CONTROL, _UNKNOWN, _NORMAL = 3, 2, 1
_FEW = 600


def put_wordpiece(directory: Path, vocabularies: Path) -> int:
    """BERT's 30,522 uncased tokens; cut and padded texts, as all-MiniLM-L6-v2's tokenizer.json asks for."""
    keys = keys_of(vocabularies / "ggml-vocab-bert-bge.gguf")
    entries = zip(keys["tokenizer.ggml.tokens"], keys["tokenizer.ggml.token_type"], strict=True)
    tokens = [_stored(*entry) for entry in entries]
    names = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    tokenizer = {
        "version": "1.0",
        "truncation": {"max_length": 128, "strategy": "LongestFirst", "stride": 0},
        "padding": {"strategy": {"Fixed": 128}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0,
                    "pad_type_id": 0, "pad_token": "[PAD]"},
        "added_tokens": [_added(name, tokens.index(name)) for name in names],
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
                       "strip_accents": None, "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": _around("[CLS]", "[SEP]", tokens, between=1),
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": {text: place for place, text in enumerate(tokens)}},
    }  # fmt: skip
    (directory / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False), encoding="utf-8")
    settings = {
        "do_lower_case": True, "unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]", "cls_token": "[CLS]",
        "mask_token": "[MASK]", "tokenize_chinese_chars": True, "strip_accents": None,
        "tokenizer_class": "BertTokenizer", "model_max_length": 512,
    }  # fmt: skip
    (directory / "tokenizer_config.json").write_text(json.dumps(settings))
    return len(tokens)


def _stored(text: str, type: int) -> str:
    """A token as WordPiece spells it, from llama.cpp's spelling."""
    if type == _CONTROL or (text.startswith("[unused") and text.endswith("]")):
        return text
    return text[1:] if text.startswith("▁") else f"##{text}"


def put_unigram(directory: Path, vocabularies: Path, *, whole: bool) -> int:
    """XLM-RoBERTa's first pieces and its <mask>; `whole` adds sentencepiece.bpe.model, which knows no <mask>."""
    keys = keys_of(vocabularies / "ggml-vocab-nomic-bert-moe.gguf")
    tokens = [*keys["tokenizer.ggml.tokens"][:_FEW], "<mask>"]
    scores = [*keys["tokenizer.ggml.scores"][:_FEW], 0.0]
    charsmap = bytes(keys["tokenizer.ggml.precompiled_charsmap"])
    metaspace = {"type": "Metaspace", "replacement": "▁", "add_prefix_space": True, "prepend_scheme": "always"}
    names = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
    tokenizer = {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [_added(name, tokens.index(name), lstrip=name == "<mask>") for name in names],
        "normalizer": {"type": "Precompiled", "precompiled_charsmap": b64encode(charsmap).decode()},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, metaspace]},
        "post_processor": _around("<s>", "</s>", tokens, between=2), "decoder": metaspace,
        "model": {"type": "Unigram", "unk_id": 3, "byte_fallback": False,
                  "vocab": list(zip(tokens, scores, strict=True))},
    }  # fmt: skip
    (directory / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False), encoding="utf-8")
    settings = {
        "bos_token": "<s>", "eos_token": "</s>", "sep_token": "</s>", "cls_token": "<s>", "unk_token": "<unk>",
        "pad_token": "<pad>", "mask_token": "<mask>", "model_max_length": 512,
        "clean_up_tokenization_spaces": True, "tokenizer_class": "XLMRobertaTokenizer",
    }  # fmt: skip
    (directory / "tokenizer_config.json").write_text(json.dumps(settings))
    if whole:
        (directory / "sentencepiece.bpe.model").write_bytes(_sentencepiece(tokens[4:-1], scores[4:-1], charsmap))
    return len(tokens)


def _sentencepiece(tokens: list[str], scores: list[float], charsmap: bytes) -> bytes:
    first = piece("<unk>", 0.0, _UNKNOWN) + piece("<s>", 0.0, _CONTROL) + piece("</s>", 0.0, _CONTROL)
    rest = b"".join(piece(text, score, _NORMAL) for text, score in zip(tokens, scores, strict=True))
    normalizer = bytes_field(1, b"nmt_nfkc") + bytes_field(2, charsmap)
    return first + rest + bytes_field(2, varint_field(3, 1)) + bytes_field(3, normalizer)


def _added(text: str, token_id: int, *, lstrip: bool = False) -> dict[str, Any]:
    return {"id": token_id, "special": True, "content": text, "single_word": False, "lstrip": lstrip,
            "rstrip": False, "normalized": False}  # fmt: skip


def _around(begin: str, end: str, tokens: list[str], *, between: int) -> dict[str, Any]:
    """The post-processor that begins and ends texts, and puts `between` ends between two."""

    def special(name: str, kind: int = 0) -> dict[str, Any]:
        return {"SpecialToken": {"id": name, "type_id": kind}}

    def text(name: str, kind: int = 0) -> dict[str, Any]:
        return {"Sequence": {"id": name, "type_id": kind}}

    second = 1 if between == 1 else 0
    single = [special(begin), text("A"), special(end)]
    pair = [*single, *[special(end)] * (between - 1), text("B", second), special(end, second)]
    known = {name: {"id": name, "ids": [tokens.index(name)], "tokens": [name]} for name in (begin, end)}
    return {"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": known}


def end_texts(directory: Path, name: str, token_id: int) -> None:
    """Let the post-processor put a token behind each text, as Qwen3-Embedding's does."""
    path = directory / "tokenizer.json"
    tokenizer = json.loads(path.read_text(encoding="utf-8"))
    end = {"SpecialToken": {"id": name, "type_id": 0}}
    first, second = ({"Sequence": {"id": text, "type_id": 0}} for text in "AB")
    template = {
        "type": "TemplateProcessing", "single": [first, end], "pair": [first, end, second, end],
        "special_tokens": {name: {"id": name, "ids": [token_id], "tokens": [name]}},
    }  # fmt: skip
    tokenizer["post_processor"] = {"type": "Sequence", "processors": [tokenizer["post_processor"], template]}
    path.write_text(json.dumps(tokenizer, ensure_ascii=False), encoding="utf-8")

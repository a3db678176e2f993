"""Added tokens of Qwen 2's descendants, laid over the vocabulary that they share with it; knows no other."""

import json
from pathlib import Path
from typing import Any

_FIRST = 151643
_QWEN25 = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>",
    "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>",
    "<|image_pad|>", "<|video_pad|>", "<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>",
    "<|fim_suffix|>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>",
)  # fmt: skip
_WIDE_BAR = "\uff5c"
_TURNS = tuple(
    f"<{_WIDE_BAR}{name}{_WIDE_BAR}>" for name in ("end▁of▁sentence", "User", "Assistant", "begin▁of▁sentence")
)
_R1 = (*_TURNS, "<|EOT|>", "<think>", "</think>", *_QWEN25[7:])
_PLAIN = frozenset((*_QWEN25[14:], *_TURNS[1:3], "<|EOT|>", "<think>", "</think>"))
"""Those that are not marked as special."""


def name_as_qwen25(directory: Path) -> None:
    """Qwen 2.5's and its Coder's: tool calls, and marks to fill in the middle."""
    settings = _table(directory / "tokenizer_config.json")
    settings["added_tokens_decoder"] = {
        str(entry["id"]): {key: value for key, value in entry.items() if key != "id"} for entry in _added(_QWEN25)
    }
    tokenizer = _table(directory / "tokenizer.json")
    tokenizer["added_tokens"] = _added(_QWEN25)
    _put(directory, tokenizer, settings)


def name_as_r1(directory: Path) -> None:
    """DeepSeek-R1-Distill-Qwen's: turns, thoughts, and a beginning, which the post-processor sets."""
    end, begin = ({"__type": "AddedToken", "content": name, "lstrip": False, "normalized": True, "rstrip": False,
                   "single_word": False} for name in (_R1[0], _R1[3]))  # fmt: skip
    settings = {
        "add_bos_token": True, "add_eos_token": False, "bos_token": begin, "eos_token": end, "pad_token": end,
        "unk_token": None, "legacy": True, "clean_up_tokenization_spaces": False, "sp_model_kwargs": {},
        "tokenizer_class": "LlamaTokenizerFast",
        "chat_template": f"{{{{ bos_token }}}}{_R1[1]}{{{{ messages[0]['content'] }}}}{_R1[2]}<think>\n",
    }  # fmt: skip
    tokenizer = _table(directory / "tokenizer.json")
    tokenizer["added_tokens"] = _added(_R1)
    single = [{"SpecialToken": {"id": _R1[3], "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    second = [{"SpecialToken": {"id": _R1[3], "type_id": 1}}, {"Sequence": {"id": "B", "type_id": 1}}]
    tokenizer["post_processor"] = {
        "type": "TemplateProcessing", "single": single, "pair": single + second,
        "special_tokens": {_R1[3]: {"id": _R1[3], "ids": [_FIRST + 3], "tokens": [_R1[3]]}},
    }  # fmt: skip
    _put(directory, tokenizer, settings)


def _added(names: tuple[str, ...]) -> list[dict[str, Any]]:
    return [
        {"id": _FIRST + place, "content": name, "single_word": False, "lstrip": False, "rstrip": False,
         "normalized": False, "special": name not in _PLAIN}
        for place, name in enumerate(names)
    ]  # fmt: skip


def _table(path: Path) -> dict[str, Any]:
    table: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return table


def _put(directory: Path, tokenizer: dict[str, Any], settings: dict[str, Any]) -> None:
    (directory / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False), encoding="utf-8")
    (directory / "tokenizer_config.json").write_text(json.dumps(settings, ensure_ascii=False), encoding="utf-8")

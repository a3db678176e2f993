"""The tokenizer, and a conversation as tokens: the very ones that llama.cpp makes of the chat template."""

from __future__ import annotations

import io
import itertools
from dataclasses import dataclass

import sentencepiece

from demo import sentences
from demo.sentences import Command

VOCABULARY = 768
UNK, BOS, END, PAD, SYSTEM, USER, ASSISTANT = range(7)
SPECIAL = ("<unk>", "<s>", "<|end|>", "<pad>", "<|system|>", "<|user|>", "<|assistant|>")

# llama.cpp's built-in template for these markers breaks the line after a role too, so the prompt is the same
# whether it renders this template or falls back to its own.
CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{%- if message['role'] == 'assistant' -%}{{ '<|assistant|>' + message['content'] + eos_token }}"
    "{%- elif message['role'] == 'system' -%}{{ '<|system|>\n' + message['content'] }}"
    "{%- else -%}{{ '<|user|>\n' + message['content'] }}"
    "{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|assistant|>' }}{%- endif -%}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence:
    ids: tuple[int, ...]
    prompt_length: int


class Tokenizer:
    def __init__(self, proto: bytes) -> None:
        self.proto = proto
        self._pieces = sentencepiece.SentencePieceProcessor(model_proto=proto)

    def prompt(self, text: str, system: str | None = None, *, bos: bool = True) -> list[int]:
        head = [BOS] if bos else []
        if system is not None:
            head += [SYSTEM, *self._pieces.encode(f"\n{system}")]
        return [*head, USER, *self._pieces.encode(f"\n{text}"), ASSISTANT]

    def sequence(self, command: Command, system: str | None = None, *, bos: bool = True) -> Sequence:
        prompt = self.prompt(command.text, system, bos=bos)
        return Sequence(ids=(*prompt, *self._pieces.encode(command.answer), END), prompt_length=len(prompt))


def trained_tokenizer(samples: int = 20_000) -> Tokenizer:
    """Byte-pair pieces of the training commands and answers; bytes stand in for all that they can't spell."""
    commands = itertools.islice(sentences.training(), samples)
    lines = (line for command in commands for line in (command.text, command.answer))
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=lines,
        model_writer=model,
        model_type="bpe",
        vocab_size=VOCABULARY,
        character_coverage=1.0,
        required_chars="".join(chr(code) for code in range(33, 127)) + "°",
        byte_fallback=True,
        split_digits=True,
        # Lets pieces such as `","room":"` form; the length limit keeps two slots from becoming one piece.
        split_by_unicode_script=False,
        max_sentencepiece_length=16,
        # llama.cpp neither normalizes nor trims, and adds no space where the GGUF says so.
        normalization_rule_name="identity",
        add_dummy_prefix=False,
        remove_extra_whitespaces=False,
        unk_id=UNK,
        bos_id=BOS,
        eos_id=END,
        pad_id=PAD,
        bos_piece=SPECIAL[BOS],
        eos_piece=SPECIAL[END],
        control_symbols=list(SPECIAL[SYSTEM:]),
        num_threads=1,
        minloglevel=2,
    )
    return Tokenizer(model.getvalue())

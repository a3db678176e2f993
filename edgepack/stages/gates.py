"""Weights held against their checkpoint: its own tokenizer, chat template and end tokens."""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from edgepack.convert.own_tokenizer import OwnTokenizer, own_tokenizer
from edgepack.domain.errors import BadInputError
from edgepack.domain.gates import Ends, Gate, Named, ends_gate, merges_gate, template_gate, tokenizer_gate
from edgepack.domain.torture import TEXTS
from edgepack.engines.llamacpp import ChatMessage, opened, tokens_of
from edgepack.engines.llamacpp_chat import chat_prompt_of, has_chat_template, render, spelling
from edgepack.engines.llamacpp_library import OpenModel

_DAY = datetime(2025, 1, 1, tzinfo=UTC)
_SAID = "Assistants say this."
# Turns of one, two and three; a system text; what templates trim or escape.
_CONVERSATIONS = tuple(
    tuple(ChatMessage(role=role, content=content) for role, content in turns)
    for turns in (
        [("user", "Hello")],
        [("system", "You are brief."), ("user", "Hello")],
        [("user", "Hello"), ("assistant", "Hi."), ("user", "  <b>Two</b> {{spaces}}  \n")],
        [("system", "You are brief."), ("user", "1"), ("assistant", "2"), ("user", "3")],
    )
)
_ANSWERED = (ChatMessage(role="user", content="Hello"), ChatMessage(role="assistant", content=_SAID))
_MARK = re.compile(r"<\|[^<>|\s]+\|>|<(?:start|end)_of_[a-z]+>")
"""How chat templates write what shall be one token."""


def check_gates(checkpoint: Path, weights: Path) -> tuple[Gate, ...]:
    """Compare a GGUF with the directory of its checkpoint, whose tokenizer reads the same texts.

    Only the GGUF's metadata are read. Raises BadInputError for files that are none.
    """
    own = own_tokenizer(checkpoint, TEXTS)
    with opened(weights, vocabulary_only=True) as model:
        return (
            tokenizer_gate(TEXTS, own.tokens, [tokens_of(model, text) for text in TEXTS]),
            merges_gate(own.merges, own.unmade),
            _template_gate(own, model),
            _ends_gate(own, model),
        )


def _template_gate(own: OwnTokenizer, model: OpenModel) -> Gate:
    if own.template is None and not has_chat_template(model):
        return template_gate([], [])
    wanted = [_own_prompt(own, turns) for turns in _CONVERSATIONS]
    return template_gate(
        wanted, [_prompt(model, turns) for turns in _CONVERSATIONS],
        unknown=list(dict.fromkeys(_unknown_marks(model, [prompt for prompt in wanted if prompt]))),
    )  # fmt: skip


def _unknown_marks(model: OpenModel, prompts: Sequence[str]) -> Iterator[str]:
    for prompt in prompts:
        for mark in _MARK.findall(prompt):
            if len(tokens_of(model, mark, parse_special=True)) > 1:
                yield mark


def _own_prompt(own: OwnTokenizer, turns: Sequence[ChatMessage]) -> str | None:
    if own.template is None:
        return None
    try:
        return render(own.template, turns, where="the checkpoint", bos=own.bos, eos=own.eos, now=_DAY)
    except BadInputError:  # templates refuse what the model was not trained on, and both shall
        return None


def _prompt(model: OpenModel, turns: Sequence[ChatMessage]) -> str | None:
    try:
        return chat_prompt_of(model, turns, now=_DAY)
    except BadInputError:
        return None


def _ends_gate(own: OwnTokenizer, model: OpenModel) -> Gate:
    native, vocabulary = model.native, model.vocabulary
    turn = _end_of_turn(own)
    files = [Ends(source=source, tokens=tokens) for source, tokens in own.ends.items()]
    size = native.llama_vocab_n_tokens(vocabulary)
    said = {token for one in (*files, *([turn] if turn else [])) for token in one.tokens if 0 <= token < size}
    return ends_gate(
        turn, files, stops=frozenset(token for token in said if native.llama_vocab_is_eog(vocabulary, token)),
        named=_named(model), own=own.end, tokens=size,
    )  # fmt: skip


def _named(model: OpenModel) -> Named:
    token = model.native.llama_vocab_eos(model.vocabulary)
    return Named(token=token, text=spelling(model, token))


def _end_of_turn(own: OwnTokenizer) -> Ends | None:
    """The special token that the chat template itself writes behind an answer, if it does not ask for the eos."""
    if own.template is None:
        return None
    try:
        said = render(own.template, _ANSWERED, where="the checkpoint", bos="", eos="", now=_DAY, begin=False)
    except BadInputError:
        return None
    behind = said.rpartition(_SAID)[2].lstrip()
    found = [text for text in own.special if text and behind.startswith(text)]
    if not found:
        return None
    return Ends(source="the chat template", tokens=frozenset({own.special[max(found, key=len)]}))

"""Weights held against their checkpoint: its own tokenizer, chat template and end tokens."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from edgepack.convert.own_tokenizer import OwnTokenizer, own_tokenizer
from edgepack.domain.errors import BadInputError
from edgepack.domain.gates import Gate, ends_gate, template_gate, tokenizer_gate
from edgepack.domain.torture import TEXTS
from edgepack.engines.llamacpp import ChatMessage, opened, tokens_of
from edgepack.engines.llamacpp_chat import chat_prompt_of, has_chat_template, render
from edgepack.engines.llamacpp_library import OpenModel

_DAY = datetime(2025, 1, 1, tzinfo=UTC)
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


def check_gates(checkpoint: Path, weights: Path) -> tuple[Gate, ...]:
    """Compare a GGUF with the directory of its checkpoint, whose tokenizer reads the same texts.

    Only the GGUF's metadata are read. Raises BadInputError for files that are none.
    """
    own = own_tokenizer(checkpoint, TEXTS)
    with opened(weights, vocabulary_only=True) as model:
        native, vocabulary = model.native, model.vocabulary
        return (
            tokenizer_gate(TEXTS, own.tokens, [tokens_of(model, text) for text in TEXTS]),
            _template_gate(own, model),
            ends_gate(
                own.ends,
                frozenset(token for token in own.ends if native.llama_vocab_is_eog(vocabulary, token)),
                native.llama_vocab_eos(vocabulary),
            ),
        )


def _template_gate(own: OwnTokenizer, model: OpenModel) -> Gate:
    if own.template is None and not has_chat_template(model):
        return template_gate([], [])
    return template_gate(
        [_own_prompt(own, turns) for turns in _CONVERSATIONS], [_prompt(model, turns) for turns in _CONVERSATIONS]
    )


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

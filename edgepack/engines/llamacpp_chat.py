"""A GGUF's own chat template, rendered in jinja's sandbox as transformers renders it; it never runs the model."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NoReturn

from edgepack.domain.errors import BadInputError
from edgepack.engines.llamacpp_library import OpenModel, opened


@dataclass(frozen=True, kw_only=True, slots=True)
class ChatMessage:
    """One turn of a conversation."""

    role: str
    """system, user or assistant; the template decides which it takes."""
    content: str


def chat_prompt(weights: Path, messages: Sequence[ChatMessage], *, now: datetime | None = None) -> str:
    """The prompt that the GGUF's own template makes of `messages`, up to where the assistant begins to speak.

    `now` is the time that the template sees, if it asks.
    Raises BadInputError where the GGUF has no template, or the template refuses the messages.
    """
    with opened(weights, vocabulary_only=True) as model:
        return chat_prompt_of(model, messages, now=now)


def chat_prompt_of(model: OpenModel, messages: Sequence[ChatMessage], *, now: datetime | None = None) -> str:
    """The same for a model that is open: many prompts."""
    raw = model.native.llama_model_chat_template(model.handle, None)
    if not raw:
        raise BadInputError(
            f"{model.path}: tokenizer.chat_template: the GGUF has none",
            hint="give a plain prompt, or convert a checkpoint that has a chat template",
        )
    native, vocabulary = model.native, model.vocabulary
    return render(
        raw.decode(errors="replace"), messages, where=str(model.path), now=now,
        bos=spelling(model, native.llama_vocab_bos(vocabulary)),
        eos=spelling(model, native.llama_vocab_eos(vocabulary)),
    )  # fmt: skip


def has_chat_template(model: OpenModel) -> bool:
    return bool(model.native.llama_model_chat_template(model.handle, None))


def render(
    template: str,
    messages: Sequence[ChatMessage],
    *,
    where: str,
    bos: str,
    eos: str,
    now: datetime | None = None,
    begin: bool = True,
) -> str:
    """Render a chat template; `where` names its origin in errors, `begin` lets the assistant begin to speak."""
    from jinja2 import TemplateError
    from jinja2.exceptions import SecurityError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = _to_json
    environment.globals |= {"raise_exception": _refuse, "strftime_now": (now or datetime.now().astimezone()).strftime}
    try:
        return environment.from_string(template).render(
            messages=[{"role": message.role, "content": message.content} for message in messages],
            add_generation_prompt=begin, bos_token=bos, eos_token=eos, tools=None, documents=None,
        )  # fmt: skip
    except (TemplateError, SecurityError, TypeError, ValueError, ArithmeticError, LookupError) as error:
        raise BadInputError(
            f"{where}: tokenizer.chat_template: {type(error).__name__}: {error}",
            hint="check the roles and their order: templates refuse what the model was not trained on",
        ) from error


def _refuse(message: str) -> NoReturn:
    from jinja2 import TemplateError

    raise TemplateError(message)


def _to_json(value: object, indent: int | None = None, ensure_ascii: bool = False) -> str:
    """jinja's own filter escapes HTML, which no prompt wants."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent)


def spelling(model: OpenModel, token: int) -> str:
    """A token as the vocabulary spells it; empty where the vocabulary has no such token."""
    if token < 0:
        return ""
    raw = model.native.llama_vocab_get_text(model.vocabulary, token)
    return raw.decode(errors="replace") if raw else ""

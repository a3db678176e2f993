"""What a kind of task asks of a model and a device, before anybody has measured the user's own."""

from dataclasses import dataclass, replace
from enum import StrEnum


class TaskKind(StrEnum):
    """What a model is for."""

    CLASSIFY = "classify"
    EXTRACT = "extract"
    REWRITE = "rewrite"
    ANSWER = "answer"
    """Questions about a text that is given."""
    CHAT = "chat"
    SUMMARISE = "summarise"
    RAG = "rag"
    """Answers out of several documents."""
    REASON = "reason"
    CODE = "code"
    RESEARCH = "research"


@dataclass(frozen=True, kw_only=True, slots=True)
class Needs:
    """Limits and the request that speeds are predicted for. None: no limit."""

    kind: TaskKind
    level: int
    """1 to 4: how hard the kind is (docs/choosing.md)."""
    context: int
    """Tokens of a conversation that must fit."""
    prompt: int
    """Tokens that a request typically brings anew."""
    first_token: float | None
    """Seconds until an answer begins."""
    decode: float | None
    """Tokens a second while it goes on."""
    size: int | None = None
    """Bytes of the weights."""


def _usual(
    kind: TaskKind, level: int, context: int, prompt: int, first_token: float | None, decode: float | None
) -> Needs:
    return Needs(
        kind=kind, level=level, context=context, prompt=prompt, first_token=first_token, decode=decode
    )  # fmt: skip


# A chat's answer shall begin within 3 s and go on as fast as people read: about 5 tokens a second. What is read once
# it is whole may take longer, but not minutes. The contexts hold a request of the kind and its answer, and no more:
# cache is memory.
_USUAL = {
    needs.kind: needs
    for needs in (
        _usual(TaskKind.CLASSIFY, 1, context=1024, prompt=256, first_token=3.0, decode=None),
        _usual(TaskKind.EXTRACT, 1, context=2048, prompt=512, first_token=10.0, decode=2.0),
        _usual(TaskKind.REWRITE, 1, context=2048, prompt=256, first_token=3.0, decode=5.0),
        _usual(TaskKind.ANSWER, 1, context=2048, prompt=768, first_token=10.0, decode=5.0),
        _usual(TaskKind.CHAT, 2, context=4096, prompt=128, first_token=3.0, decode=5.0),
        _usual(TaskKind.SUMMARISE, 2, context=4096, prompt=2048, first_token=60.0, decode=3.0),
        _usual(TaskKind.RAG, 2, context=4096, prompt=2048, first_token=30.0, decode=5.0),
        _usual(TaskKind.REASON, 3, context=8192, prompt=512, first_token=10.0, decode=10.0),
        _usual(TaskKind.CODE, 3, context=4096, prompt=512, first_token=10.0, decode=5.0),
        _usual(TaskKind.RESEARCH, 4, context=8192, prompt=4096, first_token=None, decode=None),
    )
}


def usual_needs(kind: TaskKind) -> Needs:
    """What a kind of task asks for where the user says no more."""
    return _USUAL[kind]


def limited(
    needs: Needs,
    *,
    context: int | None = None,
    prompt: int | None = None,
    first_token: float | None = None,
    decode: float | None = None,
    size: int | None = None,
) -> Needs:
    """`needs` with what the user said instead; 0 takes a limit away."""
    return replace(
        needs,
        context=context or needs.context,
        prompt=prompt or needs.prompt,
        first_token=needs.first_token if first_token is None else first_token or None,
        decode=needs.decode if decode is None else decode or None,
        size=needs.size if size is None else size or None,
    )

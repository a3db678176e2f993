"""What weights must have in common with the checkpoint that they are of, as figures; it reads neither."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from unicodedata import category

from edgepack.domain.errors import VerificationError

SCHEMA = "edgepack.gates/1"
_FEW_UNMADE = 16
"""Tokens without a merge that are a damage; a vocabulary that was made so has many. Those of Llama 3, Qwen 3 and
Gemma 3 have none."""

# <|im_end|>, <|endoftext|>, <end_of_turn>, <eos>, <|eot_id|>, </s>.
_END = re.compile(r"end|eo[smt]\b|eo[mt]_|</s>|EO[ST]")


class GateKind(StrEnum):
    """What a gate looks at."""

    TOKENIZER = "tokenizer"
    """The same tokens for a set of difficult texts."""
    MERGES = "merges"
    """The checkpoint's tokenizer can make each token of its vocabulary."""
    CHAT_TEMPLATE = "chat-template"
    """The same prompt for some conversations."""
    ENDS = "ends"
    """Generation stops where the checkpoint says, and the file names no other token as its end."""
    DIVERGENCE = "divergence"
    """What is expected next is near to what full precision expects."""
    LOGITS = "logits"
    """What is expected next is what the checkpoint itself expects under another engine."""
    ENCODER = "encoder"
    """What an encoder gives is near to what it gives in full precision, and says the same labels."""
    GOLDEN = "golden"
    """A greedy answer is text."""


class GateDepth(StrEnum):
    """How much is asked before a bundle is written."""

    NONE = "none"
    QUICK = "quick"
    """All that needs no other weights."""
    FULL = "full"
    """Divergence from full precision too, which must be converted and run, and the logits of another engine."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Gate:
    """One comparison."""

    kind: GateKind
    checked: int
    """Texts, conversations, tokens or places; 0 where the checkpoint says nothing of it."""
    different: tuple[str, ...]
    """What was not the same, each in a few words; empty: passed."""
    notes: tuple[str, ...] = ()
    """What the checkpoint's files contradict each other about, and does no harm to these weights."""
    figures: Mapping[str, float | str] = field(default_factory=dict)
    """What else was seen, by name."""

    @property
    def passed(self) -> bool:
        return not self.different


@dataclass(frozen=True, kw_only=True, slots=True)
class Ends:
    """Tokens at which generation shall stop, and who says so."""

    source: str
    tokens: frozenset[int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Named:
    """The token that a file calls its end."""

    token: int
    text: str

    @property
    def ends(self) -> bool:
        """Whether its name says so: stopping there too does no harm."""
        return bool(_END.search(self.text))


def gates_json(gates: Sequence[Gate]) -> dict[str, object]:
    """Plain values for `json.dumps`."""
    return {
        "schema": SCHEMA,
        "passed": all(gate.passed for gate in gates),
        "gates": [{**asdict(gate), "kind": gate.kind.value, "passed": gate.passed} for gate in gates],
    }


def refuse_failed(gates: Sequence[Gate], name: str) -> None:
    """Raise VerificationError that names each gate that weights did not pass, and its first difference."""
    if said := "; ".join(failures(gates)):
        raise VerificationError(
            f"{name}: not what its checkpoint says: {said}",
            hint="correct the checkpoint's files and make it again, or go on with --force",
        )


def failures(gates: Sequence[Gate]) -> Iterator[str]:
    """A few words for each gate that was not passed."""
    for gate in gates:
        if not gate.passed:
            yield f"{gate.kind}: {len(gate.different)} apart of {gate.checked}, first {gate.different[0]}"


def tokenizer_gate(texts: Sequence[str], wanted: Sequence[tuple[int, ...]], found: Sequence[tuple[int, ...]]) -> Gate:
    """Compare the tokens of each text."""
    return Gate(
        kind=GateKind.TOKENIZER, checked=len(texts),
        different=tuple(
            _first_apart(text, one, other)
            for text, one, other in zip(texts, wanted, found, strict=True)
            if one != other
        ),
    )  # fmt: skip


def merges_gate(merges: int, unmade: Sequence[str]) -> Gate:
    """`unmade` are tokens that none of the merges makes."""
    said = tuple(f"token {_shown(text)}: no merge makes it" for text in unmade[:_FEW_UNMADE])
    if len(unmade) <= _FEW_UNMADE:
        return Gate(kind=GateKind.MERGES, checked=merges, different=said)
    more = f"{len(unmade)} tokens that no merge makes, as if the vocabulary was made so; first {_shown(unmade[0])}"
    return Gate(kind=GateKind.MERGES, checked=merges, different=(), notes=(more,))


def template_gate(wanted: Sequence[str | None], found: Sequence[str | None], *, unknown: Sequence[str] = ()) -> Gate:
    """Compare the prompts of each conversation; None: refused by the template, or no template.

    `unknown` are marks that the template writes and no token is.
    """
    return Gate(
        kind=GateKind.CHAT_TEMPLATE, checked=len(wanted),
        different=tuple(
            f"{_shown(one)}, not {_shown(other)}"
            for one, other in zip(wanted, found, strict=True)
            if one != other
        ),
        notes=tuple(f"it writes {mark}, which is no token" for mark in unknown),
    )  # fmt: skip


def ends_gate(
    turn: Ends | None, files: Sequence[Ends], *, stops: frozenset[int], named: Named, own: int | None, tokens: int
) -> Gate:
    """Compare ends of generation: `turn` is what the chat template writes behind an answer, and decides if it is
    known; else the first of `files` does.

    `stops` are tokens at which llama.cpp stops; `named` is the one that the file calls its end, and `own` the one
    that the checkpoint's tokenizer does; `tokens` is the size of the vocabulary.
    """
    ends = [*([turn] if turn else []), *files]
    heeded = _tokens_of([*([turn] if turn else []), *files[:1]])
    different = [*_unheard(ends[:1], stops), *_misnamed(heeded, named, own)]
    notes = [*_beside(ends, stops, tokens), *_otherwise_named(_tokens_of(ends), named, own)]
    return Gate(
        kind=GateKind.ENDS, checked=len(_tokens_of(ends)), different=tuple(different),
        notes=() if different else tuple(notes),
    )  # fmt: skip


def golden_gate(prompt: str, text: str, *, tokens: int, chat: bool) -> Gate:
    """Look at a greedy answer; what was cut off may end within a letter."""
    said = text.rstrip("\ufffd")
    broken = [
        letter for letter in said if letter == "\ufffd" or (category(letter) == "Cc" and letter not in "\n\r\t")
    ]
    silent = chat and not said.strip()
    return Gate(
        kind=GateKind.GOLDEN, checked=tokens, figures={"prompt": prompt, "answer": text},
        different=(
            *(["the model says nothing"] if silent else []),
            *([f"{_shown(said)}: {len(broken)} of its letters are none"] if broken else []),
        ),
    )  # fmt: skip


def _unheard(ends: Sequence[Ends], stops: frozenset[int]) -> Iterator[str]:
    for said in ends:
        if not said.tokens & stops:
            yield f"{said.source}: token {_listed(said.tokens)}: generation does not stop at it"


def _misnamed(heeded: frozenset[int], named: Named, own: int | None) -> Iterator[str]:
    if named.token in heeded or named.ends or (named.token == own and not heeded):
        return
    if own not in (None, named.token):
        yield f"token {named.token}: the file's end, and the tokenizer's is {own}"
    elif heeded:
        yield f"token {named.token}: the file's end, and none of the checkpoint's ({_listed(heeded)})"


def _beside(ends: Sequence[Ends], stops: frozenset[int], tokens: int) -> Iterator[str]:
    for said in ends:
        for token in sorted(said.tokens - stops):
            beyond = f", and the vocabulary ends at {tokens - 1}" if token >= tokens else ""
            yield f"{said.source}: token {token}: generation does not stop at it{beyond}"


def _otherwise_named(every: frozenset[int], named: Named, own: int | None) -> Iterator[str]:
    if every and named.token not in every:
        yield f"token {named.token}: the file's end, by its name; the checkpoint's are {_listed(every)}"
    if own not in (None, named.token):
        yield f"token {named.token}: the file's end; the tokenizer's is {own}"


def _tokens_of(ends: Sequence[Ends]) -> frozenset[int]:
    return frozenset(token for said in ends for token in said.tokens)


def _listed(tokens: frozenset[int]) -> str:
    return ", ".join(map(str, sorted(tokens)))


def _first_apart(text: str, one: tuple[int, ...], other: tuple[int, ...]) -> str:
    place = next((place for place, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), None)
    place = min(len(one), len(other)) if place is None else place
    return f"{_shown(text)} at token {place}: {one[place : place + 3]}, not {other[place : place + 3]}"


def _shown(text: str | None) -> str:
    if text is None:
        return "nothing"
    return repr(text if len(text) <= 40 else f"{text[:18]}…{text[-18:]}")

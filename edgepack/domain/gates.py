"""What weights must have in common with the checkpoint that they are of, as figures; it reads neither."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from edgepack.domain.errors import VerificationError

SCHEMA = "edgepack.gates/1"


class GateKind(StrEnum):
    """What a gate looks at."""

    TOKENIZER = "tokenizer"
    """The same tokens for a set of difficult texts."""
    CHAT_TEMPLATE = "chat-template"
    """The same prompt for some conversations."""
    ENDS = "ends"
    """Generation stops at the checkpoint's end tokens, and the file names no other as its end."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Gate:
    """One comparison."""

    kind: GateKind
    checked: int
    """Texts, conversations or tokens; 0 where the checkpoint says nothing of it."""
    different: tuple[str, ...]
    """What was not the same, each in a few words; empty: passed."""

    @property
    def passed(self) -> bool:
        return not self.different


def gates_json(gates: Sequence[Gate]) -> dict[str, object]:
    """Plain values for `json.dumps`."""
    return {
        "schema": SCHEMA,
        "passed": all(gate.passed for gate in gates),
        "gates": [{**asdict(gate), "kind": gate.kind.value, "passed": gate.passed} for gate in gates],
    }


def refuse_failed(gates: Sequence[Gate], name: str) -> None:
    """Raise VerificationError that names each gate that weights did not pass, and its first difference."""
    failed = [gate for gate in gates if not gate.passed]
    if failed:
        said = "; ".join(
            f"{gate.kind}: {len(gate.different)} apart of {gate.checked}, first {gate.different[0]}"
            for gate in failed
        )
        raise VerificationError(
            f"{name}: not what its checkpoint says: {said}",
            hint="correct the checkpoint's files and make it again, or go on with --force",
        )


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


def template_gate(wanted: Sequence[str | None], found: Sequence[str | None]) -> Gate:
    """Compare the prompts of each conversation; None: refused by the template, or no template."""
    return Gate(
        kind=GateKind.CHAT_TEMPLATE, checked=len(wanted),
        different=tuple(
            f"{_shown(one)}, not {_shown(other)}"
            for one, other in zip(wanted, found, strict=True)
            if one != other
        ),
    )  # fmt: skip


def ends_gate(wanted: frozenset[int], stops: frozenset[int], named: int) -> Gate:
    """`stops` are those of `wanted` at which llama.cpp stops, `named` is the token that the file calls its end."""
    return Gate(kind=GateKind.ENDS, checked=len(wanted), different=tuple(_ends_apart(wanted, stops, named)))


def _ends_apart(wanted: frozenset[int], stops: frozenset[int], named: int) -> Iterator[str]:
    for token in sorted(wanted - stops):
        yield f"token {token}: generation does not stop at it"
    if wanted and named not in wanted:
        yield f"token {named}: the file's end, and none of the checkpoint's ({', '.join(map(str, sorted(wanted)))})"


def _first_apart(text: str, one: tuple[int, ...], other: tuple[int, ...]) -> str:
    place = next((place for place, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), None)
    place = min(len(one), len(other)) if place is None else place
    return f"{_shown(text)} at token {place}: {one[place : place + 3]}, not {other[place : place + 3]}"


def _shown(text: str | None) -> str:
    if text is None:
        return "nothing"
    return repr(text if len(text) <= 40 else f"{text[:18]}…{text[-18:]}")

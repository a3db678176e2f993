"""What a model answered to one example, and at what cost; whether it is right is not its business."""

from dataclasses import asdict, dataclass

from edgepack.domain.reading import Table


@dataclass(frozen=True, kw_only=True, slots=True)
class Answered:
    """One answer."""

    text: str
    whole: bool
    """Whether the model ended it, rather than a limit of tokens."""
    confidence: float
    """0 to 1. A label's share of the probability of all labels, or of all nearnesses where an encoder answers; of a
    text, the geometric mean of its tokens' probabilities, as the model gives them without a grammar."""
    prompt_tokens: int
    tokens: int
    """Generated, or scored."""
    first_token: float
    """Seconds until the prompt was read; nothing of it was kept from earlier requests."""
    seconds: float
    """From the same beginning to the end."""
    joules: float | None = None
    """What the machine's counter says for the time; None without one."""
    log_probabilities: tuple[float, ...] | None = None
    """Of each written token, the end left out, before a grammar; None where nobody noted them, and of labels. Tokens
    after which a character is incomplete are not counted: llama-server tells nothing of them."""
    margins: tuple[float, ...] | None = None
    """How much likelier than the likeliest other token each was, as a difference of log-probabilities; below zero
    where a grammar forbade the other."""


def answered_json(answered: Answered) -> dict[str, object]:
    """Plain values, under the fields' names."""
    return asdict(answered)


def parse_answered(table: Table) -> Answered:
    """The same back; BadInputError where it is not that."""
    return Answered(
        text=table.free_text("text"),
        whole=table.flag("whole"),
        confidence=table.number("confidence"),
        prompt_tokens=table.whole("prompt_tokens"),
        tokens=table.whole("tokens"),
        first_token=table.number("first_token"),
        seconds=table.number("seconds"),
        joules=table.number_or_none("joules"),
        log_probabilities=table.numbers_or_none("log_probabilities"),
        margins=table.numbers_or_none("margins"),
    )

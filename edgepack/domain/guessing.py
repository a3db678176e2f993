"""Whether guessing ahead by n-grams pays: what to try, what llama-cli says, the verdict; it runs nothing."""

import re
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edgepack.domain.bundle import Ngram, Speculation
from edgepack.domain.errors import DeviceError

LEAST_GAIN = 1.03
ROUNDS = 3
CANDIDATES = (
    Speculation(ngram=Ngram.SIMPLE, match=4, draft=8),
    Speculation(ngram=Ngram.MAP_K, match=3, draft=6),
    Speculation(ngram=Ngram.MOD, match=8, draft=16),
)
_RATE = re.compile(r"^\[ Prompt: [\d.]+ t/s \| Generation: ([\d.]+) t/s \]$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What the model wrote to one example, and its tokens/s."""

    text: str
    rate: float


Ask = Callable[[str, Speculation | None], Answer]


@dataclass(frozen=True, kw_only=True, slots=True)
class Guessed:
    """One way of guessing against none, over all examples and rounds."""

    speculation: Speculation
    ratios: tuple[float, ...]
    same: bool
    """Whether every answer was, to the letter, the one without guessing."""

    @property
    def ratio(self) -> float:
        """The median; above 1 it is faster."""
        return statistics.median(self.ratios)

    @property
    def wins(self) -> bool:
        """Faster beyond the noise, and nothing but faster."""
        quarter = statistics.quantiles(self.ratios, n=4, method="inclusive")[0] if len(self.ratios) > 1 else 0.0
        return self.same and self.ratio >= LEAST_GAIN and quarter > 1.0


def parse_answer(stdout: str, prompt: str) -> Answer:
    """What llama-cli printed for one turn, without its banner. Raises DeviceError where that is not found."""
    rate = _RATE.search(stdout)
    began = stdout.find(f"> {prompt}\n")
    if not rate or began < 0 or float(rate[1]) <= 0:
        raise DeviceError("llama-cli printed no answer with its speed", hint="take a runtime of the pinned llama.cpp")
    return Answer(text=stdout[began + len(prompt) + 3 : rate.start()].strip(), rate=float(rate[1]))


def try_guessing(examples: Sequence[str], ask: Ask, say: Callable[[str], None]) -> tuple[Guessed, ...]:
    """Each way against none, in alternation on every example, ROUNDS times."""
    found = []
    for speculation in CANDIDATES:
        say(f"guess ahead by {speculation.ngram} on {len(examples)} examples")
        ratios, same = [], True
        for turn in range(ROUNDS):
            for example in examples:
                sides = [ask(example, one) for one in _order(speculation, turn)]
                plain, guessed = sides if turn % 2 == 0 else reversed(sides)
                ratios.append(guessed.rate / plain.rate)
                same &= guessed.text == plain.text
        found.append(Guessed(speculation=speculation, ratios=tuple(ratios), same=same))
    return tuple(found)


def _order(speculation: Speculation, turn: int) -> tuple[Speculation | None, Speculation | None]:
    return (None, speculation) if turn % 2 == 0 else (speculation, None)


def best_guess(found: Sequence[Guessed]) -> Speculation | None:
    """The fastest of those that win."""
    winners = [one for one in found if one.wins]
    return max(winners, key=lambda one: one.ratio).speculation if winners else None

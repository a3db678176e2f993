"""How a next token is drawn from what a model expects: settings alone, no numbers of any model."""

from dataclasses import dataclass

from edgepack.domain.errors import UsageError


@dataclass(frozen=True, kw_only=True, slots=True)
class Sampling:
    """Applied in llama.cpp's order: the `top_k` likeliest, of these the first that make `top_p`, then temperature."""

    temperature: float = 0.0
    """0: always the likeliest, whatever the rest says."""
    top_k: int = 0
    """0: all."""
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value, fits, wanted in (
            ("temperature", self.temperature, 0 <= self.temperature <= 100, "0 to 100"),
            ("top_k", self.top_k, self.top_k >= 0, "0 or more"),
            ("top_p", self.top_p, 0 < self.top_p <= 1, "above 0, to 1"),
            ("seed", self.seed, self.seed >= 0, "0 or more"),
        ):
            if not fits:
                raise UsageError(f"{name} {value}: expected {wanted}", hint="correct this setting")


GREEDY = Sampling()

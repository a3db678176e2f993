"""Weights of every kind that a search for scales may meet, and importances; seeded, finite, float32."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Weights = npt.NDArray[np.float32]
_LEVELS = (0, 1, -1, 0.5, -3e-3, 1e-20, -1e-20, 1e-16, 1e-15, 2e-15, 3e38)


def _outliers(random: np.random.Generator, count: int) -> Weights:
    values = random.standard_normal(count) * 0.01
    values[random.integers(0, count, count // 256)] *= 1000
    return values.astype(np.float32)


def _scattered(random: np.random.Generator, count: int) -> Weights:
    """Blocks of magnitudes that have nothing to do with each other."""
    return (random.standard_normal(count) * np.exp(random.uniform(-80, 80, count // 32)).repeat(32)).astype(
        np.float32
    )


KINDS: dict[str, Callable[[np.random.Generator, int], Weights]] = {
    "normal": lambda random, count: random.standard_normal(count, np.float32) * np.float32(0.02),
    "bf16": lambda random, count: (
        (random.standard_normal(count, np.float32) * np.float32(0.02)).view(np.uint32) & 0xFFFF0000
    ).view(np.float32),
    "heavy-tailed": lambda random, count: (random.standard_t(2, count) * 0.01).astype(np.float32),
    "constant": lambda random, count: random.choice(np.float32(_LEVELS), count // 32).repeat(32),
    "zero": lambda random, count: np.zeros(count, np.float32),
    "denormal": lambda random, count: (random.standard_normal(count) * 1e-39).astype(np.float32),
    "outliers": _outliers,
    "sparse": lambda random, count: (random.standard_normal(count) * (random.random(count) < 0.1)).astype(np.float32),
    "grid": lambda random, count: (random.integers(-8, 9, count) / 64).astype(np.float32),
    "positive": lambda random, count: np.abs(random.standard_normal(count, np.float32)),
    "negative": lambda random, count: -np.abs(random.standard_normal(count, np.float32)),
    "wide": lambda random, count: (
        random.standard_normal(count) * np.exp(random.uniform(-60, 60, count))
    ).astype(np.float32),
    "scattered": _scattered,
}  # fmt: skip

IMPORTANCES: dict[str, Callable[[np.random.Generator, int], Weights | None]] = {
    "none": lambda random, columns: None,
    "usual": lambda random, columns: random.lognormal(0, 2, columns).astype(np.float32),
    "half": lambda random, columns: (random.random(columns) < 0.5).astype(np.float32),
    "wide": lambda random, columns: np.exp(random.uniform(-60, 40, columns)).astype(np.float32),
    "zero": lambda random, columns: np.zeros(columns, np.float32),
}

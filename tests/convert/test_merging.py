"""The product of an adapter's factors: each term rounded in once, wherever it is computed."""

from fractions import Fraction

import numpy as np
import numpy.typing as npt

from edgepack.convert.merging import product


def fused(left: npt.NDArray[np.float32], right: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """By exact arithmetic: total = round(total + a * b)."""
    found = np.zeros((left.shape[0], right.shape[1]), np.float32)
    for row, column in np.ndindex(found.shape):
        total = np.float32(0)
        for a, b in zip(left[row], right[:, column], strict=True):
            total = rounded(Fraction(float(total)) + Fraction(float(a)) * Fraction(float(b)))
        found[row, column] = total
    return found


def rounded(exact: Fraction) -> np.float32:
    """The nearest float32: of the one that float64 is rounded to and its neighbours."""
    near = np.float32(float(exact))
    choices = [near, np.nextafter(near, np.float32(np.inf)), np.nextafter(near, np.float32(-np.inf))]
    return min(choices, key=lambda value: abs(Fraction(float(value)) - exact))


def test_every_term_is_added_with_one_rounding() -> None:
    random = np.random.default_rng(3)
    left = random.standard_normal((9, 5), dtype=np.float32)
    right = random.standard_normal((5, 11), dtype=np.float32)
    assert (product(left, right) == fused(left, right)).all()


def test_two_roundings_would_give_another_value() -> None:
    """(1 + 2^-12)^2 - 1 - 2^-11: nothing is left where the product is rounded first."""
    a = np.float32(1 + 2**-12)
    left, right = np.array([[-1 - 2**-11, a]], np.float32), np.array([[1], [a]], np.float32)
    assert product(left, right)[0, 0] == np.float32(2**-24)
    assert left[0, 0] + a * a == 0

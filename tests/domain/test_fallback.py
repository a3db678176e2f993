"""Fallbacks: counted by rows and types, and said in one line with what they cost."""

from edgepack.domain.fallback import Fallback, explain, fallbacks_of, larger_by
from edgepack.domain.quant import TensorType

Q4_K, Q5_0, Q6_K, Q8_0, F16 = TensorType.Q4_K, TensorType.Q5_0, TensorType.Q6_K, TensorType.Q8_0, TensorType.F16


def test_tensors_are_grouped_by_their_rows_and_types() -> None:
    found = fallbacks_of([
        ((896, 896), Q4_K, Q5_0), ((128, 896), Q4_K, Q5_0), ((128, 896), Q6_K, Q8_0), ((896, 4864), Q4_K, Q4_K),
    ])  # fmt: skip
    # Q5_0 has 22 bytes for 32 weights, Q4_K 144 for 256.
    extra = 1024 * (896 * 22 // 32) - 1024 * 896 * 144 // 256
    assert found[0] == Fallback(tensors=2, columns=896, wanted=Q4_K, given=Q5_0, extra_bytes=extra)
    assert (found[1].tensors, found[1].wanted, found[1].given) == (1, Q6_K, Q8_0)
    assert len(found) == 2


def test_what_fits_is_no_fallback() -> None:
    assert fallbacks_of([((4, 256), Q4_K, Q4_K), ((7,), TensorType.F32, TensorType.F32)]) == ()


def test_one_line_says_which_and_why_and_what_it_costs() -> None:
    fallen = (
        Fallback(tensors=120, columns=896, wanted=Q4_K, given=Q5_0, extra_bytes=150),
        Fallback(tensors=1, columns=896, wanted=Q6_K, given=Q8_0, extra_bytes=40),
        Fallback(tensors=24, columns=100, wanted=Q8_0, given=F16, extra_bytes=10),
    )
    assert explain(fallen, total=1200) == (
        "rows of 100 are no multiple of 32: 24 tensors are F16 instead of Q8_0; "
        "rows of 896 are no multiple of 256: 120 tensors are Q5_0 instead of Q4_K, 1 tensor is Q8_0 instead of Q6_K; "
        "the file is 20.0 % larger"
    )
    assert larger_by(fallen, total=1200) == 0.2
    assert larger_by((), total=1200) == 0

"""System calls are found by their numbers: constants, moves, branches, callers; and what cannot be found is told."""

import struct

import pytest

from edgepack.domain.aarch64 import SVC, Calls, system_calls

BASE = 0x10000
RET = 0xD65F03C0
NOP = 0xD503201F


def code(*words: int) -> bytes:
    return struct.pack(f"<{len(words)}I", *words)


def found(*words: int, pointers: tuple[int, ...] = ()) -> Calls:
    return system_calls(code(*words), BASE, pointers=pointers)


def movz(register: int, value: int) -> int:
    return 0x52800000 | value << 5 | register


def mov(to: int, source: int) -> int:
    return 0xAA0003E0 | source << 16 | to


def b(offset: int) -> int:
    """To the instruction `offset` further."""
    return 0x14000000 | offset & 0x3FFFFFF


def bl(offset: int) -> int:
    return 0x94000000 | offset & 0x3FFFFFF


def cbz(register: int, offset: int) -> int:
    return 0x34000000 | (offset & 0x7FFFF) << 5 | register


def test_a_constant_is_the_number() -> None:
    calls = found(movz(8, 64), movz(0, 1), SVC, RET)
    assert calls.numbers == {64: (BASE + 8,)}
    assert calls.unknown == ()


def test_a_constant_in_another_register_is_followed() -> None:
    assert set(found(movz(3, 172), NOP, mov(8, 3), SVC, RET).numbers) == {172}


def test_a_constant_as_a_bit_mask_is_read() -> None:
    """`orr w8, wzr, #4`, as compilers write some numbers."""
    assert set(found(0x321E03E8, SVC, RET).numbers) == {4}


def test_both_sides_of_a_branch_count() -> None:
    calls = found(movz(8, 99), cbz(1, 2), movz(8, 98), SVC, RET)
    assert set(calls.numbers) == {98, 99}
    assert calls.unknown == ()


def test_a_wrapper_gets_its_numbers_from_its_callers() -> None:
    """syscall(n, …): the number is the first argument of each caller, also of one that ends in it."""
    wrapper = (mov(8, 0), SVC, RET)
    calls = found(*wrapper, movz(0, 278), bl(-4), RET, movz(0, 293), b(-7))
    assert set(calls.numbers) == {278, 293}
    assert calls.unknown == ()


def test_a_wrapper_whose_address_is_known_to_data_may_be_called_with_anything() -> None:
    wrapper = (mov(8, 0), SVC, RET)
    assert found(*wrapper, movz(0, 278), bl(-4), RET, pointers=(BASE,)).unknown == (BASE + 4,)


def test_a_wrapper_whose_address_the_code_computes_may_be_called_with_anything() -> None:
    adr = 0x10000000 | (-12 >> 2 & 0x7FFFF) << 5 | 9  # adr x9, of the wrapper
    assert found(mov(8, 0), SVC, RET, adr, 0xD63F0120, RET).unknown == (BASE + 4,)


def test_a_spare_name_that_nobody_calls_does_not_count() -> None:
    """libc's second name for a wrapper: one branch behind a return, called and held by nobody."""
    calls = found(mov(8, 0), SVC, RET, b(-3), movz(0, 57), bl(-5), RET)
    assert set(calls.numbers) == {57}
    assert calls.unknown == ()


def test_a_number_out_of_memory_is_unknown() -> None:
    ldr = 0xB9400028  # ldr w8, [x1]
    assert found(ldr, SVC, RET).unknown == (BASE + 4,)


def test_a_number_that_a_function_gives_back_is_unknown() -> None:
    assert found(movz(8, 64), bl(3), SVC, RET, RET).unknown == (BASE + 8,)


def test_a_store_leaves_the_number_as_it_is() -> None:
    store = 0xB9000028  # str w8, [x1]
    assert set(found(movz(8, 63), store, SVC, RET).numbers) == {63}


def test_code_that_no_branch_leads_to_is_not_taken_for_dead() -> None:
    """A case of a switch is reached through a table."""
    br = 0xD61F0120
    assert found(movz(8, 1), br, NOP, SVC, RET).unknown == (BASE + 12,)


@pytest.mark.parametrize(
    "word",
    [
        0x1E260008,  # fmov w8, s0
        0x0E043C08,  # umov w8, v0.s[0]
        0xD53BD048,  # mrs x8, tpidr_el0
        0xB8210028,  # ldadd w1, w8, [x1]
        0x88087C20,  # stxr w8, w0, [x1]
        0x88A87C20,  # cas w8, w0, [x1]
        0xB8404428,  # ldr w8, [x1], #4
        0xA9402028,  # ldp x8, x8, [x1]
        0x1A810108,  # csel w8, w8, w1, eq
        0x72A00028,  # movk w8, #1, lsl #16
    ],
)
def test_whatever_else_writes_the_register_makes_the_number_unknown(word: int) -> None:
    assert found(movz(8, 64), word, SVC, RET).unknown == (BASE + 8,)


@pytest.mark.parametrize(
    "word",
    [
        0x1E204008,  # fmov s8, s0
        0xBD400028,  # ldr s8, [x1]
        0xF9000028,  # str x8, [x1]
        0xA9002028,  # stp x8, x8, [x1]
        0x7100011F,  # cmp w8, #0
        0x34000028,  # cbz w8, the next
    ],
)
def test_what_writes_another_register_leaves_the_number(word: int) -> None:
    assert set(found(movz(8, 64), word, SVC, RET).numbers) == {64}

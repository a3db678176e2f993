"""What an app may call is judged for every Android, and an excuse is for a name."""

from edgepack.domain.aarch64 import Calls
from edgepack.domain.app_calls import AppCalls

RULES = AppCalls(
    allowed={"10": frozenset({63, 64}), "15": frozenset({63, 64, 293})},
    names={63: "read", 64: "write", 99: "set_robust_list", 293: "rseq"},
    never_made={"set_robust_list": "no such mutex"},
)


def test_what_is_on_every_list_is_no_fault() -> None:
    assert RULES.faults(Calls(numbers={63: (4,), 64: (8,)}, unknown=())) == ()


def test_what_one_android_forbids_is_named_with_it_and_its_place() -> None:
    (fault,) = RULES.faults(Calls(numbers={293: (0x40,)}, unknown=()))
    assert fault == "rseq (293), not allowed on Android 10, at 0x40"


def test_a_call_without_a_name_has_its_number() -> None:
    (fault,) = RULES.faults(Calls(numbers={999: (1, 2, 3, 4)}, unknown=()))
    assert fault == "call 999 (999), not allowed on Android 10, 15, at 0x1, 0x2, 0x3 and 1 more"


def test_what_is_never_made_is_excused_by_name() -> None:
    calls = Calls(numbers={99: (4,)}, unknown=())
    assert RULES.faults(calls) == ()
    assert RULES.excused(calls) == ("set_robust_list",)


def test_an_unknown_number_is_a_fault() -> None:
    (fault,) = RULES.faults(Calls(numbers={}, unknown=(0x80,)))
    assert fault == "a system call whose number cannot be found, at 0x80"

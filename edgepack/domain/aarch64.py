"""Which numbers a program's system calls may have, read off its aarch64 instructions; it runs nothing.

From each `svc #0` the value of w8 is followed backwards, over branches and into the callers of a function that takes
the number as an argument, to the constants it can be. What cannot be followed is told, never left out.
"""

from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

SVC = 0xD4000001
_NUMBER = 8
"""The register that the kernel reads the number from."""
_ARGUMENTS = range(8)
_CLOBBERED = range(19)
"""What a function may leave changed: x0 to x18 of the procedure call standard."""
_ENDS = frozenset((0xD65F03C0,))
"""`ret`: what stands behind it is reached by a branch alone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Calls:
    """Numbers of system calls with the places of the `svc` that may make each; places whose number stays unknown."""

    numbers: Mapping[int, tuple[int, ...]]
    unknown: tuple[int, ...]


def system_calls(code: bytes, address: int, *, pointers: Iterable[int] = ()) -> Calls:
    """Of the instructions that begin at `address`; `pointers` are addresses that data of the program holds."""
    return _Reading(code, address, frozenset(pointers)).calls()


class _Reading:
    def __init__(self, code: bytes, address: int, pointers: frozenset[int]) -> None:
        self._words = array("I", code[: len(code) // 4 * 4])
        self._base = address
        self._pointers = pointers | frozenset(_addresses(self._words, address))
        self._sources = _branches(self._words)

    def calls(self) -> Calls:
        numbers: dict[int, list[int]] = {}
        unknown: list[int] = []
        for at, word in enumerate(self._words):
            if word != SVC:
                continue
            place = self._base + 4 * at
            found = self._values(at)
            if None in found:
                unknown.append(place)
            for number in found:
                if number is not None:
                    numbers.setdefault(number, []).append(place)
        return Calls(
            numbers={number: tuple(places) for number, places in sorted(numbers.items())}, unknown=tuple(unknown)
        )

    def _values(self, svc: int) -> set[int | None]:
        """All that w8 can be at that instruction; None among them: something that cannot be followed."""
        found: set[int | None] = set()
        seen: set[tuple[int, int]] = set()
        open_ends = [(before, _NUMBER) for before in self._before(svc, _NUMBER, found)]
        while open_ends:
            at, register = open_ends.pop()
            if (at, register) in seen:
                continue
            seen.add((at, register))
            match _effect(self._words[at], register):
                case int(value):
                    found.add(value)
                case Moved(register=other):
                    open_ends += [(before, other) for before in self._before(at, other, found)]
                case Lost():
                    found.add(None)
                case None:
                    open_ends += [(before, register) for before in self._before(at, register, found)]
        return found

    def _before(self, at: int, register: int, found: set[int | None]) -> list[int]:
        """Instructions that may run right before; a function's first has its callers, for its arguments."""
        jumps = self._sources.get(at, ())
        falls = [at - 1] if at > 0 and not _never_falls(self._words[at - 1]) else []
        callers = [source for source in jumps if _is_call(self._words[source])]
        others = [source for source in jumps if not _is_call(self._words[source])]
        # A caller's registers are seen past the call itself, which changes none before it is made.
        entered = [before for caller in callers for before in self._through(caller)]
        reached = falls + others + entered
        taken = self._base + 4 * at in self._pointers
        if taken or (callers and register not in _ARGUMENTS) or (not reached and not self._is_dead(at)):
            found.add(None)
        return reached

    def _is_dead(self, at: int) -> bool:
        """Whether it is a function of one branch that nothing calls, nor holds the address of: libc's spare names.

        Other code without a way that leads there may be a case of a switch, which is reached through a table.
        """
        behind_another = at > 0 and self._words[at - 1] in _ENDS
        return behind_another and _is_branch(self._words[at])

    def _through(self, call: int) -> list[int]:
        """What runs before a call, seen from the function that it calls."""
        jumps = [source for source in self._sources.get(call, ()) if not _is_call(self._words[source])]
        falls = [call - 1] if call > 0 and not _never_falls(self._words[call - 1]) else []
        return falls + jumps


@dataclass(frozen=True, slots=True)
class Moved:
    """The register's value is another's."""

    register: int


@dataclass(frozen=True, slots=True)
class Lost:
    """The register gets a value that is not followed."""


def _effect(word: int, register: int) -> "int | Moved | Lost | None":
    """What an instruction does to a register: a constant, a move, anything else, or nothing (None)."""
    if _is_call(word) or word & 0xFFFFFC1F == 0xD63F0000:  # bl, blr
        return Lost() if register in _CLOBBERED else None
    if word == SVC:
        return Lost() if register == 0 else None
    if word & 0x1F != register or not _writes_low_bits(word):
        return Lost() if _loads_pair(word, register) or _gives_status(word, register) else None
    if word & 0x7FE00000 == 0x52800000:  # movz without a shift
        return word >> 5 & 0xFFFF
    if word & 0x7FE0FFE0 == 0x2A0003E0:  # mov from a register: orr with zr
        source = word >> 16 & 0x1F
        return 0 if source == 31 else Moved(source)
    if word & 0x7FC003E0 == 0x320003E0 and (mask := _bit_mask(word)) is not None:  # mov of a bit mask: orr with zr
        return mask
    if word & 0xFFFFFC00 == 0x93407C00:  # sxtw
        return Moved(word >> 5 & 0x1F)
    return Lost()


def _writes_low_bits(word: int) -> bool:
    """Whether bits 0 to 4 name a register that is written: in arithmetic and loads, not in stores and branches."""
    group = word >> 25 & 0xF
    if group in (0b1000, 0b1001, 0b0101, 0b1101, 0b0010):  # data processing; SVE's, which may
        return True
    if group & 0b0111 == 0b0111:  # vectors: what converts to a general register, or moves there
        return word & 0x5F20FC00 == 0x1E200000 or word & 0xBFE0FC00 == 0x0E003C00
    if word & 0xFFF00000 == 0xD5300000:  # mrs
        return True
    if group & 0b0101 == 0b0100:  # loads and stores
        return _loads(word)
    return False


def _loads(word: int) -> bool:
    """Whether a load-store instruction of general registers loads; vector ones change none of them."""
    if word >> 26 & 1:
        return False
    if word & 0x3B200C00 == 0x38200000:  # atomic: what was there before
        return True
    if word >> 27 & 0b111 == 0b011 and word >> 24 & 1 == 0:  # literal
        return True
    if word >> 27 & 0b111 == 0b101:  # pairs: bit 22
        return bool(word >> 22 & 1)
    if word >> 24 & 0x3F == 0b001000:  # exclusive: bit 22
        return bool(word >> 22 & 1)
    return word >> 22 & 0b11 != 0


def _loads_pair(word: int, register: int) -> bool:
    """Whether it is a load of two registers whose second is this one, or writes an address register back."""
    pair = word >> 27 & 0b111 == 0b101 and not word >> 26 & 1
    if pair and word >> 22 & 1 and word >> 10 & 0x1F == register:
        return True
    writes_back = (pair and word >> 23 & 1) or _is_indexed(word)
    return bool(writes_back) and word >> 5 & 0x1F == register and register != 31


def _gives_status(word: int, register: int) -> bool:
    """A store that says in a second register whether it was made, or a compare-and-swap that says what was there."""
    exclusive = word & 0x3F400000 == 0x08000000 and not word >> 23 & 1
    swap = word & 0x3FA07C00 == 0x08A07C00
    return (exclusive or swap) and word >> 16 & 0x1F == register


def _is_indexed(word: int) -> bool:
    """A load or store of one register that moves its address register: before or after it."""
    single = word >> 27 & 0b111 == 0b111 and word >> 24 & 1 == 0
    return single and bool(word >> 10 & 1) and not word >> 21 & 1


def _bit_mask(word: int) -> int | None:
    """The value of a logical immediate below 2**16, which a number of a system call is."""
    size_bit, rotated, ones = word >> 22 & 1, word >> 16 & 0x3F, word >> 10 & 0x3F
    if not size_bit and ones & 0x20:
        return None  # a pattern that repeats: its value is large
    width = 64 if size_bit else 32
    run = (1 << (ones + 1)) - 1
    value = (run >> rotated | run << (width - rotated)) & ((1 << width) - 1)
    return value if value < 1 << 16 else None


def _is_call(word: int) -> bool:
    return word & 0xFC000000 == 0x94000000


def _is_branch(word: int) -> bool:
    return word & 0xFC000000 == 0x14000000


def _never_falls(word: int) -> bool:
    """Whether what stands behind is not run next: an unconditional branch, a return, a trap."""
    return (
        word in _ENDS
        or _is_branch(word)
        or word & 0xFFFFFC1F == 0xD61F0000  # br
        or word & 0xFFE0001F == 0xD4200000  # brk
        or word & 0xFFFF0000 == 0  # udf
    )


def _branches(words: "array[int]") -> dict[int, list[int]]:
    """For each instruction that is branched to or called, where from."""
    sources: dict[int, list[int]] = {}
    for at, target in _targets(words):
        if 0 <= target < len(words):
            sources.setdefault(target, []).append(at)
    return sources


def _targets(words: "array[int]") -> Iterator[tuple[int, int]]:
    for at, word in enumerate(words):
        top = word >> 24
        if top & 0x7C == 0x14:  # b, bl
            yield at, at + _signed(word & 0x3FFFFFF, 26)
        elif top == 0x54 or top & 0x7E == 0x34:  # b.cond, cbz, cbnz
            yield at, at + _signed(word >> 5 & 0x7FFFF, 19)
        elif top & 0x7E == 0x36:  # tbz, tbnz
            yield at, at + _signed(word >> 5 & 0x3FFF, 14)


def _addresses(words: "array[int]", base: int) -> Iterator[int]:
    """Addresses that the code itself computes: adr, and adrp with the add that follows it."""
    pages: dict[int, int] = {}
    for at, word in enumerate(words):
        place = base + 4 * at
        if word & 0x1F000000 == 0x10000000:
            offset = _signed((word >> 5 & 0x7FFFF) << 2 | word >> 29 & 3, 21)
            if word >> 31:
                pages[word & 0x1F] = (place & ~0xFFF) + (offset << 12)
            else:
                yield place + offset
        elif word & 0xFFC00000 == 0x91000000 and (page := pages.get(word >> 5 & 0x1F)) is not None:
            yield page + (word >> 10 & 0xFFF)


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> (bits - 1) else value

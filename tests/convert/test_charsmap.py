"""A precompiled map of characters is taken whole, or refused before llama.cpp reads beyond its end."""

import struct
from pathlib import Path

import pytest

from edgepack.convert.charsmap import checked_charsmap
from edgepack.domain.errors import BadInputError
from tests.fakes.gguf_raw import keys_of

LEAF = 1 << 8
HERE = Path("tokenizer.json")


def base(value: int) -> int:
    """A node that leads to places around `value`."""
    return value << 10


def charsmap(nodes: dict[int, int], *, size: int = 512, replacements: bytes = b"x\0") -> bytes:
    table = [nodes.get(place, 0) for place in range(size)]
    return struct.pack(f"<I{size}I", 4 * size, *table) + replacements


# The letter a becomes the first replacement: from place 256, its node is 256 ^ 97, which leads to the leaf's value.
LETTER = 256 ^ ord("a")
SOUND = {0: base(256), LETTER: ord("a") | LEAF | base(LETTER ^ 100), 100: 0}


def test_a_real_map_is_taken_as_it_is(vocabularies: Path) -> None:
    """XLM-RoBERTa's, of a quarter of a million bytes."""
    data = bytes(keys_of(vocabularies / "ggml-vocab-nomic-bert-moe.gguf")["tokenizer.ggml.precompiled_charsmap"])
    assert checked_charsmap(HERE, data) is data


def test_a_small_map_is_taken() -> None:
    assert checked_charsmap(HERE, b"") == b""
    assert checked_charsmap(HERE, charsmap(SOUND))


@pytest.mark.parametrize(
    "data",
    [
        b"abc",
        b"\xff\xff\xff\xff" + bytes(100),
        struct.pack("<I", 0) + b"\0",
        struct.pack("<I", 6) + bytes(7),
        charsmap(SOUND, replacements=b""),
        charsmap(SOUND, replacements=b"x"),
        charsmap(SOUND | {0: base(512)}),
        charsmap(SOUND, size=300),
        charsmap(SOUND | {LETTER: ord("a") | base(LETTER ^ 1024)}),
        charsmap(SOUND | {LETTER: ord("a") | LEAF | base(LETTER ^ 2000)}),
        charsmap(SOUND | {100: 2}),
    ],
    ids=[
        "short", "a length beyond the end", "no node", "half a node", "no replacement", "no end of a replacement",
        "a root beyond the end", "a half of a block", "a node beyond the end", "a leaf beyond the end",
        "a replacement beyond the end",
    ],
)  # fmt: skip
def test_a_map_that_leads_beyond_its_end_is_refused(data: bytes) -> None:
    with pytest.raises(BadInputError, match=r"tokenizer\.json: precompiled_charsmap: \d+ bytes that lead beyond"):
        checked_charsmap(HERE, data)


def test_a_map_that_leads_in_circles_is_walked_once() -> None:
    """From the letter's node back to where it came from."""
    assert checked_charsmap(HERE, charsmap(SOUND | {LETTER: ord("a") | base(LETTER ^ 256)}))

"""SentencePiece's precompiled map of characters: checked, because those who read a broken one end the process.

Four bytes give the length of a trie, which follows as 32-bit nodes (a double array whose entries are XORed:
doi.org/10.1007/978-3-319-67428-5_18); the rest are its replacements, each ended by a zero byte.
"""

from base64 import b64decode
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgepack.domain.errors import BadInputError

_Nodes = npt.NDArray[np.uint32]
_MARK, _LABEL = np.uint32(1 << 31), np.uint32(0xFF)
_LEAF, _WIDE = np.uint32(1 << 8), np.uint32(1 << 9)


def checked_charsmap(path: Path, data: bytes) -> bytes:
    """`data` itself; raises BadInputError, which names `path`, where reading it would leave it."""
    if data and not _is_sound(data):
        raise BadInputError(
            f"{path}: precompiled_charsmap: {len(data)} bytes that lead beyond their end",
            hint="fetch the checkpoint again; do not trust it if this recurs",
        )
    return data


def decoded_charsmap(path: Path, text: str) -> bytes:
    """The same for what a tokenizer.json holds, in base64."""
    try:
        return checked_charsmap(path, b64decode(text, validate=True))
    except ValueError as error:
        raise BadInputError(f"{path}: precompiled_charsmap: not base64", hint="fetch the checkpoint again") from error


def _is_sound(data: bytes) -> bool:
    length = int.from_bytes(data[:4], "little")
    if len(data) <= 4 + length or length % 4 or data[-1]:
        return False
    nodes = np.frombuffer(data, dtype="<u4", count=length // 4, offset=4)
    return bool(nodes.size) and _stays_inside(nodes, replacements=len(data) - 4 - length)


def _stays_inside(nodes: _Nodes, *, replacements: int) -> bool:
    """Follow every path: at the place p, the letter c leads to the node `p ^ c` if c is that node's label."""
    labels = nodes & (_MARK | _LABEL)
    lettered = np.flatnonzero((labels > 0) & (labels <= _LABEL)).astype(np.uint32)
    lettered = lettered[np.argsort(lettered ^ labels[lettered], kind="stable")]
    parents = lettered ^ labels[lettered]
    seen = np.zeros(nodes.size, dtype=bool)
    places = _base(nodes[:1])
    while places.size:
        if (places | _LABEL >= nodes.size).any():
            return False
        places = np.unique(places)
        first, last = (np.searchsorted(parents, places, side=side) for side in ("left", "right"))
        reached = lettered[_ranges(first, last)]
        reached = reached[~seen[reached]]
        seen[reached] = True
        places = reached ^ _base(nodes[reached])
        values = places[(nodes[reached] & _LEAF) > 0]
        if (values >= nodes.size).any() or ((nodes[values] & ~_MARK) >= replacements).any():
            return False
    return True


def _base(nodes: _Nodes) -> _Nodes:
    return (nodes >> np.uint32(10)) << ((nodes & _WIDE) >> np.uint32(6))


def _ranges(first: npt.NDArray[np.int64], last: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """All numbers from each first to before its last, one range behind the other."""
    counts = last - first
    starts = np.repeat(first - np.cumsum(counts) + counts, counts)
    return starts + np.arange(counts.sum())

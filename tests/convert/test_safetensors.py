"""Safetensors headers: read where they are right, refused where they lie; never anything else."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgepack.convert.safetensors import StoredTensor, read_header
from edgepack.domain.errors import BadInputError
from tests.fakes.demo_copy import DEMO, WEIGHTS, header_bytes

ONE = b'{"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}'
TWO = (
    b'{"__metadata__":{"format":"pt"},"b":{"dtype":"BF16","shape":[4],"data_offsets":[24,32]},'
    b'"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}'
)
# Bytes that mean something in a header, so that mutations reach beyond the JSON parser.
TELLING = st.sampled_from([*b'0123456789-{}[]",:.eE', *b"\\/u \x00\xff", *b"FBIU8_dtypes"])


def write(path: Path, header: bytes, data: bytes) -> Path:
    path.write_bytes(header_bytes(header) + data)
    return path


def test_tensors_come_in_the_order_of_their_bytes(tmp_path: Path) -> None:
    path = write(tmp_path / "x", TWO, bytes(32))
    base = 8 + len(TWO)
    assert read_header(path) == (
        StoredTensor(name="a", path=path, dtype="F32", shape=(2, 3), offset=base, size=24),
        StoredTensor(name="b", path=path, dtype="BF16", shape=(4,), offset=base + 24, size=8),
    )


def test_tensors_without_elements_lie_between_others(tmp_path: Path) -> None:
    header = {
        "a": {"dtype": "F32", "shape": [0, 3], "data_offsets": [0, 0]},
        "b": {"dtype": "F32", "shape": [], "data_offsets": [0, 4]},
        "c": {"dtype": "U8", "shape": [0], "data_offsets": [4, 4]},
    }
    found = read_header(write(tmp_path / "x", json.dumps(header).encode(), bytes(4)))
    assert [(tensor.name, tensor.size) for tensor in found] == [("a", 0), ("b", 4), ("c", 0)]


def test_the_demo_is_read(tmp_path: Path) -> None:
    found = read_header(DEMO / WEIGHTS)
    assert sum(tensor.size for tensor in found) + found[0].offset == (DEMO / WEIGHTS).stat().st_size


def test_a_header_longer_than_the_reference_reads_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes((100_000_001).to_bytes(8, "little") + b"{")
    with path.open("ab") as file:
        file.truncate(200_000_000)
    with pytest.raises(BadInputError, match="the header claims 100000001 bytes"):
        read_header(path)


def read_or_refuse(path: Path, length: int) -> None:
    """Whatever is read lies within the file; anything else is BadInputError."""
    try:
        found = read_header(path)
    except BadInputError:
        return
    assert all(0 <= tensor.offset <= tensor.offset + tensor.size <= length for tensor in found)


@given(st.lists(st.tuples(st.integers(0, 10_000), TELLING), min_size=1, max_size=8), st.integers(-3, 3))
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_mutated_header_is_read_or_refused(tmp_path: Path, changes: list[tuple[int, int]], more: int) -> None:
    header = bytearray(TWO)
    for place, byte in changes:
        header[place % len(header)] = byte
    content = header_bytes(bytes(header)) + bytes(32 + more)
    (tmp_path / "x").write_bytes(content)
    read_or_refuse(tmp_path / "x", len(content))


NUMBERS = st.one_of(
    st.integers(), st.integers(-2, 40), st.just(1 << 63), st.just(1 << 64), st.floats(), st.booleans(), st.none()
)
VALUES = st.recursive(
    st.one_of(NUMBERS, st.text(max_size=4)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)
ENTRIES = st.fixed_dictionaries(
    {},
    optional={
        "dtype": st.one_of(st.sampled_from(["F32", "BF16", "U8", "F8_E4M3"]), VALUES),
        "shape": st.one_of(st.lists(st.integers(0, 4), max_size=3), VALUES),
        "data_offsets": st.one_of(st.lists(st.integers(0, 40), min_size=2, max_size=2), VALUES),
    },
)


@given(st.dictionaries(st.text(max_size=3), st.one_of(ENTRIES, VALUES), max_size=3), st.integers(0, 40))
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_made_up_header_is_read_or_refused(tmp_path: Path, header: dict[str, object], length: int) -> None:
    content = header_bytes(json.dumps(header).encode()) + bytes(length)
    (tmp_path / "x").write_bytes(content)
    read_or_refuse(tmp_path / "x", len(content))


@given(st.binary(max_size=64))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_read_or_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    read_or_refuse(tmp_path / "x", len(content))

"""Slabs: cut into whole rows and units, written where they belong, stopped by the first bad weight."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgepack.convert.family import Change, GeneratedTensor, RowOrder
from edgepack.convert.ggml import load_ggml
from edgepack.convert.layout import Placed
from edgepack.convert.quantizer import Quantizer
from edgepack.convert.safetensors import StoredTensor
from edgepack.convert.slabs import SlabWriter, cut, fill_all
from edgepack.convert.tensors import Source
from edgepack.domain.errors import BadInputError
from edgepack.domain.quant import TensorType


class Heard:
    """A bar that adds up."""

    total = 0

    def advance(self, amount: int) -> None:
        self.total += amount


def placed(
    path: Path, shape: tuple[int, ...], *, dtype: str = "F32", type: TensorType = TensorType.F32,
    order: RowOrder | None = None, change: Change | None = None, offset: int = 0, start: int = 0,
    written: tuple[int, ...] | None = None,
) -> Placed:  # fmt: skip
    size = int(np.prod(shape)) * (4 if dtype == "F32" else 2)
    origin = StoredTensor(name="t", path=path, dtype=dtype, shape=shape, offset=start, size=size)
    source = Source(name="t", shape=written or shape, origin=origin, order=order, change=change)
    return Placed(source=source, type=type, offset=offset)


def filled(tensors: tuple[Placed, ...], source: Path, size: int, threads: int = 2) -> bytes:
    target = source.with_name("target")
    target.write_bytes(bytes(size))
    files = [os.open(source, os.O_RDONLY), os.open(target, os.O_RDWR)]
    try:
        writer = SlabWriter(Quantizer(load_ggml()), files[1], {str(source): files[0]})
        slabs = [slab for tensor in tensors for slab in cut(tensor)]
        done: list[int] = []
        fill_all(writer, slabs, threads=threads, done=done.append, bar=Heard())
        assert sorted(done) == list(range(len(slabs)))
    finally:
        for file in files:
            os.close(file)
    return target.read_bytes()


def reverse(rows: int, unit: int) -> RowOrder:
    return RowOrder(rows=np.arange(rows).reshape(-1, unit)[:, ::-1].reshape(-1), unit=unit)


@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (1000, 1000), (2, 600_000), (5,), (1_000_000,)])
@pytest.mark.parametrize("unit", [None, 1, 100])
def test_slabs_cover_every_row_once_in_whole_units(shape: tuple[int, ...], unit: int | None) -> None:
    if unit and shape[0] % unit:
        pytest.skip("an order's unit divides the rows")
    tensor = placed(Path("x"), shape, order=reverse(shape[0], unit) if unit else None)
    slabs = list(cut(tensor))
    assert [slab.first_row for slab in slabs] == [sum(before.rows for before in slabs[:n]) for n in range(len(slabs))]
    assert sum(slab.rows * slab.columns for slab in slabs) == tensor.source.elements
    if unit and len(shape) > 1:
        assert all(slab.rows % unit == 0 for slab in slabs)


@pytest.mark.parametrize("threads", [1, 3])
def test_float32_arrives_as_it_was_where_it_belongs(tmp_path: Path, threads: int) -> None:
    values = np.arange(1200 * 500, dtype=np.float32)
    (tmp_path / "x").write_bytes(b"head" + values.tobytes())
    tensor = placed(tmp_path / "x", (1200, 500), start=4, offset=64)
    assert filled((tensor,), tmp_path / "x", 64 + values.nbytes, threads) == bytes(64) + values.tobytes()


def test_rows_change_their_places_within_units(tmp_path: Path) -> None:
    values = np.arange(40_000 * 16, dtype=np.float32).reshape(40_000, 16)
    (tmp_path / "x").write_bytes(values.tobytes())
    tensor = placed(tmp_path / "x", values.shape, order=reverse(40_000, 8))
    wanted = values.reshape(-1, 8, 16)[:, ::-1].reshape(values.shape)
    assert filled((tensor,), tmp_path / "x", values.nbytes) == wanted.tobytes()


def test_halves_are_widened(tmp_path: Path) -> None:
    values = np.array([1.0, -2.5, 65504, 6e-8], np.float16)
    (tmp_path / "x").write_bytes(values.tobytes())
    tensor = placed(tmp_path / "x", (4,), dtype="F16")
    assert filled((tensor,), tmp_path / "x", 16) == values.astype(np.float32).tobytes()


def test_generated_values_are_written_too(tmp_path: Path) -> None:
    values = np.array([1.5, 2.5], np.float32)
    origin = GeneratedTensor(name="g", values=values)
    tensor = Placed(source=Source(name="g", shape=(2,), origin=origin), type=TensorType.F32, offset=8)
    file = os.open(tmp_path / "x", os.O_RDWR | os.O_CREAT)
    SlabWriter(Quantizer(load_ggml()), file, {}).fill_generated(tensor)
    os.close(file)
    assert (tmp_path / "x").read_bytes() == bytes(8) + values.tobytes()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 611_111, 999_999])
def test_one_weight_that_is_no_number_is_found(tmp_path: Path, bad: float, place: int) -> None:
    values = np.zeros(1_000_000, np.float32)
    values[place] = bad
    (tmp_path / "x").write_bytes(values.tobytes())
    with pytest.raises(BadInputError, match="tensor 't' holds NaN or infinity"):
        filled((placed(tmp_path / "x", (1000, 1000)),), tmp_path / "x", values.nbytes)


def test_a_sum_beyond_float32_is_no_infinity(tmp_path: Path) -> None:
    """The quick look adds all weights up; only a weight that is infinite itself is refused."""
    values = np.full(1000, 3e38, np.float32)
    (tmp_path / "x").write_bytes(values.tobytes())
    assert filled((placed(tmp_path / "x", (10, 100)),), tmp_path / "x", 4000) == values.tobytes()


@pytest.mark.parametrize("type", [TensorType.F16, TensorType.Q8_0, TensorType.Q4_K])
def test_a_weight_beyond_the_type_is_refused(tmp_path: Path, type: TensorType) -> None:
    values = np.full(256, 1e38, np.float32)
    (tmp_path / "x").write_bytes(values.tobytes())
    with pytest.raises(BadInputError, match=f"weights too large for {type.name}"):
        filled((placed(tmp_path / "x", (1, 256), type=type),), tmp_path / "x", type.row_bytes(256))


def test_a_file_that_became_shorter_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(bytes(100))
    with pytest.raises(BadInputError, match="became shorter"):
        filled((placed(tmp_path / "x", (10, 10)),), tmp_path / "x", 400)


def test_the_bar_hears_every_byte_read(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(bytes(4000))
    heard: list[int] = []
    tell: Callable[[int], None] = heard.append
    file = os.open(tmp_path / "x", os.O_RDWR)
    writer = SlabWriter(Quantizer(load_ggml()), file, {str(tmp_path / "x"): file})
    for slab in cut(placed(tmp_path / "x", (10, 100))):
        tell(writer.fill(slab))
    os.close(file)
    assert sum(heard) == 4000

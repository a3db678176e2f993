"""A GGUF's head: read back by the format's own package as it was given, or refused by its key's name."""

from pathlib import Path

import gguf
import pytest

from edgepack.convert.head import pack_head
from edgepack.domain.errors import BadInputError
from edgepack.domain.quant import TensorType

TYPE = gguf.GGUFValueType


def value(content: object, type: gguf.GGUFValueType, sub_type: gguf.GGUFValueType | None = None) -> gguf.GGUFValue:
    return gguf.GGUFValue(value=content, type=type, sub_type=sub_type)


KEYS = {
    "a.string": value("Grüße", TYPE.STRING),
    "a.uint32": value((1 << 32) - 1, TYPE.UINT32),
    "a.int32": value(-5, TYPE.INT32),
    "a.uint64": value(1 << 63, TYPE.UINT64),
    "a.float32": value(0.5, TYPE.FLOAT32),
    "a.bool": value(True, TYPE.BOOL),
    "strings": value(["a", "", "ö"], TYPE.ARRAY),
    "numbers": value([1, -2, 3], TYPE.ARRAY),
    "floats": value([0.25, 1.5], TYPE.ARRAY),
    "bytes": value([1, 255], TYPE.ARRAY, TYPE.UINT8),
}


def test_the_package_reads_back_what_was_packed(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    head = pack_head(KEYS, [("t", (4, 32), TensorType.Q8_0, 0), ("v", (8,), TensorType.F32, 160)])
    path.write_bytes(head + bytes(-len(head) % 32) + bytes(192))
    reader = gguf.GGUFReader(path)
    for name, packed in KEYS.items():
        assert reader.fields[name].contents() == packed.value
        assert reader.fields[name].types[0] == packed.type
    tensor, vector = reader.tensors
    assert (tensor.name, tensor.shape.tolist(), tensor.tensor_type.name) == ("t", [32, 4], "Q8_0")
    assert (vector.name, vector.shape.tolist(), vector.tensor_type.name) == ("v", [8], "F32")
    assert vector.data_offset - tensor.data_offset == 160


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (value(-1, TYPE.UINT32), "-1 is no uint32"),
        (value(1 << 32, TYPE.UINT32), "4294967296 is no uint32"),
        (value("x", TYPE.INT32), "'x' is no int32"),
        (value(1e300, TYPE.FLOAT32), r"1e\+300 is no float32"),
        (value(7, TYPE.STRING), "7 is no string"),
        (value(None, TYPE.STRING), "None is no string"),
        (value("\ud800", TYPE.STRING), "is no string"),
        (value([], TYPE.ARRAY), r"\[\] is no list"),
        (value([None], TYPE.ARRAY), r"\[None\] is no list"),
        (value([1, "a"], TYPE.ARRAY), r"\[1, 'a'\] is no list of one type"),
        (value(["a", 1], TYPE.ARRAY), r"\['a', 1\] is no list of one type"),
        (value([["a"]], TYPE.ARRAY), "is no list of one type"),
        (value([256], TYPE.ARRAY, TYPE.UINT8), r"\[256\] is no list of uint8"),
    ],
)
def test_a_value_that_its_type_cannot_hold_is_named(wrong: gguf.GGUFValue, words: str) -> None:
    with pytest.raises(BadInputError, match=f"general.key: .*{words}"):
        pack_head({"general.key": wrong}, [])


def test_a_long_value_is_cut_in_the_error() -> None:
    with pytest.raises(BadInputError) as raised:
        pack_head({"k": value("x" * 100_000 + "\ud800", TYPE.STRING)}, [])
    assert len(raised.value.what) < 200

"""Tables of TOML and JSON: what is read, what is refused and where, and what is written."""

import tomllib
from enum import StrEnum

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgepack.domain.errors import BadInputError
from edgepack.domain.reading import Table, named_source, toml_text


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


def table(**values: object) -> Table:
    return Table(values, subject="file", hint="mend it")


def test_an_error_names_the_file_and_the_way_into_it() -> None:
    inner = table(cpu={"clusters": [{"count": "four"}]}).table("cpu").tables("clusters")[0]
    with pytest.raises(BadInputError, match=r"^file: cpu\.clusters\[0\]\.count: expected int, got string$"):
        inner.whole("count")


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({}, "x: expected int, got nothing"),
        ({"x": True}, "x: expected int, got bool"),
        ({"x": 1.0}, "x: expected int, got float"),
        ({"x": -1}, "x: expected 0 or more, got -1"),
    ],
)
def test_a_whole_number_is_an_int_and_nothing_like_it(values: dict[str, object], complaint: str) -> None:
    with pytest.raises(BadInputError, match=f"^file: {complaint}$"):
        table(**values).whole("x")


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        (float("nan"), "expected a finite number, got nan"),
        (float("inf"), "expected a finite number, got inf"),
        (False, "expected number, got bool"),
        (0, "expected more than 0, got 0"),
    ],
)
def test_a_number_is_finite_and_above_its_bound(value: object, complaint: str) -> None:
    with pytest.raises(BadInputError, match=f"x: {complaint}$"):
        table(x=value).number("x", above=0)


def test_a_text_says_something() -> None:
    """An empty string is no title and no source."""
    with pytest.raises(BadInputError, match="expected a text, got an empty string"):
        table(x=" ").text("x")


def test_a_choice_out_of_a_closed_set_offers_the_nearest() -> None:
    assert table(x="red").choice("x", Colour) is Colour.RED
    with pytest.raises(BadInputError, match="'gren' is not known; did you mean green"):
        table(x="gren").choice("x", Colour)
    with pytest.raises(BadInputError, match=r"x\[1\]: 'blue!' is not known; known are red, green"):
        table(x=["red", "blue!"]).choices("x", Colour)


def test_a_key_nobody_read_is_an_error_that_offers_the_nearest() -> None:
    read = table(count=1, conut=2)
    read.whole("count")
    with pytest.raises(BadInputError, match=r"conut: unknown key; did you mean count\?"):
        read.finish()


@pytest.mark.parametrize("value", [1, "text", [1], [{}, 1]])
def test_an_array_of_tables_holds_tables(value: object) -> None:
    with pytest.raises(BadInputError, match="expected"):
        table(x=value).tables("x", least=1)


def test_a_missing_key_that_is_there_misspelt_is_pointed_at() -> None:
    with pytest.raises(BadInputError, match=r"^file: gib: expected number, got nothing; gb is not a key$"):
        table(gb=8).number("gib")


def test_absent_is_none_but_wrong_is_still_wrong() -> None:
    assert table().text_or_none("x") is None
    assert table().number_or_none("x") is None
    assert table().table_or_none("x") is None
    with pytest.raises(BadInputError):
        table(x=1).text_or_none("x")


def test_an_absent_flag_or_list_is_none_but_wrong_is_still_wrong() -> None:
    assert (table().flag_or_none("x"), table().texts_or_none("x")) == (None, None)
    assert (table(x=False).flag_or_none("x"), table(x=[]).texts_or_none("x")) == (False, ())
    with pytest.raises(BadInputError, match="x: expected bool, got string"):
        table(x="no").flag_or_none("x")
    with pytest.raises(BadInputError, match="x: expected array of strings, got string"):
        table(x="no").texts_or_none("x")


def test_the_rest_is_what_nobody_read_and_counts_as_read() -> None:
    found = table(source="a page", hidden_size=8, layers=["a"])
    assert found.text("source") == "a page"
    assert found.rest() == {"hidden_size": 8, "layers": ["a"]}
    found.finish()
    assert found.rest() == {}


def test_a_source_is_a_name_that_the_file_spells_out() -> None:
    sources = {"card": "its card"}
    assert named_source(table(source="card"), sources) == "its card"
    assert named_source(table(gated_source="card"), sources, "gated_source") == "its card"
    with pytest.raises(BadInputError, match=r"^file: source: 'page' is not in the file's \[sources\]$"):
        named_source(table(source="page"), sources)


SCALARS = (
    st.text(st.characters(codec="utf-8"))
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.booleans()
    | st.lists(st.text(st.characters(codec="utf-8")))
)
TABLES = st.recursive(
    st.dictionaries(st.text(st.characters(codec="utf-8")), SCALARS, max_size=4),
    lambda inner: st.dictionaries(
        st.text(st.characters(codec="utf-8")), SCALARS | inner | st.lists(inner, min_size=1), max_size=3
    ),
    max_leaves=8,
)


@settings(max_examples=50, deadline=None)
@given(TABLES)
def test_what_is_written_as_toml_reads_back_the_same(values: dict[str, object]) -> None:
    assert tomllib.loads(toml_text(values)) == values


def test_what_toml_text_cannot_write_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="no TOML for NoneType"):
        toml_text({"x": None})

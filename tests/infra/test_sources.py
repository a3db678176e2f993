"""No figure without a source: every file that edgepack carries is refused once one of its sources is taken out."""

import tomllib
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

import edgepack
from edgepack.domain.catalogue import parse_models
from edgepack.domain.errors import BadInputError
from edgepack.domain.harness import parse_harnesses
from edgepack.domain.profile import parse_profile, profile_table
from edgepack.domain.quant_loss import parse_losses
from edgepack.infra.library import load_profile, profile_names, read_toml

DATA = Path(edgepack.__file__).parent / "data"
FAMILIES = sorted((DATA / "catalogue").glob("*.toml"))
HARNESSES = parse_harnesses(read_toml(DATA / "harnesses.toml"))
Place = tuple[str | int, ...]


def places(value: object, place: Place = ()) -> Iterator[Place]:
    """Where a file says a source."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key == "source" or key.endswith("_source"):
                yield (*place, key)
            yield from places(inner, (*place, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from places(inner, (*place, index))


def without(table: Mapping[str, Any], place: Place) -> dict[str, Any]:
    copy = deepcopy(dict(table))
    inner: Any = copy
    for key in place[:-1]:
        inner = inner[key]
    del inner[place[-1]]
    return copy


@pytest.mark.parametrize("name", profile_names())
def test_a_profile_is_refused_without_any_of_its_sources(name: str) -> None:
    """As it is once its base is read; a figure's own source stands before its table's, which may then be left."""
    table = profile_table(load_profile(name))
    found = list(places(table))
    assert len(found) >= 6
    for place in found:
        with pytest.raises(BadInputError, match="source: expected string, got nothing"):
            parse_profile(without(table, place), name=name)


@pytest.mark.parametrize("path", FAMILIES, ids=lambda path: path.stem)
def test_a_family_s_file_is_refused_without_any_of_its_sources(path: Path) -> None:
    table = read_toml(path)
    found = list(places(table))
    assert len(found) >= 7
    for place in found:
        with pytest.raises(BadInputError, match="source: expected string, got nothing"):
            parse_models(without(table, place), HARNESSES, name=path.stem)


@pytest.mark.parametrize("path", FAMILIES, ids=lambda path: path.stem)
def test_a_family_s_file_is_refused_where_a_source_is_not_spelt_out(path: Path) -> None:
    """And spells out none that nothing needs."""
    table = read_toml(path)
    sources = table["sources"]
    assert isinstance(sources, dict)
    for name in sources:
        with pytest.raises(BadInputError, match=rf"'{name}' is not in the file's \[sources\]"):
            parse_models(without(table, ("sources", name)), HARNESSES, name=path.stem)


@pytest.mark.parametrize("name", ["harnesses.toml", "quant_loss.toml"])
def test_a_table_of_results_is_refused_without_any_of_its_sources(name: str) -> None:
    table = read_toml(DATA / name)
    for place in places(table):
        with pytest.raises(BadInputError, match="source: expected string, got nothing"):
            (parse_harnesses if name == "harnesses.toml" else parse_losses)(without(table, place))


def test_the_family_s_file_in_the_documentation_is_one() -> None:
    page = (Path(__file__).parents[2] / "docs/catalogue.md").read_text(encoding="utf-8")
    table = tomllib.loads(page.split("```toml\n")[1].split("```")[0])
    model = parse_models(table, HARNESSES, name="tiny")[0]
    assert (model.config.values["rope_scaling"], model.config.sources["rope_theta"]) == (
        None,
        "from memory, unverified",
    )
    assert [score.harness.id for score in model.scores] == ["falcon-h1", "falcon-h1"]

"""What a model argument means."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgepack.domain.errors import BadInputError, EdgepackError, UsageError
from edgepack.domain.source import (
    Demo,
    DemoSource,
    DirectorySource,
    GgufSource,
    HubSource,
    Source,
    parse_source,
    with_revision,
)

CATALOGUE = {
    "qwen2.5-0.5b-instruct": "Qwen/Qwen2.5-0.5B-Instruct",
    "qwen/qwen2.5-0.5b-instruct": "Qwen/Qwen2.5-0.5B-Instruct",
}


def parsed(text: str, *, directories: tuple[str, ...] = (), files: tuple[str, ...] = ()) -> Source:
    return parse_source(
        text,
        catalogue_hub_id=lambda name: CATALOGUE.get(name.casefold()),
        is_directory=lambda path: path in map(Path, directories),
        is_file=lambda path: path in map(Path, files),
        nearest=lambda name: ("qwen2.5-0.5b-instruct",) if name.startswith("qwen") else (),
    )


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("demo", DemoSource(name=Demo.LARGE)),
        ("demo-5m", DemoSource(name=Demo.LARGE)),
        ("demo-1m", DemoSource(name=Demo.SMALL)),
        ("Qwen2.5-0.5B-Instruct", HubSource(repository="Qwen/Qwen2.5-0.5B-Instruct")),
        ("qwen2.5-0.5b-instruct@v1", HubSource(repository="Qwen/Qwen2.5-0.5B-Instruct", revision="v1")),
        ("QWEN/qwen2.5-0.5b-instruct", HubSource(repository="Qwen/Qwen2.5-0.5B-Instruct")),
        ("someone/some-thing.v2_x", HubSource(repository="someone/some-thing.v2_x")),
        ("a/b@refs/pr/1", HubSource(repository="a/b", revision="refs/pr/1")),
        ("a/b@" + "0f" * 20, HubSource(repository="a/b", revision="0f" * 20)),
    ],
)
def test_names_mean_what_the_package_the_catalogue_or_the_hub_has(text: str, meant: Source) -> None:
    assert parsed(text) == meant


def test_what_lies_on_disk_comes_before_the_hub() -> None:
    assert parsed("org/model", directories=("org/model",)) == DirectorySource(path=Path("org/model"))
    assert parsed("./m", directories=("./m",)) == DirectorySource(path=Path("m"))
    assert parsed("m.gguf", files=("m.gguf",)) == GgufSource(path=Path("m.gguf"))
    assert parsed("a@b", directories=("a@b",)) == DirectorySource(path=Path("a@b"))


def test_names_that_edgepack_knows_come_before_what_lies_on_disk() -> None:
    """A checkout has a directory called demo; a build must not change its model by where it is started."""
    assert parsed("demo", directories=("demo",)) == DemoSource(name=Demo.LARGE)
    assert isinstance(parsed("qwen2.5-0.5b-instruct", directories=("qwen2.5-0.5b-instruct",)), HubSource)


@pytest.mark.parametrize("text", ["./nothing", "/nothing", "../nothing", "~/nothing", "gone.gguf", "a/b.gguf"])
def test_a_path_where_nothing_lies_is_bad_input(text: str) -> None:
    with pytest.raises(BadInputError, match="no such file"):
        parsed(text)


def test_a_file_that_is_no_gguf_sends_the_user_to_its_directory() -> None:
    with pytest.raises(BadInputError, match=r"no \.gguf") as caught:
        parsed("m/model.safetensors", files=("m/model.safetensors",))
    assert "directory" in caught.value.hint


def test_a_mistyped_id_gets_the_ids_that_are_near() -> None:
    with pytest.raises(UsageError, match="qwen-half") as caught:
        parsed("qwen-half")
    assert "did you mean qwen2.5-0.5b-instruct?" in caught.value.hint


@pytest.mark.parametrize(
    "text", ["", " ", "gpt2", "a/b/c", "a//b", "a/..", "../b@main", "-a/b", "a/b-", "a/b--c", "a\\b", "a/" + "b" * 96]
)
def test_what_is_neither_name_nor_repository_is_an_error(text: str) -> None:
    with pytest.raises(EdgepackError):
        parsed(text)


@pytest.mark.parametrize("revision", ["", "../x", "a..b", "-x", "a b", "a?b", "x/", "a\nb", "é"])
def test_a_revision_that_git_would_not_name_is_refused(revision: str) -> None:
    with pytest.raises(UsageError, match="revision"):
        parsed(f"a/b@{revision}")
    with pytest.raises(UsageError, match="revision"):
        with_revision(HubSource(repository="a/b"), revision)


def test_the_option_names_the_revision_of_a_repository_only_and_contradicts_nothing() -> None:
    source = HubSource(repository="a/b")
    assert with_revision(source, "v1") == HubSource(repository="a/b", revision="v1")
    assert with_revision(source, None) == source
    assert with_revision(HubSource(repository="a/b", revision="v1"), "v1").revision == "v1"  # type: ignore[union-attr]
    with pytest.raises(UsageError, match="@v1"):
        with_revision(HubSource(repository="a/b", revision="v1"), "v2")
    with pytest.raises(UsageError, match="only a hub repository"):
        with_revision(DemoSource(name=Demo.LARGE), "v1")


@given(st.text(alphabet="aZ0-._/@~\\ \n", max_size=12))
@example("a/b@")
def test_any_text_is_a_source_or_a_known_error(text: str) -> None:
    with suppress(EdgepackError):
        source = parsed(text)
        assert not isinstance(source, HubSource) or ".." not in source.repository

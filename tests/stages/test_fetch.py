"""Checkpoints from the package and from directories: whole, hashed, or refused by the file that is wrong."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pytest

from edgepack.domain.checkpoint import INDEX, Checkpoint
from edgepack.domain.errors import BadInputError, UsageError
from edgepack.domain.progress import Bar, Silent
from edgepack.domain.source import Demo, DemoSource, DirectorySource, GgufSource, HubSource
from edgepack.stages.fetch import fetch, find_source

FILES = {"config.json": b"{}", "tokenizer.json": b"{}", "model.safetensors": b"weights", "README.md": b"# M\n"}


def written(directory: Path, files: dict[str, bytes]) -> Path:
    directory.mkdir(parents=True)
    for name, content in files.items():
        (directory / name).write_bytes(content)
    return directory


def fetched(directory: Path, cache: Path | None = None) -> Checkpoint:
    source = DirectorySource(path=directory)
    return fetch(source, cache=cache or directory.parent / "cache", progress=Silent(), offline=True)


def test_a_directory_is_a_checkpoint_with_its_files_hashed(tmp_path: Path) -> None:
    directory = written(tmp_path / "mine", FILES | {"pytorch_model.bin": b"never", "notes.txt": b"not needed"})
    checkpoint = fetched(directory)
    assert (checkpoint.directory, checkpoint.origin, checkpoint.revision) == (directory, "directory:mine", "local")
    assert {file.name: file.sha256 for file in checkpoint.files} == {
        name: sha256(content).hexdigest() for name, content in FILES.items()
    }
    assert checkpoint.size == sum(map(len, FILES.values()))


def test_the_digest_is_of_the_contents_and_not_of_the_place(tmp_path: Path) -> None:
    here = fetched(written(tmp_path / "here", FILES))
    there = fetched(written(tmp_path / "there", dict(reversed(FILES.items()))))
    other = fetched(written(tmp_path / "other", FILES | {"config.json": b"[]"}))
    assert here.digest == there.digest != other.digest
    lines = sorted(f"{sha256(content).hexdigest()}  {name}\n" for name, content in FILES.items())
    assert here.digest == sha256("".join(lines).encode()).hexdigest()


def test_the_digest_covers_how_vectors_are_pooled(tmp_path: Path) -> None:
    """The one file that lies in a folder; what lies in others is not read."""
    digests = set()
    for number, pooling in enumerate((b'{"pooling_mode": "cls"}', b'{"pooling_mode": "mean"}')):
        directory = written(tmp_path / str(number), FILES | {"modules.json": b"[]"})
        for folder in ("1_Pooling", "2_Dense", "1_Pooling/1_Pooling"):
            written(directory / folder, {"config.json": pooling})
        checkpoint = fetched(directory, tmp_path / "cache")
        assert [file.name for file in checkpoint.files if "/" in file.name] == ["1_Pooling/config.json"]
        digests.add(checkpoint.digest)
    assert len(digests) == 2


def test_a_relative_directory_gives_an_absolute_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path / "mine", FILES)
    monkeypatch.chdir(tmp_path / "mine")
    checkpoint = fetch(DirectorySource(path=Path()), cache=tmp_path / "cache", progress=Silent(), offline=True)
    assert (checkpoint.directory, checkpoint.origin) == (tmp_path / "mine", "directory:mine")


@pytest.mark.parametrize("demo", Demo)
def test_the_package_s_models_are_whole(tmp_path: Path, demo: Demo) -> None:
    checkpoint = fetch(DemoSource(name=demo), cache=tmp_path, progress=Silent(), offline=True)
    assert checkpoint.origin == f"demo:{demo}"
    assert {"config.json", "model.safetensors", "tokenizer.model"} <= {file.name for file in checkpoint.files}


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({}, "no model.safetensors"),
        ({"config.json": b"{}", "pytorch_model.bin": b"\x80"}, "pickled"),
        ({"config.json": b"{}", "model.safetensors": b"w"}, "no tokenizer"),
        ({"tokenizer.json": b"{}", "model.safetensors": b"w"}, "no config.json"),
        (FILES | {INDEX: b"nonsense"}, "not JSON"),
        (FILES | {INDEX: b"\xff\xfe"}, "not UTF-8"),
        (FILES | {"model.safetensors": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"}, "git-lfs"),
    ],
)
def test_what_is_no_whole_checkpoint_says_what_is_missing(tmp_path: Path, files: dict[str, bytes], says: str) -> None:
    with pytest.raises(BadInputError, match=says) as caught:
        fetched(written(tmp_path / "mine", files))
    assert str(tmp_path / "mine") in caught.value.what


def test_missing_shards_are_named_the_first_of_them(tmp_path: Path) -> None:
    shards = [f"model-0000{number}-of-00006.safetensors" for number in range(1, 7)]
    index = json.dumps({"weight_map": {f"t{number}": shard for number, shard in enumerate(shards)}}).encode()
    files = {name: content for name, content in FILES.items() if name != "model.safetensors"}
    directory = written(tmp_path / "mine", files | {INDEX: index, shards[0]: b"w"})
    with pytest.raises(BadInputError, match="names 6 shards, 5 are missing") as caught:
        fetched(directory)
    assert all(shard in caught.value.what for shard in shards[1:4])
    assert "and 2 more" in caught.value.what


def test_a_directory_that_is_gone_or_a_file_is_bad_input(tmp_path: Path) -> None:
    for path in (tmp_path / "gone", *written(tmp_path / "mine", {"file": b""}).iterdir()):
        with pytest.raises(BadInputError, match="cannot be read"):
            fetched(path)


def test_a_gguf_is_not_fetched(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="need no fetching"):
        fetch(GgufSource(path=tmp_path / "m.gguf"), cache=tmp_path, progress=Silent(), offline=False)


class Heard(Silent):
    """Counts what its last bar is told."""

    total: int | None = None
    done = 0

    @contextmanager
    def bar(self, label: str, total: int | None, unit: str) -> Iterator[Bar]:
        self.total, self.done = total, 0
        yield self

    def advance(self, amount: int) -> None:
        self.done += amount


def test_the_bar_ends_where_it_said(tmp_path: Path) -> None:
    heard = Heard()
    source = DirectorySource(path=written(tmp_path / "mine", FILES))
    fetch(source, cache=tmp_path / "cache", progress=heard, offline=True)
    assert heard.done == heard.total == sum(map(len, FILES.values()))


def test_an_argument_is_looked_up_in_the_catalogue_and_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "org" / "model", FILES)
    assert find_source("qwen2.5-0.5b-instruct") == HubSource(repository="Qwen/Qwen2.5-0.5B-Instruct")
    assert find_source("org/model") == DirectorySource(path=Path("org/model"))
    assert find_source("org/other", revision="v1") == HubSource(repository="org/other", revision="v1")
    with pytest.raises(UsageError) as caught:
        find_source("qwen2.5-0.5b")
    assert "did you mean qwen2.5-0.5b-instruct" in caught.value.hint

"""What the hub delivers, and how each of its failures ends, with the real client against a real server."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from random import Random
from threading import Lock

import huggingface_hub
import pytest
from huggingface_hub import constants

from edgepack.domain.checkpoint import INDEX, Checkpoint
from edgepack.domain.errors import BadInputError, EdgepackError, ExitCode, NetworkError, NoSpaceError, UsageError
from edgepack.domain.progress import Bar, Silent
from edgepack.infra.hub import Patience, fetch_repository
from tests.fakes.hub import FakeHub, Refusal, serve_hub

MODEL = "maker/model"
SECRET = "hf_nobodyMaySeeThis"
WEIGHTS = "model.safetensors"
FILES = {
    ".gitattributes": b"*.safetensors filter=lfs\n",
    "README.md": b"# A model\n",
    "LICENSE": b"Do as you like.\n",
    "config.json": b'{"model_type": "llama"}',
    "generation_config.json": b"{}",
    "tokenizer.json": b'{"model": {}}',
    "tokenizer_config.json": b"",
    WEIGHTS: Random(1).randbytes(3_000_000),
}
NEEDED = tuple(sorted(FILES.keys() - {".gitattributes"}))
SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
SHARDED = {
    **{name: content for name, content in FILES.items() if name != WEIGHTS},
    INDEX: json.dumps({"weight_map": {"a": SHARDS[0], "b": SHARDS[1], "c": SHARDS[0]}}).encode(),
    SHARDS[0]: Random(2).randbytes(400_000),
    SHARDS[1]: Random(3).randbytes(300_000),
}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeHub]:
    """A hub with one repository, and an environment that names it and no token."""
    with serve_hub() as running:
        running.commit(MODEL, FILES)
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        for variable in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
            monkeypatch.delenv(variable, raising=False)
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "hf" / "token"))
        huggingface_hub.close_session()
        yield running
        huggingface_hub.close_session()


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "home" / "hub"


def fetched(
    cache: Path, revision: str | None = None, *, offline: bool = False, repository: str = MODEL
) -> Checkpoint:
    return fetch_repository(
        repository, revision, cache=cache, progress=Silent(), offline=offline,
        patience=Patience(attempts=3, first_wait=0.01, longest_wait=0.1),
    )  # fmt: skip


def refused(cache: Path, kind: type[EdgepackError] = NetworkError, revision: str | None = None) -> EdgepackError:
    with pytest.raises(kind) as caught:
        fetched(cache, revision)
    return caught.value


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "edgepack", "fetch", MODEL, *arguments]


def everything_below(path: Path) -> bytes:
    return b"".join(file.read_bytes() for file in path.rglob("*") if file.is_file())


def test_the_needed_files_come_whole_from_one_commit(hub: FakeHub, cache: Path) -> None:
    checkpoint = fetched(cache)
    assert checkpoint.origin == f"hub:{MODEL}"
    assert checkpoint.revision == hub.branches[MODEL, "main"]
    assert tuple(file.name for file in checkpoint.files) == NEEDED
    for file in checkpoint.files:
        assert checkpoint.path(file.name).read_bytes() == FILES[file.name]
        assert (file.size, file.sha256) == (len(FILES[file.name]), sha256(FILES[file.name]).hexdigest())


def test_nothing_else_is_asked_for(hub: FakeHub, cache: Path) -> None:
    """Pickles, originals and other formats stay where they are."""
    others = (
        "pytorch_model.bin",
        "original/consolidated.00.pth",
        "onnx/model.onnx",
        "consolidated.safetensors",
        "x.py",
    )
    hub.commit(MODEL, FILES | dict.fromkeys(others, b"never"))
    assert tuple(file.name for file in fetched(cache).files) == NEEDED
    assert not {request.name for request in hub.requests} & {name.rpartition("/")[2] for name in others}


def test_an_embedding_model_s_pooling_comes_with_it(hub: FakeHub, cache: Path) -> None:
    """From its folder, which is no way out of the checkpoint; nothing else in a folder is fetched."""
    named = {
        "modules.json": b"[]",
        "sentencepiece.bpe.model": b"x",
        "1_Pooling/config.json": b'{"pooling_mode": "cls"}',
    }
    others = ("2_Dense/config.json", "1_Pooling/model.py", "a/1_Pooling/config.json", "../1_Pooling/config.json")
    hub.commit(MODEL, {**FILES, **named, **dict.fromkeys(others, b"never")})
    checkpoint = fetched(cache)
    assert {file.name for file in checkpoint.files} == {*NEEDED, *named}
    assert {name: checkpoint.path(name).read_bytes() for name in named} == named
    assert fetched(cache, checkpoint.revision).digest == checkpoint.digest
    (checkpoint.directory / "1_Pooling" / "stranger").write_bytes(b"x")
    checkpoint.path("modules.json").unlink()
    assert {path.name for path in (fetched(cache).directory / "1_Pooling").iterdir()} == {"config.json"}


def test_the_fake_speaks_as_the_real_hub_does_to_its_own_client(hub: FakeHub, tmp_path: Path) -> None:
    """The client's own download, which is none of ours, gets the same bytes from it."""
    got = huggingface_hub.snapshot_download(MODEL, endpoint=hub.url, local_dir=tmp_path / "own", token=False)
    assert {name: (Path(got) / name).read_bytes() for name in FILES} == FILES


def test_a_second_fetch_of_a_commit_asks_nobody_and_one_of_a_branch_asks_once(hub: FakeHub, cache: Path) -> None:
    first = fetched(cache)
    hub.requests.clear()
    assert fetched(cache, first.revision) == first
    assert hub.requests == []
    assert fetched(cache, "main") == first
    assert len(hub.requests) == 1


def test_offline_serves_what_a_former_run_finished(
    hub: FakeHub, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = fetched(cache)
    hub.requests.clear()
    assert fetched(cache, offline=True) == first
    assert fetched(cache, first.revision, offline=True) == first
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert fetched(cache) == first
    assert hub.requests == []


def test_offline_without_a_finished_fetch_says_so(hub: FakeHub, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.cuts[WEIGHTS] = [1000] * 9
    refused(cache)
    hub.requests.clear()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    error = refused(cache)
    assert "offline" in error.what
    assert "HF_HUB_OFFLINE" in error.hint
    assert hub.requests == []


def test_a_moved_cache_is_read_once_more_and_serves(hub: FakeHub, cache: Path) -> None:
    """A copy has other times and no links; its bytes are what counts."""
    first = fetched(cache)
    elsewhere = cache.with_name("elsewhere")
    shutil.copytree(cache, elsewhere, copy_function=shutil.copyfile)
    assert fetched(elsewhere, first.revision, offline=True).files == first.files


@pytest.mark.parametrize("damage", [b"x" * len(FILES[WEIGHTS]), b"short"])
def test_a_file_that_changed_on_disk_is_never_served(hub: FakeHub, cache: Path, damage: bytes) -> None:
    first = fetched(cache)
    weights = first.path(WEIGHTS)
    weights.chmod(0o644)
    weights.write_bytes(damage)
    with pytest.raises(NetworkError):
        fetched(cache, offline=True)
    assert fetched(cache) == first
    assert weights.read_bytes() == FILES[WEIGHTS]


def test_a_commit_is_read_only_so_that_no_editor_changes_its_neighbours(hub: FakeHub, cache: Path) -> None:
    assert fetched(cache).path("config.json").stat().st_mode & 0o222 == 0


def test_a_damaged_record_is_as_none(hub: FakeHub, cache: Path) -> None:
    first = fetched(cache)
    record = first.directory.with_name(f"{first.revision}.json")
    record.write_text('{"schema": 1, "files": [{"name": "config.json"}]}')
    with pytest.raises(NetworkError):
        fetched(cache, first.revision, offline=True)
    assert fetched(cache, first.revision) == first


def test_a_new_commit_brings_only_what_changed(hub: FakeHub, cache: Path) -> None:
    fetched(cache)
    commit = hub.commit(MODEL, FILES | {"README.md": b"# The same model, better told\n"})
    hub.requests.clear()
    checkpoint = fetched(cache)
    assert checkpoint.revision == commit
    assert [request.name for request in hub.requests[1:]] == ["README.md"]
    assert checkpoint.path("README.md").read_bytes().startswith(b"# The same")


def test_a_repository_that_grows_meanwhile_is_fetched_at_one_commit(hub: FakeHub, cache: Path) -> None:
    before = hub.branches[MODEL, "main"]
    hub.grows = [{**FILES, "config.json": b'{"model_type": "other"}', WEIGHTS: b"others"}]
    checkpoint = fetched(cache)
    assert checkpoint.revision == before != hub.branches[MODEL, "main"]
    assert checkpoint.path("config.json").read_bytes() == FILES["config.json"]
    assert all(f"/{before}/" in request.path for request in hub.requests if "/resolve/" in request.path)


def test_the_shards_are_those_that_the_index_names(hub: FakeHub, cache: Path) -> None:
    hub.commit(
        MODEL, {**SHARDED, "model-00003-of-00003.safetensors": b"left over", "consolidated.safetensors": b"too"}
    )
    names = {file.name for file in fetched(cache).files}
    assert {name for name in names if name.endswith(".safetensors")} == set(SHARDS)
    assert INDEX in names


def test_two_names_of_one_content_are_both_there(hub: FakeHub, cache: Path) -> None:
    hub.commit(MODEL, {**SHARDED, SHARDS[1]: SHARDED[SHARDS[0]]})
    checkpoint = fetched(cache)
    assert checkpoint.path(SHARDS[1]).read_bytes() == SHARDED[SHARDS[0]]


def test_a_half_delivered_repository_names_the_missing_shards(hub: FakeHub, cache: Path) -> None:
    hub.commit(MODEL, {name: content for name, content in SHARDED.items() if name != SHARDS[1]})
    error = refused(cache, BadInputError)
    assert SHARDS[1] in error.what
    assert "half-delivered" in error.hint
    assert not hub.asked(SHARDS[0])


def test_a_listed_file_that_is_not_there_is_named(hub: FakeHub, cache: Path) -> None:
    hub.missing.add(WEIGHTS)
    error = refused(cache)
    assert WEIGHTS in error.what
    assert "half-delivered" in error.what


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"pytorch_model.bin": b"\x80"}, "pickle"),
        ({"consolidated.00.pth": b"\x80"}, "pickle"),
        ({"model-q4.gguf": b"GGUF"}, "GGUF"),
        ({}, "no model.safetensors"),
    ],
)
def test_a_repository_without_safetensors_says_what_it_has(
    hub: FakeHub, cache: Path, files: dict[str, bytes], says: str
) -> None:
    hub.commit(MODEL, {name: FILES[name] for name in NEEDED if name != WEIGHTS} | files)
    error = refused(cache, BadInputError)
    assert says in error.what
    assert error.exit_code == ExitCode.BAD_INPUT
    assert not any("/resolve/" in request.path for request in hub.requests)


@pytest.mark.parametrize("missing", ["config.json", "tokenizer.json"])
def test_a_repository_without_config_or_tokenizer_is_refused(hub: FakeHub, cache: Path, missing: str) -> None:
    hub.commit(MODEL, {name: content for name, content in FILES.items() if name != missing})
    assert missing in refused(cache, BadInputError).what


@pytest.mark.parametrize(
    "name", ["../evil.safetensors", "/evil.safetensors", "a/evil.safetensors", "..\\e", ".e", ""]
)
def test_a_name_that_leaves_the_directory_is_never_used(hub: FakeHub, cache: Path, name: str) -> None:
    index = json.dumps({"weight_map": {"a": name}}).encode()
    hub.commit(MODEL, {**FILES, INDEX: index, name: b"evil"})
    error = refused(cache, BadInputError)
    assert "no plain file name" in error.what
    assert not list(cache.parent.rglob("*evil*"))


def test_a_licence_with_a_hostile_name_is_refused(hub: FakeHub, cache: Path) -> None:
    hub.commit(MODEL, {**FILES, "LICENSE\\..\\..\\x": b"evil"})
    assert "no plain file name" in refused(cache, BadInputError).what


@pytest.mark.parametrize("index", [b"{", b"[]", b'{"weight_map": {}}', b'{"weight_map": {"a": 1}}', b"\xff"])
def test_a_malformed_index_is_bad_input(hub: FakeHub, cache: Path, index: bytes) -> None:
    hub.commit(MODEL, {**SHARDED, INDEX: index})
    assert INDEX in refused(cache, BadInputError).what


# What the hub refuses.


@pytest.mark.parametrize(
    ("refusal", "token", "says", "hint"),
    [
        (Refusal(status=401, code="GatedRepo"), False, "gated: it needs a token", "{url}/maker/model"),
        (Refusal(status=403, code="GatedRepo"), True, "has not accepted the terms", "{url}/maker/model"),
        (Refusal(status=401, message="Invalid credentials in Authorization header"), True, "token", "HF_TOKEN"),
        (Refusal(status=401), False, "no such repository, or a private one", "HF_TOKEN"),
        (Refusal(status=403), True, "forbidden", "settings/tokens"),
        (Refusal(status=429, headers={"Retry-After": "120"}), False, "too many requests", "in 120 s"),
        (Refusal(status=429, headers={"RateLimit": '"api";r=0;t=55'}), False, "too many requests", "in 55 s"),
        (Refusal(status=429), False, "too many requests", "run it again"),
        (Refusal(status=500), False, "the hub has failed (HTTP 500)", "run it again"),
        (Refusal(status=503), False, "the hub has failed (HTTP 503)", "run it again"),
        (Refusal(status=418), False, "HTTP 418", "maker/model"),
    ],
)
@pytest.mark.parametrize("at", ["", "config.json"])
def test_each_refusal_has_its_own_text(
    hub: FakeHub, cache: Path, monkeypatch: pytest.MonkeyPatch,
    at: str, refusal: Refusal, token: bool, says: str, hint: str,
) -> None:  # fmt: skip
    """Of the whole repository, or of one file of it, as gated repositories do."""
    if token:
        monkeypatch.setenv("HF_TOKEN", SECRET)
    hub.refusals[at] = refusal
    error = refused(cache)
    assert says in error.what
    assert hint.format(url=hub.url) in error.hint
    assert error.exit_code == ExitCode.NETWORK
    assert SECRET not in f"{error.what} {error.hint}"


@pytest.mark.parametrize("token", [False, True])
def test_a_missing_repository_is_said_to_be_missing(
    hub: FakeHub, cache: Path, monkeypatch: pytest.MonkeyPatch, token: bool
) -> None:
    """The hub answers 401 to strangers, 404 to those it knows."""
    if token:
        monkeypatch.setenv("HF_TOKEN", SECRET)
    with pytest.raises(NetworkError, match="no/such: no such repository, or a private one"):
        fetched(cache, repository="no/such")


def test_a_missing_revision_is_said_to_be_missing(hub: FakeHub, cache: Path) -> None:
    error = refused(cache, revision="v9")
    assert "no revision 'v9'" in error.what
    assert f"{hub.url}/{MODEL}/tree/main" in error.hint
    assert "no revision" in refused(cache, revision="0" * 40).what


def test_a_branch_with_a_slash_is_one_revision(hub: FakeHub, cache: Path) -> None:
    commit = hub.commit(MODEL, {**FILES, "README.md": b"proposed"}, branch="refs/pr/1")
    assert fetched(cache, "refs/pr/1").revision == commit
    assert fetched(cache, "refs/pr/1", offline=True).revision == commit


def test_a_hub_that_recovers_is_borne_with(hub: FakeHub, cache: Path) -> None:
    hub.refusals[""] = Refusal(status=500, times=2)
    hub.refusals["config.json"] = Refusal(status=503, times=1)
    hub.refusals[f"storage:{WEIGHTS}"] = Refusal(status=429, headers={"Retry-After": "0"}, times=1)
    assert fetched(cache).path(WEIGHTS).read_bytes() == FILES[WEIGHTS]


def test_a_refusal_that_no_wait_mends_is_not_repeated(hub: FakeHub, cache: Path) -> None:
    hub.refusals[""] = Refusal(status=403, code="GatedRepo")
    refused(cache)
    hub.refusals[""] = Refusal(status=429, headers={"Retry-After": "120"})
    refused(cache)
    assert len(hub.requests) == 2


def test_the_storage_s_refusal_names_the_storage_and_not_its_signature(hub: FakeHub, cache: Path) -> None:
    hub.refusals[f"storage:{WEIGHTS}"] = Refusal(status=403)
    error = refused(cache)
    assert "HTTP 403" in error.what
    assert "signed-secret" not in f"{error.what} {error.hint}"


# What the network does.


def test_a_cut_download_goes_on_where_it_stopped(hub: FakeHub, cache: Path) -> None:
    hub.cuts[WEIGHTS] = [1_200_000, 100_000]
    assert fetched(cache).path(WEIGHTS).read_bytes() == FILES[WEIGHTS]
    assert [request.range for request in hub.asked(WEIGHTS)] == [None, "bytes=1200000-", "bytes=1300000-"]


@pytest.mark.parametrize("ignores_ranges", [False, True])
def test_the_bar_counts_every_byte_once_whatever_happens(hub: FakeHub, cache: Path, ignores_ranges: bool) -> None:
    class Heard(Silent):
        total: int | None = None
        done = 0

        @contextmanager
        def bar(self, label: str, total: int | None, unit: str) -> Iterator[Bar]:
            self.total, self.done = total, 0
            yield self

        def advance(self, amount: int) -> None:
            with lock:
                self.done += amount

    lock, heard = Lock(), Heard()
    hub.ignores_ranges = ignores_ranges
    hub.cuts[WEIGHTS] = [1_200_000, 100_000]
    fetch_repository(
        MODEL, None, cache=cache, progress=heard, offline=False, patience=Patience(attempts=4, first_wait=0.01)
    )
    assert heard.done == heard.total == sum(len(FILES[name]) for name in NEEDED)


def test_a_line_that_is_cut_again_and_again_ends_and_the_next_run_goes_on(hub: FakeHub, cache: Path) -> None:
    hub.cuts[WEIGHTS] = [100_000] * 3
    error = refused(cache)
    assert "cut" in error.what
    assert "goes on where it stopped" in error.hint
    assert not list(cache.rglob("commits/*.json"))
    hub.requests.clear()
    assert fetched(cache).path(WEIGHTS).read_bytes() == FILES[WEIGHTS]
    assert [request.range for request in hub.asked(WEIGHTS)] == ["bytes=300000-"]
    assert not list(cache.rglob("*.part"))


def test_a_hub_that_ignores_ranges_is_read_from_the_start(hub: FakeHub, cache: Path) -> None:
    hub.ignores_ranges = True
    hub.cuts[WEIGHTS] = [1_200_000]
    assert fetched(cache).path(WEIGHTS).read_bytes() == FILES[WEIGHTS]


def test_nobody_listening_is_said_with_the_address(
    hub: FakeHub, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unheard.getsockname()[1]}"
        monkeypatch.setenv("HF_ENDPOINT", f"http://user:{SECRET}@{address}")
        error = refused(cache)
    assert f"cannot connect to {address}" in error.what
    assert "--offline" in error.hint
    assert SECRET not in f"{error.what} {error.hint}"


def test_a_name_that_no_one_resolves_is_a_network_error(
    hub: FakeHub, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.invalid")
    monkeypatch.setenv("NO_PROXY", "*")
    assert "cannot connect to hub.invalid" in refused(cache).what


@pytest.mark.parametrize("endpoint", ["hub.example", "ftp://hub.example", "http://"])
def test_an_endpoint_that_is_no_address_is_a_usage_error(
    hub: FakeHub, cache: Path, monkeypatch: pytest.MonkeyPatch, endpoint: str
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    assert "HF_ENDPOINT" in refused(cache, UsageError).what


def test_silence_ends_by_itself(hub: FakeHub, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_DOWNLOAD_TIMEOUT", "1")
    hub.stalls["config.json"] = 0
    with pytest.raises(NetworkError, match="no answer from"):
        fetch_repository(
            MODEL, None, cache=cache, progress=Silent(), offline=False, patience=Patience(attempts=1)
        )  # fmt: skip


@pytest.mark.parametrize(
    "answer", ["<html>log in</html>", "[]", "{}", '{"id": "a/b"}', '{"id": "a/b", "sha": "../x", "siblings": []}']
)
def test_an_answer_that_is_no_hub_s_is_a_network_error(hub: FakeHub, cache: Path, answer: str) -> None:
    hub.answer = answer
    error = refused(cache)
    assert hub.url in error.what
    assert "HF_ENDPOINT" in error.hint


def test_an_answer_with_another_commit_than_asked_for_is_refused(hub: FakeHub, cache: Path) -> None:
    other = hub.commit(MODEL, {**FILES, "README.md": b"other"}, branch="other")
    hub.answer = json.dumps(hub.info(MODEL, other))
    assert other in refused(cache, revision=hub.branches[MODEL, "main"]).what


# What is delivered and is not what was listed.


@pytest.mark.parametrize("name", [WEIGHTS, "config.json"])
def test_wrong_bytes_are_deleted_and_never_served(hub: FakeHub, cache: Path, name: str) -> None:
    hub.tampered.add(name)
    error = refused(cache)
    assert f"{name}: wrong bytes" in error.what
    wrong = FILES[name][:-1] + bytes([FILES[name][-1] ^ 1])
    assert not any(path.read_bytes() == wrong for path in cache.rglob("*") if path.is_file())
    hub.tampered.clear()
    assert fetched(cache).path(name).read_bytes() == FILES[name]


@pytest.mark.parametrize("name", [WEIGHTS, "config.json"])
@pytest.mark.parametrize(("difference", "says"), [(-5, "more bytes than the hub lists"), (5, "fewer bytes than")])
def test_wrong_sizes_are_refused(hub: FakeHub, cache: Path, name: str, difference: int, says: str) -> None:
    hub.listed_sizes[name] = len(FILES[name]) + difference
    error = refused(cache)
    assert f"{name}: {says}" in error.what
    assert not list(cache.rglob("commits/*.json"))


def test_a_file_without_a_digest_is_not_fetched(hub: FakeHub, cache: Path) -> None:
    hub.unlisted.add(WEIGHTS)
    assert f"{WEIGHTS}: the hub lists no size or no digest" in refused(cache).what
    assert not hub.asked(WEIGHTS)


@pytest.mark.parametrize("left", [bytes(300_000), bytes(len(FILES[WEIGHTS])), bytes(len(FILES[WEIGHTS]) + 1)])
def test_a_part_that_a_crash_damaged_is_fetched_anew(hub: FakeHub, cache: Path, left: bytes) -> None:
    """After a power cut a file may have its length, or more, and none of its bytes."""
    hub.cuts[WEIGHTS] = [100_000] * 3
    refused(cache)
    (part,) = cache.rglob(f"{sha256(FILES[WEIGHTS]).hexdigest()}.part")  # others may have been cut short as well
    part.write_bytes(left)
    assert fetched(cache).path(WEIGHTS).read_bytes() == FILES[WEIGHTS]


def test_a_full_disk_is_foreseen(hub: FakeHub, cache: Path) -> None:
    hub.listed_sizes[WEIGHTS] = 1 << 55
    error = refused(cache, NoSpaceError)
    assert "36,028,797,036 MB" in error.what
    assert "free" in error.what
    assert not hub.asked(WEIGHTS)


def test_a_disk_that_fills_up_meanwhile_ends_in_exit_code_8_and_nothing_is_trusted(hub: FakeHub, cache: Path) -> None:
    """A limit on file sizes stands for the full disk; the system refuses the write all the same."""
    full = ["sh", "-c", 'ulimit -f 2000; exec "$@"', "sh", *command()]
    ended = subprocess.run(full, capture_output=True, text=True, check=False)
    assert ended.returncode == ExitCode.NO_SPACE
    assert f"{MODEL}: no space left while fetching" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not list(cache.rglob("commits/*"))
    assert fetched(cache).path(WEIGHTS).read_bytes() == FILES[WEIGHTS]


# Secrets.


def test_the_token_goes_to_the_hub_and_nowhere_else(
    hub: FakeHub, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", SECRET)
    fetched(cache)
    assert {request.token for request in hub.requests if not request.storage} == {f"Bearer {SECRET}"}
    assert {request.token for request in hub.requests if request.storage} == {None}
    assert SECRET.encode() not in everything_below(cache)
    assert b"signed-secret" not in everything_below(cache)


def test_the_hub_learns_the_program_and_nothing_about_its_surroundings(
    hub: FakeHub, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a process of its own: what the client asks about its surroundings, it asks once in a process."""
    monkeypatch.setenv("AGENT", "something")
    for variable in ("HF_HUB_DISABLE_TELEMETRY", "DISABLE_TELEMETRY", "DO_NOT_TRACK"):
        monkeypatch.delenv(variable, raising=False)
    subprocess.run(command(), capture_output=True, check=True)
    assert all(request.path.startswith(("/api/models/", f"/{MODEL}/", "/storage/")) for request in hub.requests)
    assert {request.user_agent.split("/")[0] for request in hub.requests if "/api/" in request.path} == {"edgepack"}
    assert not any("agent/" in request.user_agent for request in hub.requests)


# Killed.


def test_after_kill_9_the_next_run_asks_only_for_what_is_missing(hub: FakeHub, cache: Path) -> None:
    hub.stalls[WEIGHTS] = 1_000_000
    process = subprocess.Popen(command(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        part = cache / "maker--model" / "blobs" / f"{sha256(FILES[WEIGHTS]).hexdigest()}.part"
        deadline = time.monotonic() + 60
        while not (part.is_file() and part.stat().st_size >= 900_000):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    arrived = part.stat().st_size
    assert not list(cache.rglob("commits/*.json"))
    hub.stalls.clear()
    hub.requests.clear()
    again = subprocess.run(command("--json"), capture_output=True, check=True)
    answer = json.loads(again.stdout)["checkpoint"]
    assert (Path(answer["directory"]) / WEIGHTS).read_bytes() == FILES[WEIGHTS]
    assert [request.range for request in hub.asked(WEIGHTS)] == [f"bytes={arrived}-"]


def test_two_fetches_at_once_bring_the_files_once(hub: FakeHub, cache: Path, tmp_path: Path) -> None:
    hub.stalls[WEIGHTS] = 500_000
    logs = [tmp_path / "first.log", tmp_path / "second.log"]
    running = [subprocess.Popen(command("--json"), stdout=subprocess.PIPE, stderr=log.open("wb")) for log in logs]
    try:
        deadline = time.monotonic() + 30
        while not any("waiting for another fetch" in log.read_text() for log in logs):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        hub.released.set()
        outputs = [process.communicate(timeout=60)[0] for process in running]
    finally:
        for process in running:
            process.kill()
            process.wait()
    assert outputs[0] == outputs[1]
    assert [process.returncode for process in running] == [0, 0]
    assert len(hub.asked(WEIGHTS)) == 1

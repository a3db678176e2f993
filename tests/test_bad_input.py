"""Bad input through the real command line: the documented exit code, two lines, and nothing half-written."""

import json
import os
import re
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import run as start

import pytest

from edgepack.cli.main import run
from edgepack.domain.errors import ExitCode
from tests.fakes.demo_copy import (
    EMBEDDING,
    WEIGHTS,
    Header,
    add,
    copy_demo,
    drop,
    edit_header,
    edit_json,
    header_bytes,
    poke,
    read_weights,
    shard,
    write_weights,
)

Break = Callable[[Path], object]
NORM = "model.norm.weight"
INDEX = "model.safetensors.index.json"
NAN, INFINITY, HUGE = 0x7FC0, 0x7F80, 0x7149  # bfloat16 bits; the last is 1e30


def header(change: Callable[[Header], object]) -> Break:
    return lambda directory: edit_header(directory, change)


def field(name: str, value: object, tensor: str = EMBEDDING) -> Break:
    return header(lambda found: found[tensor].update({name: value}))


def text(name: str, content: str | bytes) -> Break:
    data = content.encode() if isinstance(content, str) else content
    return lambda directory: (directory / name).write_bytes(data)


def settings(name: str, **values: object) -> Break:
    return lambda directory: edit_json(directory, name, **values)


def config(**values: object) -> Break:
    return settings("config.json", **values)


def card(front_matter: str) -> Break:
    return text("README.md", f"---\n{front_matter}\n---\nwords")


def without(*names: str) -> Break:
    return lambda directory: [(directory / name).unlink() for name in names]


def together(*steps: Break) -> Break:
    return lambda directory: [step(directory) for step in steps]


def raw(change: Callable[[bytes], bytes]) -> Break:
    return lambda directory: (directory / WEIGHTS).write_bytes(change((directory / WEIGHTS).read_bytes()))


def header_text(content: bytes) -> Break:
    return lambda directory: (directory / WEIGHTS).write_bytes(
        header_bytes(content) + bytes(read_weights(directory)[1])
    )


def twice(directory: Path) -> None:
    found, data = read_weights(directory)
    entry = json.dumps(found[NORM])
    names = json.dumps(found)[1:-1]
    (directory / WEIGHTS).write_bytes(header_bytes(f'{{{names}, "{NORM}": {entry}}}'.encode()) + bytes(data))


def moved(by: int) -> Break:
    def change(found: Header) -> None:
        last = max(found.values(), key=lambda entry: entry["data_offsets"][0])
        last["data_offsets"] = [offset + by for offset in last["data_offsets"]]

    return header(change)


def in_index(**values: object) -> Break:
    def change(directory: Path) -> None:
        shard(directory)
        table = json.loads((directory / INDEX).read_text())
        table["weight_map"].update(values)
        (directory / INDEX).write_text(json.dumps(table))

    return change


def renamed_weights(directory: Path) -> None:
    (directory / WEIGHTS).rename(directory / "pytorch_model.bin")


def lost_shard(directory: Path) -> None:
    (directory / shard(directory)[1]).unlink()


def lost_shard_and_index(directory: Path) -> None:
    lost_shard(directory)
    (directory / INDEX).unlink()


def same_tensor_in_two_shards(directory: Path) -> None:
    first, second = shard(directory)
    (directory / second).write_bytes((directory / first).read_bytes())


def only_json_tokenizer(content: str) -> Break:
    return together(without("tokenizer.model"), text("tokenizer.json", content))


BOMB = "a: &a [x, x, x, x, x, x, x, x]\n" + "\n".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 8)}]" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
DEEP = "[" * 100_000

# what is broken -> (how, words that the error must hold)
WEIGHT_FILES: dict[str, tuple[Break, str]] = {
    "empty file": (text(WEIGHTS, b""), "too few for a header"),
    "seven bytes": (text(WEIGHTS, b"1234567"), "too few for a header"),
    "cut in the header": (raw(lambda data: data[:100]), "the header claims"),
    "cut in the data": (raw(lambda data: data[:-1]), "1 bytes are missing"),
    "trailing bytes": (raw(lambda data: data + b"xy"), "2 bytes belong to no tensor"),
    "header longer than the file": (raw(lambda data: struct.pack("<Q", 1 << 62) + data[8:]), "the header claims"),
    "header not JSON": (header_text(b'{"a"'), "not JSON"),
    "header not UTF-8": (header_text(b'{"\xff": 1}'), "not JSON"),
    "header nested deep": (header_text(DEEP.encode()), "not JSON"),
    "header a list": (header_text(b"[]"), "not a JSON object"),
    "header empty": (header_text(b"{}"), "belong to no tensor"),
    "tensor twice": (twice, "twice"),
    "entry no object": (header(lambda found: found.update({NORM: 3})), "expected an object"),
    "dtype unknown": (field("dtype", "F12"), "unknown dtype 'F12'"),
    "dtype a number": (field("dtype", 16), "unknown dtype 16"),
    "shape negative": (field("shape", [-768, -256]), "shape is not"),
    "shape of floats": (field("shape", [768.0, 256]), "shape is not"),
    "shape of booleans": (field("shape", [True, 196608]), "shape is not"),
    "shape overflowing": (field("shape", [1 << 63, 1 << 63]), "do not hold"),
    "shape empty": (field("shape", []), "do not hold"),
    "offsets backwards": (field("data_offsets", [393216, 0]), "do not hold"),
    "offsets negative": (field("data_offsets", [-2, 393214]), "data_offsets are not"),
    "offsets three": (field("data_offsets", [0, 1, 2]), "data_offsets are not"),
    "offsets lying": (field("data_offsets", [0, 10]), "10 bytes do not hold"),
    "offsets missing": (header(lambda found: found[NORM].pop("data_offsets")), "data_offsets are not"),
    "overlap": (moved(-2), "overlaps"),
    "hole": (moved(2), "leaves a hole"),
    "missing tensor": (lambda directory: drop(directory, NORM), f"missing tensors: {NORM}"),
    "missing head": (config(tie_word_embeddings=False), "missing tensors: lm_head.weight"),
    "extra tensor": (lambda directory: add(directory, "x.weight", "BF16", [1], b"\0\0"), "does not have: x.weight"),
    "wrong shape": (field("shape", [256, 768]), "config.json says [768, 256]"),
    "dtype I64": (
        together(lambda d: drop(d, NORM), lambda d: add(d, NORM, "I64", [256], bytes(2048))),
        "is I64; only",
    ),
    "dtype F64": (
        together(lambda d: drop(d, NORM), lambda d: add(d, NORM, "F64", [256], bytes(2048))),
        "is F64; only",
    ),
    "dtype F8": (
        together(lambda d: drop(d, NORM), lambda d: add(d, NORM, "F8_E4M3", [256], bytes(256))),
        "F8_E4M3; only",
    ),
    "NaN": (lambda directory: poke(directory, NORM, 0, NAN), f"{NORM!r} holds NaN or infinity"),
    "NaN in the middle": (lambda directory: poke(directory, EMBEDDING, 98_765, NAN), f"{EMBEDDING!r} holds NaN"),
    "infinity": (lambda directory: poke(directory, EMBEDDING, 196_607, INFINITY), f"{EMBEDDING!r} holds NaN"),
    "pickled only": (renamed_weights, "only pickled weights"),
    "no weights": (without(WEIGHTS), "no model.safetensors"),
    "half-delivered": (lost_shard, "1 are missing: model-00002-of-00002.safetensors"),
    "half-delivered, no index": (lost_shard_and_index, "missing tensors"),
    "one tensor in two shards": (same_tensor_in_two_shards, "is also in"),
    "index with ../": (in_index(**{NORM: "../../etc/model.safetensors"}), "no plain file name"),
    "index with a number": (in_index(**{NORM: 5}), "expected a file name"),
    "index with one tensor more": (in_index(more="model-00001-of-00002.safetensors"), "more not as in the shards"),
    "index not JSON": (together(shard, text(INDEX, "{")), "not JSON"),
    "git-lfs pointer": (text(WEIGHTS, "version https://git-lfs.github.com/spec/v1\n"), "git-lfs pointer"),
}

DESCRIPTIONS: dict[str, tuple[Break, str]] = {
    "no config": (without("config.json"), "no config.json"),
    "config not JSON": (text("config.json", "{"), "config.json: not JSON"),
    "config not UTF-8": (text("config.json", b"\xff\xfe{}"), "config.json: not JSON"),
    "config nested deep": (text("config.json", DEEP), "config.json: not JSON"),
    "config a list": (text("config.json", "[]"), "expected a JSON object"),
    "config number of 5000 digits": (text("config.json", f'{{"a": {"9" * 5000}}}'), "config.json: not JSON"),
    "no architectures": (config(architectures=[]), "no architectures"),
    "architectures a string": (config(architectures="LlamaForCausalLM"), "no architectures"),
    "architecture unknown": (
        config(architectures=["MambaForCausalLM"]),
        "architecture 'MambaForCausalLM' is not converted",
    ),
    "architecture no text": (config(architectures=["\ud800"]), "is not converted"),
    "size of the wrong type": (config(hidden_size="256"), "hidden_size: expected a whole number"),
    "size a boolean": (config(hidden_size=True), "hidden_size: expected a whole number"),
    "size zero": (config(num_attention_heads=0), "num_attention_heads: expected a whole number"),
    "size negative": (config(vocab_size=-1), "vocab_size: expected a whole number"),
    "size beyond 32 bits": (config(max_position_embeddings=10**30), "max_position_embeddings: expected a whole"),
    "a trillion layers": (config(num_hidden_layers=10**12), "num_hidden_layers"),
    "more layers than llama.cpp takes": (config(num_hidden_layers=513), "expected at most 512, got 513"),
    "value nested deep": (config(hidden_size=json.loads("[" * 500 + "]" * 500)), "hidden_size: expected"),
    "value very long": (config(hidden_size="x" * 100_000), "hidden_size: expected"),
    "heads in unequal groups": (config(num_key_value_heads=3), "expected a divisor of num_attention_heads 4"),
    "odd head width": (config(head_dim=63), "head_dim: expected an even number"),
    "epsilon NaN": (config(rms_norm_eps=float("nan")), "rms_norm_eps: expected a number"),
    "epsilon negative": (config(rms_norm_eps=-1), "rms_norm_eps: expected a number above zero"),
    "epsilon beyond float32": (config(rms_norm_eps=1e300), "rms_norm_eps: expected a number"),
    "epsilon beyond float64": (config(rms_norm_eps=10**400), "rms_norm_eps: expected a number"),
    "rotary base zero": (config(rope_theta=0), "rope_theta: expected a number above zero"),
    "rotary scaling a string": (config(rope_scaling="linear"), "rope_scaling: expected an object"),
    "rotary scaling unknown": (config(rope_scaling={"rope_type": "spiral"}), "rope_type: expected one of"),
    "rotary factor zero": (config(rope_scaling={"rope_type": "llama3", "factor": 0}), "factor: expected"),
    "rotary bounds crossed": (
        config(rope_scaling={"rope_type": "llama3", "low_freq_factor": 4, "high_freq_factor": 1}),
        "high_freq_factor: expected",
    ),
    "token id negative": (config(bos_token_id=-1), "the bos token has the id -1"),
    "no tokenizer": (without("tokenizer.model"), "no tokenizer"),
    "tokenizer.model empty": (text("tokenizer.model", b""), "not a SentencePiece model"),
    "tokenizer.model something else": (text("tokenizer.model", b"junk" * 100), "not a SentencePiece model"),
    "vocabulary smaller than its bytes": (
        together(
            config(vocab_size=10),
            lambda d: drop(d, EMBEDDING),
            lambda d: add(d, EMBEDDING, "BF16", [10, 256], bytes(5120)),
        ),
        "bytes have no token",
    ),
    "tokenizer.json not JSON": (only_json_tokenizer("junk"), "tokenizer.json: not JSON"),
    "tokenizer.json empty": (only_json_tokenizer("{}"), "tokenizer.json: not a tokenizer"),
    "tokenizer.json wrong types": (only_json_tokenizer('{"model": []}'), "tokenizer.json: not a tokenizer"),
    "tokenizer_config.json not JSON": (text("tokenizer_config.json", "{"), "tokenizer_config.json: not JSON"),
    "tokenizer_config.json a list": (text("tokenizer_config.json", "[]"), "expected a JSON object"),
    "added tokens a list": (
        settings("tokenizer_config.json", added_tokens_decoder=[1]),
        "added_tokens_decoder: expected",
    ),
    "added token of 5000 digits": (
        settings("tokenizer_config.json", added_tokens_decoder={"9" * 5000: {"content": "x"}}),
        "no content",
    ),
    "added token without an id": (text("added_tokens.json", '{"x": "y"}'), "has no token id"),
    "chat template a number": (settings("tokenizer_config.json", chat_template=3), "chat_template: expected"),
    "chat template no text": (settings("tokenizer_config.json", chat_template="\ud800"), "tokenizer.chat_template"),
    "chat template not UTF-8": (
        together(text("tokenizer_config.json", '{"a": 1}'), text("chat_template.jinja", b"\xff")),
        "not UTF-8 at byte 0",
    ),
    "generation config not JSON": (text("generation_config.json", "{"), "generation_config.json: not JSON"),
    "generation config nested deep": (text("generation_config.json", DEEP), "generation_config.json is malformed"),
    "generation config wrong types": (
        text("generation_config.json", '{"top_k": "x"}'),
        "general.sampling.top_k: 'x'",
    ),
    "card not YAML": (card("a: [b"), "README.md: front matter is malformed"),
    "card not UTF-8": (text("README.md", b"---\n\xff\n---"), "README.md: front matter is malformed"),
    "card that would run code": (card("a: !!python/object/apply:os.system ['id']"), "malformed (ConstructorError)"),
    "card nested deep": (card("[" * 5000), "too deep"),
    "card a bomb of aliases": (card(f"{BOMB}\nbase_model: *i"), "too deep"),
    "card with numbers for words": (card("license: 5"), "general.license: 5 is no string"),
    "card with a mixed list": (card("tags: [1, a, {b: c}]"), "general.tags:"),
}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return copy_demo(tmp_path / "model")


def build(checkpoint: Path, out: Path, *more: str) -> int:
    return run(["build", "--profile", "rpi5", "--model", str(checkpoint), "--no-bench", "--out", str(out), *more])


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """The error; it must stand on two lines, alone but for steps and warnings."""
    shown = capsys.readouterr()
    lines = [line for line in shown.err.splitlines() if not line.startswith(("==>", "warning:"))]
    assert shown.out == ""
    assert len(lines) == 2, lines
    assert lines[0].startswith("error: ")
    assert re.fullmatch(r"  next: \S.+", lines[1])
    assert len(lines[0]) < 1000
    return lines[0]


def nothing_left(root: Path, out: Path) -> None:
    """No bundle, nothing hidden beside it, nothing made or half-made in the store."""
    assert not out.exists()
    assert not list(out.parent.glob(f".{out.name}*"))
    home = Path(os.environ["EDGEPACK_HOME"])
    assert not list((home / "partial").glob("*"))
    assert not list((home / "store").glob("*/*"))
    assert not list(root.rglob("*.part"))


@pytest.mark.parametrize("case", [*WEIGHT_FILES, *DESCRIPTIONS])
def test_a_broken_checkpoint_is_refused(
    case: str, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 4, two lines that name what is wrong, and nothing half-written."""
    broken, words = {**WEIGHT_FILES, **DESCRIPTIONS}[case]
    broken(checkpoint)
    assert build(checkpoint, tmp_path / "out") == ExitCode.BAD_INPUT
    assert words in said(capsys)
    nothing_left(tmp_path, tmp_path / "out")


def test_a_weight_too_large_for_f16_is_refused_for_f16_alone(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    poke(checkpoint, EMBEDDING, 98_765, HUGE)
    assert build(checkpoint, tmp_path / "out", "--quant", "F16") == ExitCode.BAD_INPUT
    assert f"{EMBEDDING!r} has weights too large for F16" in said(capsys)
    nothing_left(tmp_path, tmp_path / "out")
    wide = tmp_path / "wide.gguf"
    assert run(["convert", str(checkpoint), "--quant", "BF16", "--out", str(wide), "--quiet"]) == ExitCode.DONE


def test_over_3_billion_parameters_are_refused_from_the_header_alone(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A sparse file of 6 GB: its header is read, its bytes are not."""
    rows = 12_000_000
    edit_json(checkpoint, "config.json", vocab_size=rows)
    found, _ = read_weights(checkpoint)
    others = {name: entry for name, entry in found.items() if name != EMBEDDING}
    position, sparse = 0, {}
    for name, entry in others.items():
        size = entry["data_offsets"][1] - entry["data_offsets"][0]
        sparse[name] = {**entry, "data_offsets": [position, position + size]}
        position += size
    end = position + rows * 256 * 2
    sparse[EMBEDDING] = {"dtype": "BF16", "shape": [rows, 256], "data_offsets": [position, end]}
    write_weights(checkpoint, sparse, b"")
    file = checkpoint / WEIGHTS
    os.truncate(file, file.stat().st_size + end)
    out = tmp_path / "large.gguf"
    assert run(["convert", str(checkpoint), "--quant", "Q8_0", "--out", str(out)]) == ExitCode.BAD_INPUT
    assert "model has 3.07 B parameters" in said(capsys)
    nothing_left(tmp_path, out)


def test_a_catalogue_model_over_3_billion_is_refused_before_it_is_fetched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = ["build", "--profile", "rpi5", "--model", "phi-3-mini-4k-instruct", "--offline", "--out", str(out)]
    assert run(arguments) == ExitCode.BAD_INPUT
    assert "phi-3-mini-4k-instruct has 3.82 B parameters" in said(capsys)
    assert run([*arguments, "--allow-over-3b"]) == ExitCode.NETWORK
    nothing_left(tmp_path, out)


def test_a_model_that_does_not_fit_ends_with_3_unless_forced(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny = tmp_path / "tiny.toml"
    ram = 'gib = 2\nsource = "made up"\nusable_gib = 0.01\nusable_gib_source = "made up"\n'
    tiny.write_text(f'base = "rpi5"\ntitle = "Tiny"\n[ram]\n{ram}')
    arguments = ["build", "--profile", str(tiny), "--model", str(checkpoint), "--no-bench", "--quiet"]
    assert run([*arguments, "--out", str(tmp_path / "out")]) == ExitCode.NOTHING_FITS
    assert "the profile gives a model" in said(capsys)
    nothing_left(tmp_path, tmp_path / "out")
    assert run([*arguments, "--out", str(tmp_path / "out"), "--force"]) == ExitCode.DONE
    assert (tmp_path / "out" / "manifest.json").is_file()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"schema = ", "not TOML"),
        (b"\xff", "not UTF-8"),
        (b"schema = 1\n", "expected"),
        (b'base = "rpi5"\nsurprise = 1\n', "surprise"),
        (b'base = "nothing"\n', "no profile is called 'nothing'"),
        (b"a = " + b"[" * 5000, "not TOML"),
    ],
)  # fmt: skip
def test_a_malformed_profile_ends_with_4(
    content: bytes, words: str, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    profile = tmp_path / "mine.toml"
    profile.write_bytes(content)
    out = tmp_path / "out"
    arguments = ["build", "--profile", str(profile), "--model", str(checkpoint), "--no-bench", "--out", str(out)]
    assert run(arguments) == ExitCode.BAD_INPUT
    assert words in said(capsys)
    nothing_left(tmp_path, out)


def test_more_context_than_the_model_has_ends_with_2(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build(checkpoint, tmp_path / "out", "--ctx", "4096") == ExitCode.USAGE
    assert "made for 512 tokens" in said(capsys)
    nothing_left(tmp_path, tmp_path / "out")


def test_an_out_below_a_file_ends_with_2(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert build(checkpoint, tmp_path / "file" / "out") == ExitCode.USAGE
    assert "cannot be written" in said(capsys)


def test_an_out_that_is_something_else_stays(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    assert build(checkpoint, tmp_path / "out") == ExitCode.USAGE
    assert "is no edgepack bundle" in said(capsys)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_an_out_with_too_long_a_name_ends_with_2(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build(checkpoint, tmp_path / ("x" * 300)) == ExitCode.USAGE
    assert "File name too long" in said(capsys)


def test_a_store_that_cannot_be_ends_with_2(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EDGEPACK_HOME", str(tmp_path / "file"))
    assert build(checkpoint, tmp_path / "out") == ExitCode.USAGE
    assert "no place for a store" in said(capsys)


@pytest.fixture
def small_disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A disk in memory of so many KiB."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={request.param}k", "tmpfs", str(place)]
    if os.geteuid() or start(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting needs root")
    yield place
    start(["umount", str(place)], check=True)


@pytest.mark.privileged
@pytest.mark.parametrize("small_disk", [4, 8, 24, 64, 1000, 1928, 1936, 1940, 1944, 1948], indirect=True)
def test_a_full_disk_under_the_store_ends_with_8(
    small_disk: Path,
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whether the space is found missing before the work or runs out in it; the weights need 1948 KiB."""
    monkeypatch.setenv("EDGEPACK_HOME", str(small_disk / "home"))
    out = tmp_path / "out"
    assert build(checkpoint, out, "--quant", "BF16") == ExitCode.NO_SPACE
    assert re.search("no space|needs", said(capsys))
    nothing_left(tmp_path, out)


@pytest.mark.privileged
@pytest.mark.parametrize("small_disk", [4, 100, 1900, 2900], indirect=True)
def test_a_full_disk_under_the_bundle_ends_with_8(
    small_disk: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The weights stay in the store; nothing stays on the full disk."""
    assert build(checkpoint, small_disk / "out", "--quant", "BF16") == ExitCode.NO_SPACE
    assert "the bundle needs" in said(capsys)
    assert not list(small_disk.iterdir())


@pytest.mark.privileged
@pytest.mark.parametrize("small_disk", [4, 100, 1900], indirect=True)
def test_a_full_disk_under_a_converted_file_ends_with_8(
    small_disk: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = small_disk / "x.gguf"
    assert run(["convert", str(checkpoint), "--quant", "BF16", "--out", str(out)]) == ExitCode.NO_SPACE
    assert "space" in said(capsys)
    assert not list(small_disk.iterdir())

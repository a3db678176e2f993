"""edgepack profile: what it prints for people and for programs, and how it refuses."""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest

from edgepack.cli.main import run
from edgepack.domain.errors import ExitCode
from edgepack.domain.profile import profile_table, profile_toml
from edgepack.infra.library import load_profile, profile_names
from edgepack.infra.machine import host_profile
from tests.fakes.llama_bench import write_llama_bench
from tests.stages.test_probe_program import made

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/schemas/profile.schema.json").read_text(encoding="utf-8"))
GOOD = profile_toml(load_profile("rpi5"))


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a call that must succeed prints."""
    assert run(["profile", *arguments]) == ExitCode.DONE
    return capsys.readouterr().out


def test_list_shows_every_profile_in_one_aligned_table(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, "list").splitlines()
    names = profile_names()
    assert [line.split()[0] for line in lines[1 : len(names) + 1]] == list(names)
    column = lines[0].index("CLASS")
    assert {line[column : column + 8].strip() for line in lines[1 : len(names) + 1]} == {
        "phone", "board", "laptop", "computer",
    }  # fmt: skip
    assert "rpi5 = rpi5-8gb" in lines[-1]


def test_show_gives_every_figure_its_unit_and_its_source(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "show", "rpi5")
    assert re.search(r"RAM +8 GiB  \[\d\]", text)
    assert re.search(r"bandwidth +9\.2 GB/s decode \(.+\)  \[\d\]", text)
    assert "2.8 W" in text
    assert "assumed: three quarters" in text.split("Sources")[1]


@pytest.mark.parametrize(
    ("name", "said"),
    [("rpi5", "by onnxruntime"), ("rpi4", "not by onnxruntime: its CPU has no dotprod"), ("rpi5", "Python 3.13")],
)
def test_show_says_whether_onnxruntime_runs(capsys: pytest.CaptureFixture[str], name: str, said: str) -> None:
    assert said in printed(capsys, "show", name)


@pytest.mark.parametrize("name", profile_names())
def test_show_names_the_source_of_every_figure(capsys: pytest.CaptureFixture[str], name: str) -> None:
    """For people as footnotes; what has none is a choice, as the class and the system, or follows from others."""
    shown, footnotes = printed(capsys, "show", name).split("\nSources\n")
    unsourced = [line.split("  ")[1] for line in shown.splitlines()[2:] if line and not line.endswith("]")]
    assert unsourced == ["class", "system", "runtime", "encoders"]
    data = profile_table(load_profile(name))
    assert {line.split("] ", 1)[1] for line in footnotes.splitlines()} == set(sources(data))


def sources(value: object) -> Iterator[str]:
    """Every source that a profile's table has, however deep."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if isinstance(inner, str) and (key == "source" or key.endswith("_source")):
                yield inner
            yield from sources(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from sources(inner)


@pytest.mark.parametrize("arguments", [["list"], ["show", "pixel-9"], ["show", "host"], ["probe", "--no-bench"]])
def test_json_is_one_object_of_the_documented_schema(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    jsonschema.validate(json.loads(printed(capsys, *arguments, "--json")), SCHEMA)


def test_json_carries_the_figures(capsys: pytest.CaptureFixture[str]) -> None:
    shown = json.loads(printed(capsys, "show", "rpi5", "--json"))["profile"]
    assert (shown["name"], shown["memory_budget_bytes"], shown["cpu"]["isa"]) == (
        "rpi5-8gb", 6 * 2**30, ["neon", "dotprod", "fp16"],
    )  # fmt: skip


def test_probe_writes_a_profile_that_check_accepts(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "here.toml"
    assert printed(capsys, "probe", "--no-bench", "--out", str(path)) == f"wrote {path}\n"
    assert "a profile of" in printed(capsys, "check", str(path))


def test_probe_without_out_prints_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert tomllib.loads(printed(capsys, "probe", "--no-bench"))["schema"] == 1


def test_probe_never_overwrites_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "here.toml"
    path.write_text("mine", encoding="utf-8")
    assert run(["profile", "probe", "--out", str(path)]) == ExitCode.USAGE
    assert path.read_text(encoding="utf-8") == "mine"


@pytest.mark.slow
def test_a_measured_probe_is_of_the_schema_and_its_file_is_a_profile(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """With the real bandwidth program and synthetic weights; a script stands for llama-bench."""
    made(host_profile().runtime.target)
    write_llama_bench(tmp_path / "runtime")
    out = tmp_path / "here.toml"
    options = ["--quick", "--offline", "--model", "smollm2-135m-instruct", "--runtime", str(tmp_path / "runtime")]
    shown = json.loads(printed(capsys, "probe", *options, "--out", str(out), "--json"))
    jsonschema.validate(shown, SCHEMA)
    assert [len(reading["gbs"]) for reading in shown["probe"]["bandwidth"]] == [5] * len(shown["probe"]["bandwidth"])
    (row,) = shown["profile"]["calibration"]
    (measured,) = shown["probe"]["measurements"]
    assert (row["model"], row["quant"]) == ("smollm2-135m-instruct", "Q4_0")
    assert measured["weights"]["quant"] == "Q4_0"
    written = load_profile(str(out))
    assert [one.kind for one in written.memory.bandwidths] == ["read_all", "read"]
    assert profile_table(written)["calibration"] == [row]
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".here")]


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--device", "nowhere"], ExitCode.USAGE, "no such kind of device"),
        (["--quant", "Q9"], ExitCode.USAGE, "Q9"),
        (["--model", "."], ExitCode.USAGE, "no id of the catalogue"),
        (["--base", "rpi55", "--no-bench"], ExitCode.BAD_INPUT, "did you mean rpi5"),
        (["--out", "/no/such/directory/p.toml"], ExitCode.USAGE, "/no/such/directory is no directory"),
        (["--offline"], ExitCode.NETWORK, "not here, and --offline"),
    ],
)
def test_what_cannot_be_probed_is_said_at_once(
    capsys: pytest.CaptureFixture[str], options: list[str], code: ExitCode, words: str
) -> None:
    assert run(["profile", "probe", *options]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new, 1)


MALFORMED = {
    "not TOML": (changed("count = 4", "count = = 4"), "not TOML: Invalid value (at line"),
    "unknown key": (changed("gib =", "gb ="), "ram.gib: expected number, got nothing; gb is not a key"),
    "one key too many": (changed("count = 4", "count = 4\ncores = 4"), "cpu.clusters[0].cores: unknown key"),
    "wrong type": (changed("count = 4", 'count = "4"'), "cpu.clusters[0].count: expected int, got string"),
    "missing section": (re.sub(r"\[soc\]\n.*\n.*\n", "", GOOD), "soc: expected table, got nothing"),
    "negative RAM": (changed("gib = 8.0", "gib = -8"), "ram.gib: expected more than 0, got -8"),
    "zero cores": (changed("count = 4", "count = 0"), "cpu.clusters[0].count: expected 1 or more, got 0"),
    "bad isa type": (re.sub("isa = .*", "isa = 3", GOOD), "cpu.isa: expected array of strings, got int"),
    "unknown feature": (changed('"fp16"', '"fp-16"'), "cpu.isa[2]: 'fp-16' is not known; did you mean fp16?"),
    "no source": (re.sub("isa_source = .*\n", "", GOOD), "cpu.isa_source: expected string, got nothing"),
}


def test_the_file_that_is_spoilt_here_is_good(tmp_path: Path) -> None:
    path = tmp_path / "good.toml"
    path.write_text(GOOD, encoding="utf-8")
    assert run(["profile", "check", str(path)]) == ExitCode.DONE


@pytest.mark.parametrize("kind", MALFORMED)
def test_a_malformed_file_is_refused_in_two_lines(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, kind: str
) -> None:
    """What is wrong and where, then what to do; exit code 4; nothing on stdout."""
    text, complaint = MALFORMED[kind]
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    assert run(["profile", "check", str(path)]) == ExitCode.BAD_INPUT
    out, err = capsys.readouterr()
    first, second = err.splitlines()
    assert out == ""
    assert complaint in first
    assert "mine" in first
    assert second.strip().startswith("next: ")


def test_an_unknown_name_offers_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["profile", "show", "pixel9"]) == ExitCode.BAD_INPUT
    assert "did you mean pixel-9" in capsys.readouterr().err

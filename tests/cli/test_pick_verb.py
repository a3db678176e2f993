"""edgepack pick: what it prints for people and for programs, the same each time, and how it refuses."""

import json
from pathlib import Path

import jsonschema
import pytest

from edgepack.cli.main import run
from edgepack.domain.errors import ExitCode

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/schemas/pick.schema.json").read_text(encoding="utf-8"))


def picked(capsys: pytest.CaptureFixture[str], *arguments: str, code: ExitCode = ExitCode.DONE) -> str:
    assert run(["pick", *arguments]) == code
    return capsys.readouterr().out


@pytest.mark.parametrize("task", ["chat", "classify", "extract", "rag"])
@pytest.mark.parametrize("profile", ["rpi5", "pixel-9", "n100", "visionfive2", "host"])
def test_the_json_keeps_its_schema(capsys: pytest.CaptureFixture[str], profile: str, task: str) -> None:
    run(["pick", "--profile", profile, "--task", task, "--json"])
    shown = json.loads(capsys.readouterr().out)
    jsonschema.validate(shown, SCHEMA, cls=jsonschema.Draft202012Validator)
    ids = [one["model"] for one in (*shown["ranked"], *shown["excluded"])]
    assert len(ids) == len(set(ids)) > 40


def test_the_same_input_gives_the_same_output(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("--profile", "rpi5", "--task", "chat", "--ctx", "4096")
    assert picked(capsys, *arguments) == picked(capsys, *arguments)


def test_people_see_the_limits_the_ranking_the_reasons_and_what_was_ruled_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = picked(capsys, "--profile", "rpi5", "--min-tps", "7", "--top", "3")
    assert "Raspberry Pi 5, 8 GB, chat: context 4096, prompt 128, first token within 3 s, 7 tokens/s or more" in text
    assert "roughly, from the profile's figures alone" in text
    assert "… and " in text
    assert "first because\n  quality: expected ahead of " in text
    assert "source: " in text
    assert "tokens/s: " in text.split("Ruled out")[1]
    assert "next: edgepack build --profile rpi5-8gb --model " in text


def test_nothing_that_fits_is_exit_3_after_saying_what_each_breaks(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["pick", "--profile", "rpi-zero-2w", "--task", "chat", "--ctx", "8192"]) == ExitCode.NOTHING_FITS
    out, err = capsys.readouterr()
    assert "memory: needs " in out
    assert "no model of the catalogue keeps the limits of chat on rpi-zero-2w" in err


def test_a_task_beyond_small_models_is_refused_with_advice_unless_forced(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["pick", "--profile", "rpi5", "--task", "code"]) == ExitCode.NOTHING_FITS
    assert "route such requests to a larger model" in capsys.readouterr().err
    assert "coder" in picked(capsys, "--profile", "rpi5", "--task", "code", "--force", "--top", "50")


def test_a_policy_rules_licences_out_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    shown = json.loads(picked(capsys, "--profile", "rpi5", "--licence-policy", "permissive", "--json"))
    assert {one["licence"] for one in shown["ranked"]} <= {"Apache-2.0", "MIT"}
    refused = {one["model"] for one in shown["excluded"] if one["broken"][0]["limit"] == "licence"}
    assert "gemma-2-2b-it" in refused


def test_a_size_is_a_limit_in_mib(capsys: pytest.CaptureFixture[str]) -> None:
    shown = json.loads(picked(capsys, "--profile", "rpi5", "--max-size", "400", "--json"))
    assert all(one["bytes"] <= 400 << 20 for one in shown["ranked"])


def test_models_over_3_b_come_only_if_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("--profile", "oneplus-12", "--json")
    usual, more = picked(capsys, *arguments), picked(capsys, *arguments, "--allow-over-3b")
    assert "phi-3.5-mini-instruct" not in usual
    assert "phi-3.5-mini-instruct" in more


def test_two_bits_only_if_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    usual = json.loads(picked(capsys, "--profile", "rpi5", "--json"))
    assert "Q2_K" not in {one["quantization"] for one in usual["ranked"]}
    asked = json.loads(picked(capsys, "--profile", "rpi5", "--quant", "Q2_K", "--json"))
    assert {one["quantization"] for one in asked["ranked"]} == {"Q2_K"}


@pytest.mark.parametrize("arguments", [("--ctx", "0"), ("--task", "poetry"), ("--min-tps", "-1"), ("--top", "0")])
def test_senseless_limits_are_wrong_usage(arguments: tuple[str, str]) -> None:
    assert run(["pick", "--profile", "rpi5", *arguments]) == ExitCode.USAGE


def test_an_unknown_profile_and_policy_are_told() -> None:
    assert run(["pick", "--profile", "no-such-board"]) == ExitCode.BAD_INPUT
    assert run(["pick", "--profile", "rpi5", "--licence-policy", "/no/such/policy.toml"]) == ExitCode.BAD_INPUT

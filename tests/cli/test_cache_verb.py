"""`edgepack cache`: what it lists, explains and prunes, and that damage can be pruned away."""

import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from edgepack.cli.main import run
from edgepack.domain.errors import ExitCode
from edgepack.domain.step import Step
from edgepack.infra.store import Entry, Store, home

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "schemas" / "cache.schema.json").read_text())
DAY = 86400


@pytest.fixture
def entries() -> list[Entry]:
    """Two entries; the first was last used in 1970."""
    store = Store(home())
    made = [
        store.get_or_make(
            Step(name="convert", inputs={"checkpoint": "ab" * 32}, parameters={"quant": quant}, tool="t/1"),
            lambda place: None,
        )[0]
        for quant in ("Q8_0", "Q4_0")
    ]
    os.utime(made[0].path, (DAY, DAY))
    return made


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert run(["cache", *arguments, "--json"]) == ExitCode.DONE
    values: dict[str, Any] = json.loads(capsys.readouterr().out)
    jsonschema.validate(values, SCHEMA)
    return values


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_list_shows_the_latest_used_first(entries: list[Entry], capsys: pytest.CaptureFixture[str]) -> None:
    listed = answer(capsys, "list")
    assert [entry["key"] for entry in listed["entries"]] == [entries[1].key, entries[0].key]
    assert run(["cache", "list"]) == ExitCode.DONE
    assert f"{entries[0].key[:12]}" in capsys.readouterr().out


def test_an_empty_store_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(capsys, "list")["entries"] == []


def test_explain_says_what_an_entry_was_made_from(entries: list[Entry], capsys: pytest.CaptureFixture[str]) -> None:
    (entry,) = answer(capsys, "explain", entries[1].key[:8])["entries"]
    assert (entry["step"], entry["parameters"], entry["inputs"]) == (
        "convert",
        {"quant": "Q4_0"},
        {"checkpoint": "ab" * 32},
    )
    assert run(["cache", "explain", entries[1].key]) == ExitCode.DONE
    assert "parameters.quant  Q4_0" in capsys.readouterr().out


@pytest.mark.parametrize("key", ["", "no-such-key"])
def test_explain_wants_one_entry(key: str, entries: list[Entry], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["cache", "explain", key]) == ExitCode.USAGE
    assert "entries begin with" in capsys.readouterr().err


def test_prune_removes_what_was_not_used_for_a_while(
    entries: list[Entry], capsys: pytest.CaptureFixture[str]
) -> None:
    said = answer(capsys, "prune")
    assert (said["removed"], said["leftovers"]) == (1, 0)
    assert said["freed"] > 0
    assert [entry["key"] for entry in answer(capsys, "list")["entries"]] == [entries[1].key]


def test_prune_all_empties_the_store(entries: list[Entry], capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(capsys, "prune", "--all")["removed"] == 2
    assert answer(capsys, "list")["entries"] == []


def test_prune_removes_leftovers_of_killed_runs(capsys: pytest.CaptureFixture[str]) -> None:
    leftover = home() / "partial" / f"{'0' * 64}.00000000"
    leftover.mkdir(parents=True)
    assert answer(capsys, "prune")["leftovers"] == 1
    assert not leftover.exists()


def test_a_damaged_entry_ends_list_with_4_until_it_is_pruned(
    entries: list[Entry], capsys: pytest.CaptureFixture[str]
) -> None:
    (entries[1].path / "entry.json").write_text("{")
    assert run(["cache", "list"]) == ExitCode.BAD_INPUT
    what, hint = capsys.readouterr().err.splitlines()
    assert "damaged" in what
    assert "edgepack cache prune" in hint
    assert answer(capsys, "prune", "--older-than", "100000")["leftovers"] == 1
    assert [entry["key"] for entry in answer(capsys, "list")["entries"]] == [entries[0].key]

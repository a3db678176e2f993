"""Observations: the newest of a subject, and no other's; damaged ones are none."""

from pathlib import Path

import pytest

from edgepack.infra.observations import Observations


def test_the_newest_observation_of_a_subject_is_the_latest(tmp_path: Path) -> None:
    observations = Observations(tmp_path)
    assert observations.latest("measurement", "a", "b") is None
    observations.keep('{"n": 1}', "measurement", "a", "b")
    observations.keep('{"n": 2}', "measurement", "a", "b")
    assert observations.latest("measurement", "a", "b") == '{"n": 2}'


def test_another_kind_or_subject_knows_nothing_of_it(tmp_path: Path) -> None:
    observations = Observations(tmp_path)
    observations.keep("{}", "measurement", "a", "b")
    assert observations.latest("answer", "a", "b") is None
    assert observations.latest("measurement", "ab") is None
    assert observations.latest("measurement", "a", "b", "") is None


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff\xfe"])
def test_a_damaged_observation_is_none(damage: bytes, tmp_path: Path) -> None:
    observations = Observations(tmp_path)
    observations.keep("{}", "answer", "a")
    (kept,) = tmp_path.rglob("*.json")
    kept.write_bytes(damage)
    assert observations.latest("answer", "a") is None


def test_nothing_half_written_stays(tmp_path: Path) -> None:
    """A text that cannot be written leaves the observation before it, and nothing beside it."""
    observations = Observations(tmp_path)
    observations.keep('"before"', "answer", "a")
    with pytest.raises(UnicodeEncodeError):
        observations.keep("\ud800", "answer", "a")
    assert observations.latest("answer", "a") == '"before"'
    assert [path.suffix for path in tmp_path.rglob("*") if path.is_file()] == [".json"]

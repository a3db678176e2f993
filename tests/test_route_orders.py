"""A build with a route: both models within the memory, and nothing that does not go together."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgepack.cli.main import run
from edgepack.domain.errors import BadInputError, EdgepackError, ExitCode, NothingFitsError, UsageError
from edgepack.domain.native import RuntimeChoice
from edgepack.domain.profile import Profile
from edgepack.domain.progress import Silent
from edgepack.domain.routing_json import parse_routing
from edgepack.domain.source import GgufSource
from edgepack.infra.digests import sha256_of
from edgepack.infra.library import load_profile
from edgepack.pipeline import Order, prepare
from edgepack.pipeline.larger import check_small
from edgepack.pipeline.order import RouteOrder
from tests.fakes.tiny_gguf import write_tiny_gguf


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return write_tiny_gguf(tmp_path / "small.gguf")


@pytest.fixture
def large(tmp_path: Path) -> Path:
    return write_tiny_gguf(tmp_path / "large.gguf", seed=5)


def record(small: Path, **large: Any) -> str:
    """As much of a record as a bundle needs."""
    return json.dumps({
        "schema": "edgepack.routing/1", "threshold": 0.5, "calibration": {"intercept": 0, "weights": {"product": 1}},
        "small": {"weights": {"sha256": sha256_of(small)}}, "large": {"address": None, "weights": None, **large},
    })  # fmt: skip


def order(small: Path, text: str, large: Path | None, **more: Any) -> Order:
    plain = Order(
        profile="rpi5", source=GgufSource(path=small), measure=False,
        route=RouteOrder(found=parse_routing(text, subject="route.json"), large=large),
    )  # fmt: skip
    return replace(plain, **more)


def beside(small: Path, large: Path) -> str:
    return record(small, weights={"sha256": sha256_of(large)})


def test_the_small_model_gets_what_the_larger_one_leaves(small: Path, large: Path) -> None:
    """And the router, which is small."""
    alone = prepare(replace(order(small, beside(small, large), large), route=None), Silent())
    both = prepare(order(small, beside(small, large), large), Silent())
    assert alone.large is None
    assert both.large is not None
    assert both.large.memory == alone.plan.chosen.memory.total  # the same shape
    assert alone.plan.budget - both.plan.budget == both.large.memory + (2 << 20)
    assert alone.plan.budget == load_profile("rpi5").memory_budget


def test_two_that_do_not_fit_together_are_refused(small: Path, large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each alone would."""
    both = order(small, beside(small, large), large)
    total = prepare(both, Silent()).plan.chosen.memory.total
    monkeypatch.setattr(Profile, "memory_budget", total * 3 // 2)
    assert prepare(replace(both, route=None), Silent()).plan.chosen.memory.total == total
    with pytest.raises(NothingFitsError):
        prepare(both, Silent())


@pytest.mark.parametrize(
    ("address", "with_file", "more", "error", "said"),
    [
        (None, False, {}, UsageError, "give its GGUF with --large"),
        (None, True, {"runtime": RuntimeChoice.NONE}, UsageError, "leave one of the two away"),
        ("http://x/v1", True, {}, UsageError, "leave --large away"),
        ("https://x/v1", False, {}, UsageError, "http:// address"),
    ],
)
def test_what_does_not_go_together_is_refused(
    small: Path, large: Path, address: str | None, with_file: bool, more: dict[str, Any],
    error: type[EdgepackError], said: str,
) -> None:  # fmt: skip
    text = record(small, address=address, model="m") if address else beside(small, large)
    with pytest.raises(error) as raised:
        prepare(order(small, text, large if with_file else None, **more), Silent())
    assert said in raised.value.hint


def test_other_weights_than_the_records_are_refused(small: Path, large: Path, tmp_path: Path) -> None:
    """Its threshold says nothing of them."""
    other = write_tiny_gguf(tmp_path / "other.gguf", seed=9)
    with pytest.raises(BadInputError, match="not the larger model of the record"):
        prepare(order(small, beside(small, large), other), Silent())
    known = order(other, beside(small, large), large)
    planned = prepare(known, Silent())
    with pytest.raises(BadInputError, match="found with another small model"):
        check_small(known, planned.material.weights)  # type: ignore[union-attr]


def test_an_address_needs_no_memory_but_the_routers(small: Path, large: Path) -> None:
    planned = prepare(order(small, record(small, address="http://x/v1", model=None), None), Silent())
    assert planned.large is None
    assert load_profile("rpi5").memory_budget - planned.plan.budget == 2 << 20


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": "edgepack.routing/1"}', '{"schema": "other/1"}'])
def test_what_is_no_record_is_bad_input(
    text: str, small: Path, large: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "route.json").write_text(text)
    words = ["--model", str(small), "--route", str(tmp_path / "route.json"), "--large", str(large), "--dry-run"]
    assert run(["build", "--profile", "rpi5", *words]) == ExitCode.BAD_INPUT
    assert "eval --route" in capsys.readouterr().err


def test_a_larger_model_without_a_route_is_a_slip(
    small: Path, large: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["build", "--profile", "rpi5", "--model", str(small), "--large", str(large)]) == ExitCode.USAGE
    assert "nothing is routed" in capsys.readouterr().err

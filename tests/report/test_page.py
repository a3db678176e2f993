"""The page: whole HTML, the same bytes each time, closed to the world, harmless whatever strangers wrote."""

import json
import re
import subprocess
import sys
from base64 import b64encode
from hashlib import sha256
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from xml.etree.ElementTree import Element

import html5lib
import pytest

from edgepack.domain.progress import Silent
from edgepack.pipeline.reporting import write_report
from tests.fakes.reports import HOSTILE, evidence, hostile_evidence, routing_values, task, write_evaluations
from tests.formats.bundles import report_bundle

STYLE = files("edgepack.report").joinpath("style.css").read_text()


def written(directory: Path, *sources: Path) -> str:
    out = directory / "page.html"
    write_report(sources, out, Silent())
    return out.read_text(encoding="utf-8")


def parsed(text: str) -> Element:
    """Strictly: any error of HTML is an error of the test."""
    root = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(text)
    assert isinstance(root, Element)
    return root


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> str:
    directory = tmp_path_factory.mktemp("full")
    return written(directory, report_bundle(directory, evidence()))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> str:
    directory = tmp_path_factory.mktemp("hostile")
    return written(directory, report_bundle(directory, hostile_evidence(), words=HOSTILE))


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> str:
    directory = tmp_path_factory.mktemp("bare")
    return written(directory, report_bundle(directory, {}))


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> str:
    directory = tmp_path_factory.mktemp("beside")
    return written(directory, *write_evaluations(directory))


@pytest.fixture(scope="module")
def route(tmp_path_factory: pytest.TempPathFactory) -> str:
    directory = tmp_path_factory.mktemp("route")
    (directory / "route.json").write_text(json.dumps(routing_values(task())))
    return written(directory, directory / "route.json")


@pytest.fixture(params=["full", "hostile", "bare", "beside", "route"])
def page(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


def sections(text: str) -> list[str]:
    return [str(section.get("id")) for section in parsed(text).iter("section")]


def said(text: str) -> str:
    """All text of the page, its blanks made one."""
    body = parsed(text).find("body")
    assert body is not None
    return " ".join("".join(body.itertext()).split())


def test_a_full_bundle_has_every_section(full: str) -> None:
    assert sections(full) == [
        "choice", "quality", "latency", "routing", "speed", "predicted", "memory", "gates", "provenance",
    ]  # fmt: skip


def test_the_answer_stands_on_top(full: str) -> None:
    """What was chosen and why in a sentence; quality, speed, first token, size and memory in numbers."""
    top = said(full).split("Smallest that is good enough")[0]
    assert "Tiny 0.5B Q4_0 was chosen" in top
    assert "the smallest of 5 candidates asked that meets every target" in top
    assert [name.text for name in parsed(full).iter("dt")][:5] == [
        "Quality", "Speed", "First token", "Weights", "Memory",
    ]  # fmt: skip


def test_what_is_not_there_is_said_once_with_the_command_that_makes_it(bare: str) -> None:
    assert sections(bare) == ["memory", "provenance", "missing"]
    assert "edgepack eval WEIGHTS --task T --out EVALUATION.json" in said(bare)
    assert "nobody has asked yet" in said(bare)


def test_evaluations_stand_beside_each_other_without_a_bundle(beside: str) -> None:
    assert sections(beside) == ["choice", "quality", "latency", "provenance"]
    assert all(name in said(beside) for name in ("tiny Q8_0", "tiny Q4_0", "tiny Q2_K"))


def test_a_route_alone_is_a_page(route: str) -> None:
    assert sections(route) == ["routing"]
    assert "seen on examples that it was not chosen on" in said(route)


def test_a_policy_forbids_everything_but_the_style_that_is_there(page: str) -> None:
    """No script, no request, no form; the digest is that of the style's bytes as a browser reads them."""
    root = parsed(page)
    policy = next(meta for meta in root.iter("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    style = next(iter(root.iter("style"))).text or ""
    digest = b64encode(sha256(style.encode()).digest()).decode()
    assert policy.get("content") == (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    )


def test_nothing_on_the_page_is_a_program_or_an_address(page: str) -> None:
    """Elements and attributes that act or fetch are not there; links stay on the page."""
    for element in parsed(page).iter():
        assert element.tag not in {"script", "img", "iframe", "object", "embed", "form", "base", "audio", "video"}
        for name, value in element.attrib.items():
            assert not str(name).startswith("on")
            assert name not in {"src", "srcset", "style", "action", "formaction", "ping"}
            if name == "href":
                assert str(value).startswith("#") or (element.tag, value) == ("link", "data:,")
    assert "url(" not in STYLE
    assert "@import" not in STYLE


def test_a_strangers_words_are_words(hostile: str) -> None:
    """They are read as they were written, turn nothing around, and no template language obeys them."""
    text = said(hostile)
    assert HOSTILE.replace("\u202e", "\N{REPLACEMENT CHARACTER}") in text
    assert "\u202e" not in hostile
    assert "{{7*7}}${7*7}" in text


def test_the_same_records_give_the_same_bytes_in_another_process(full: str, tmp_path: Path) -> None:
    bundle = report_bundle(tmp_path, evidence())
    code = (
        "import sys; from pathlib import Path; from edgepack.domain.progress import Silent;"
        "from edgepack.pipeline.reporting import write_report;"
        "write_report([Path(sys.argv[1])], Path(sys.argv[2]), Silent())"
    )
    out = tmp_path / "again.html"
    environment = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "LC_ALL": "C",
        "TZ": "Asia/Tokyo",
    }
    subprocess.run([sys.executable, "-c", code, str(bundle), str(out)], check=True, env=environment)
    assert out.read_text(encoding="utf-8") == full


def test_headings_go_down_one_step_at_a_time(page: str) -> None:
    levels = [int(str(element.tag)[1]) for element in parsed(page).iter() if re.fullmatch("h[1-6]", str(element.tag))]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_every_chart_is_told_in_words(page: str) -> None:
    """Each drawing has a name and a description that are there, and nothing in it that is read out piece by piece."""
    root = parsed(page)
    ids = {str(element.get("id")): element for element in root.iter() if element.get("id")}
    assert len(ids) == sum(bool(element.get("id")) for element in root.iter())
    drawings = [element for element in root.iter() if element.get("role") == "img"]
    assert drawings
    for drawing in drawings:
        for attribute in ("aria-labelledby", "aria-describedby"):
            assert "".join(ids[str(drawing.get(attribute))].itertext()).strip()
        assert not any(element.get("aria-label") for element in drawing.iter())


def test_every_table_has_a_caption_and_heads_that_say_their_direction(page: str) -> None:
    for table in parsed(page).iter("table"):
        assert "".join(next(iter(table.iter("caption"))).itertext()).strip()
        assert {head.get("scope") for head in table.iter("th")} == {"col"}


def test_a_page_is_small(full: str) -> None:
    """Less than a photograph: it can be attached to a letter."""
    assert len(full.encode()) < 200_000


def _luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("palette", [0, 1])
def test_colours_of_text_stand_out_from_their_ground(palette: int) -> None:
    """WCAG AA, in the light and in the dark: 4.5 to 1 on the paper and on a marked row."""
    block = re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)[palette]
    colours = {name: _luminance(colour) for name, colour in re.findall(r"--(\w+): (#[0-9a-f]{6})", block)}
    for ground in ("paper", "faint"):
        for text in ("ink", "soft", "accent", "bad"):
            high, low = sorted((colours[ground], colours[text]), reverse=True)
            assert (high + 0.05) / (low + 0.05) >= 4.5, (text, ground)

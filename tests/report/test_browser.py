"""The page in a real browser: nothing leaves it, nothing is complained of, it fits a phone, axe finds nothing."""

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edgepack.domain.progress import Silent
from edgepack.pipeline.reporting import write_report
from tests.fakes.reports import HOSTILE, evidence, hostile_evidence, write_evaluations
from tests.formats.bundles import report_bundle

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PAGES = ("full", "hostile", "bare", "beside")
PHONE, DESK = 360, 1280


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One of each kind."""
    directory = tmp_path_factory.mktemp("pages")
    sources = {
        "full": [report_bundle(directory / "full", evidence())],
        "hostile": [report_bundle(directory / "hostile", hostile_evidence(), words=HOSTILE)],
        "bare": [report_bundle(directory / "bare", {})],
        "beside": write_evaluations(directory),
    }
    for name, paths in sources.items():
        write_report(paths, directory / f"{name}.html", Silent())
    return {name: directory / f"{name}.html" for name in sources}


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = next((found for name in ("chromium", "google-chrome") if (found := shutil.which(name))), None)
    if chromium is None:
        pytest.skip("no chromium here")
    with playwright.sync_playwright() as driver:
        # Whoever tests as root, in a container, has no sandbox to offer.
        opened = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_asks_for_nothing_and_complains_of_nothing(
    browser: "Browser", pages: dict[str, Path], name: str
) -> None:
    """The one request is the page itself; neither console nor errors say anything; no dialog opens."""
    said: list[str] = []
    asked: list[str] = []
    page = browser.new_page()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(pages[name].as_uri())
    page.close()
    assert (said, asked) == ([], [pages[name].as_uri()])


def test_the_policy_holds_against_what_would_be_written_into_the_page(
    browser: "Browser", pages: dict[str, Path], tmp_path: Path
) -> None:
    """Were a stranger's script or picture to get in, the browser would neither run nor fetch it."""
    broken = tmp_path / "broken.html"
    with socket.create_server(("127.0.0.1", 0)) as listening:
        picture = f"http://127.0.0.1:{listening.getsockname()[1]}/x"
        inserted = f'<script>document.title = "owned"</script><img src="{picture}" onerror="document.title = 1">'
        text = pages["bare"].read_text(encoding="utf-8")
        broken.write_text(text.replace("<main>", f"<main>{inserted}"), encoding="utf-8")
        page = browser.new_page()
        page.goto(broken.as_uri())
        assert page.title().endswith("edgepack report")
        page.close()
        listening.setblocking(False)
        with pytest.raises(BlockingIOError):
            listening.accept()


@pytest.mark.parametrize("width", [PHONE, DESK])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_never_scrolls_sideways(browser: "Browser", pages: dict[str, Path], name: str, width: int) -> None:
    """Folded parts opened; and of each pair of charts one is shown, as wide as there is room."""
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.goto(pages[name].as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    shown = page.locator(".narrow" if width == PHONE else ".wide").first
    hidden = page.locator(".wide" if width == PHONE else ".narrow").first
    assert shown.is_visible()
    assert not hidden.is_visible()
    box = shown.bounding_box()
    assert box
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_charts_follow_the_page_into_the_dark(browser: "Browser", pages: dict[str, Path], scheme: str) -> None:
    """The chosen one's colour is the page's accent in both; paper is light in one, dark in the other."""
    page = browser.new_page(color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(pages["full"].as_uri())
    paper, accent, mark = page.evaluate(
        """() => {
            const style = getComputedStyle(document.body);
            const mark = document.querySelector('#choice .wide [fill="var(--accent)"]');
            const probe = document.querySelector('.above');
            return [style.backgroundColor, getComputedStyle(probe).color, getComputedStyle(mark).fill];
        }"""
    )
    assert mark == accent
    assert (sum(int(part) for part in paper[4:-1].split(",")) > 600) == (scheme == "light")
    page.close()


@pytest.mark.parametrize(
    ("name", "width", "scheme"),
    [
        ("full", PHONE, "light"), ("full", DESK, "dark"), ("hostile", PHONE, "dark"), ("bare", DESK, "light"),
        ("beside", PHONE, "light"),
    ],
)  # fmt: skip
def test_axe_finds_nothing(browser: "Browser", pages: dict[str, Path], name: str, width: int, scheme: str) -> None:
    """All of axe-core's rules, best practices included, with every folded part open."""
    library = pytest.importorskip("axe_playwright_python")
    source = next(Path(library.__file__).parent.rglob("axe.min.js")).read_text(encoding="utf-8")
    # axe is a script, which the page's policy rightly forbids.
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, bypass_csp=True,  # type: ignore[arg-type]
    )  # fmt: skip
    page = context.new_page()
    page.goto(pages[name].as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    page.evaluate(source)
    found = page.evaluate("axe.run()")
    context.close()
    assert len(found["passes"]) > 30
    assert [(rule["id"], rule["nodes"][0]["html"]) for rule in found["violations"]] == []

"""`cra view` in a browser: our columns are there, and texts that attack their reader are shown and do nothing."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, TimeoutError

from store.runs import open_raw_store
from tests.support.browser import PATIENCE_MS, headless_browser
from tests.support.exported_campaign import ELSEWHERE, HOSTILE, NAME, fill

pytestmark = pytest.mark.slow
_LINKS = """elsewhere => [...document.querySelectorAll("[href], [src], [action], [onerror], [onload]")]
    .map(each => each.getAttribute("href") || each.getAttribute("src") || each.outerHTML)
    .filter(each => each.startsWith(elsewhere) || each.includes("javascript:") || each.includes("window.ran"))"""
SENTENCE = HOSTILE.splitlines()[0]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless browser for all tests of this module: the viewer's scripts are compiled once."""
    with headless_browser() as found:
        if found is None:
            pytest.skip("no Chromium: apt-get install chromium, or uv run playwright install chromium")
        yield found


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address that `cra view` prints; Ctrl-C ends it."""
    folder = tmp_path_factory.mktemp("view")
    fill(open_raw_store(folder / "data" / "raw.sqlite"))
    places = {"CRA_DATA_DIR": str(folder / "data"), "CRA_CACHE_DIR": str(folder / "cache")}
    command = [sys.executable, "-c", "from cli.main import main; main()", "view", NAME, "--no-browser"]
    program = f"import sys; sys.argv = ['cra', *sys.argv[1:]]\n{command[2]}"
    viewing = subprocess.Popen(
        [sys.executable, "-c", program, *command[3:]], env={**os.environ, **places}, stdout=subprocess.PIPE, text=True
    )
    assert viewing.stdout is not None
    yield viewing.stdout.readline().strip()
    viewing.send_signal(signal.SIGINT)
    assert viewing.wait(timeout=180) == 0
    viewing.stdout.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1600, "height": 1200})
    page.set_default_timeout(PATIENCE_MS)
    yield page
    page.close()


def _watched(page: Page) -> list[str]:
    """The addresses that a page requests from now on, and the dialogs that it opens."""
    seen: list[str] = []
    page.on("request", lambda request: seen.append(request.url))
    page.on("dialog", lambda dialog: seen.append(f"dialog: {dialog.message}"))
    page.on("popup", lambda popup: seen.append(f"popup: {popup.url}"))
    return seen


def _open_log(page: Page, address: str) -> None:
    page.goto(address)
    page.get_by_text(f"{NAME} student", exact=True).click()
    with contextlib.suppress(TimeoutError):  # seen once on a loaded machine; a reader would load the page again
        page.get_by_text("lib-0").first.wait_for(timeout=PATIENCE_MS / 3)
        return
    page.reload()
    page.get_by_text("lib-0").first.wait_for()


def test_the_probe_notices_what_these_texts_do_in_a_page_that_trusts_them(page: Page) -> None:
    seen = _watched(page)
    page.set_content(f"<html><body>{HOSTILE}</body></html>")
    page.wait_for_function("window.ran !== undefined")
    assert any(url.startswith(f"{ELSEWHERE}/script") for url in seen)
    assert any(url.startswith(f"{ELSEWHERE}/img") for url in seen)


def test_the_table_of_samples_has_our_columns(page: Page, address: str) -> None:
    _open_log(page, address)
    said = page.inner_text("body").lower()
    for heading in ("resolved", "outcome", "stage at fault", "cost", "repository", "commit", "temperature", "sample"):
        assert heading in said
    for value in ("tests-failed", "plan", "provider-error"):
        assert value in said


def test_hostile_texts_are_shown_and_nothing_of_them_runs_or_is_requested(page: Page, address: str) -> None:
    seen = _watched(page)
    _open_log(page, address)
    page.get_by_text("lib-1").first.click()
    page.get_by_text("attempt 1").first.wait_for()
    shown, links = _scrolled(page)
    for tab in ("Messages", "Scoring", "Info", "JSON"):
        page.get_by_role("tab", name=tab, exact=True).first.click()
        page.wait_for_timeout(500)
        more, others = _scrolled(page)
        shown, links = shown + more, links | others
    assert shown.count(SENTENCE) > 3
    assert page.evaluate("window.ran") is None
    assert [url for url in seen if not url.startswith((address, f"blob:{address.rsplit('/', 2)[0]}"))] == []
    assert links == set()


def test_another_page_cannot_read_or_frame_the_viewer(page: Page, address: str, tmp_path: Path) -> None:
    page.goto("about:blank")
    page.set_content(f"<iframe id=f src='{address}'></iframe>")
    page.wait_for_timeout(500)
    frame = page.frames[-1]
    assert "Inspect" not in frame.title()
    fetched = page.evaluate("url => fetch(url).then(answer => answer.text(), () => 'refused')", address)
    assert fetched == "refused"


def _scrolled(page: Page) -> tuple[str, set[str]]:
    """All text of a page, whose lists hold only what is in sight, and where its elements lead or load from, besides to
    the page itself."""
    found, links = "", set()
    page.mouse.move(900, 700)
    for _ in range(25):
        found += page.inner_text("body")
        links |= set(page.evaluate(_LINKS, ELSEWHERE))
        page.mouse.wheel(0, 900)
        page.wait_for_timeout(60)
    return found, links

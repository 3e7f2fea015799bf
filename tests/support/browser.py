"""A headless browser for tests that read pages as people and screen readers do.

It is the system's Chromium or Chrome, or the one that `playwright install chromium` fetched. Requests leave loopback
only where a test allows it: a page that asks for something from elsewhere gets nothing, and `foreign` names it.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, Route, sync_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_LOCAL = {"127.0.0.1", "localhost", "::1"}
PATIENCE_MS = 180_000
"""How long a page is waited for, in milliseconds: beside other tests, a page of a few seconds takes many."""


@contextmanager
def headless_browser() -> Iterator[Browser | None]:
    """A headless browser that ends with the context; None if none is installed."""
    with sync_playwright() as playwright:
        own = Path(playwright.chromium.executable_path)
        program = next(filter(None, map(shutil.which, _NAMES)), str(own) if own.exists() else None)
        if program is None:
            yield None
            return
        browser = playwright.chromium.launch(executable_path=program)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def open_page(browser: Browser, url: str | Path, **options: Any) -> Iterator[tuple[Page, list[str]]]:
    """A page at a URL or file, and the requests to other hosts, which were refused; both filled while it is open.

    `options` are those of Playwright's `new_context`, as in `viewport` or `color_scheme`.
    """
    foreign: list[str] = []

    def only_local(route: Route) -> None:
        parts = urlsplit(route.request.url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.hostname not in _LOCAL:
            foreign.append(route.request.url)
            route.abort()
        else:
            route.continue_()

    context = browser.new_context(**options)
    try:
        context.route("**/*", only_local)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.goto(url.resolve().as_uri() if isinstance(url, Path) else url)
        yield page, foreign
    finally:
        context.close()


def accessible(page: Page) -> list[dict[str, str]]:
    """The page's accessibility tree as the browser hands it to screen readers: role, name and description of each node
    that is not ignored, in document order."""
    session = page.context.new_cdp_session(page)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    session.detach()
    return [
        {part: str(node.get(part, {}).get("value", "")) for part in ("role", "name", "description")}
        for node in nodes
        if not node["ignored"]
    ]

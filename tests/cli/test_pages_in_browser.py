"""Pages as a browser shows them and as it hands them to screen readers."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from cli.pages.campaign import campaign_page
from cli.pages.learning import learning_page
from evals.quality import qualities
from store.database import open_database
from store.runs import CampaignReport, RawStore
from tests.support.browser import accessible, open_page
from tests.support.learning_material import make_history
from tests.support.report_material import make_campaign
from training.cycle.history import read_history

pytestmark = pytest.mark.slow


@pytest.fixture
def campaign(tmp_path: Path) -> tuple[Path, CampaignReport]:
    """A campaign's page as a file, and its report."""
    store = RawStore(open_database(tmp_path / "raw.sqlite", "raw"))
    make_campaign(store)
    report, usage = store.report("arms"), store.usage("arms")
    file = tmp_path / "page.html"
    file.write_text(campaign_page(report, usage, qualities(usage)))
    return file, report


def row(page: Page, section: str, first: str) -> list[str]:
    """The cells of a section's first row whose header is `first`, as they are shown."""
    found = page.locator(f"#{section} tbody tr", has=page.get_by_role("rowheader", name=first, exact=True)).first
    return [text.strip() for text in found.locator("th, td").all_inner_texts()]


def test_figures_are_read_off_a_campaigns_page(browser: Browser, campaign: tuple[Path, CampaignReport]) -> None:
    file, report = campaign
    with open_page(browser, file) as (page, foreign):
        for planner, counts in report.planners.items():
            assert row(page, "overview", planner)[2:6] == [
                str(counts.passed), str(counts.unconfirmed), str(counts.failed), str(counts.infrastructure),
            ]  # fmt: skip
        assert row(page, "outcomes", "passed")[2:] == [str(each.passed) for each in report.planners.values()]
        assert page.locator("script, img, iframe, object, link").count() == 0
        assert foreign == []


def test_screen_readers_get_every_picture_in_words(browser: Browser, campaign: tuple[Path, CampaignReport]) -> None:
    file, report = campaign
    with open_page(browser, file) as (page, _):
        nodes = accessible(page)
        pictures = page.locator("svg").count()
    images = {node["name"]: node["description"] for node in nodes if node["role"] == "image"}
    assert len(images) == pictures
    teacher = report.planners["teacher"].passed
    assert f"teacher {teacher}" in images["Outcomes"]
    tables = [node["name"] for node in nodes if node["role"] == "table"]
    assert {f"Figures: {name}" for name in images} <= set(tables)
    headings = [node["name"] for node in nodes if node["role"] == "heading"]
    assert headings[0] == "Campaign arms" and set(images) <= set(headings)


def test_a_narrow_screen_scrolls_pictures_and_tables_and_not_the_page(
    browser: Browser, campaign: tuple[Path, CampaignReport]
) -> None:
    with open_page(browser, campaign[0], viewport={"width": 360, "height": 740}) as (page, _):
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        assert page.locator("#rates svg").bounding_box()["width"] > 360  # type: ignore[index]
    with open_page(browser, campaign[0], viewport={"width": 1400, "height": 900}) as (page, _):
        hidden = "[...document.querySelectorAll('figure .wide')].filter(x => x.scrollWidth > x.clientWidth).length"
        assert page.evaluate(hidden) == 0


def test_tables_fit_on_paper(browser: Browser, campaign: tuple[Path, CampaignReport]) -> None:
    with open_page(browser, campaign[0], viewport={"width": 680, "height": 1000}) as (page, _):
        page.emulate_media(media="print")
        beyond = "[...document.querySelectorAll('td, th')].filter(x => x.getBoundingClientRect().right > 680).length"
        assert page.evaluate(beyond) == 0


def test_dark_screens_and_paper_have_colours_of_their_own(
    browser: Browser, campaign: tuple[Path, CampaignReport]
) -> None:
    """Lines of pictures are drawn in the text's colour, which stands out from the background."""
    seen = {}
    for scheme in ("light", "dark"):
        with open_page(browser, campaign[0], color_scheme=scheme) as (page, _):
            ink = """getComputedStyle(document.querySelector('#rates svg path[style*="stroke: var(--ink)"]')).stroke"""
            assert page.evaluate(ink) == page.evaluate("getComputedStyle(document.body).color")
            seen[scheme] = page.evaluate("getComputedStyle(document.body).backgroundColor")
            page.emulate_media(media="print")
            assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
            assert not page.locator("nav").is_visible()
    assert seen["light"] != seen["dark"]


def test_a_loss_curves_figures_open_at_a_click(browser: Browser, tmp_path: Path) -> None:
    registry = make_history(tmp_path, tmp_path / "raw.sqlite")
    history = read_history(open_database(tmp_path / "raw.sqlite", "raw"), registry)
    (tmp_path / "page.html").write_text(learning_page(history))
    with open_page(browser, tmp_path / "page.html") as (page, foreign):
        assert row(page, "adapters", "scope-v1")[1] == "yes"
        table = page.locator("#training-1 table")
        assert not table.is_visible()
        page.emulate_media(media="print")
        assert table.is_visible()
        page.emulate_media(media="screen")
        page.get_by_text("Figures: Loss of scope-v1").first.click()
        assert table.is_visible()
        assert row(page, "training-1", "100")[2] == "0.6200"
        assert foreign == []

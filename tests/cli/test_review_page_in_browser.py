"""The page of plans in a browser: hostile texts stay texts, verdicts are saved as a file, and the command reads it."""

import json
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.support.browser import accessible, open_page
from tests.support.commands import invoke
from tests.support.pairs_material import World
from tests.support.planning_material import HOSTILE, planning_campaign

pytestmark = pytest.mark.slow


def test_a_person_reads_plans_and_saves_verdicts(browser: Browser, tmp_path: Path) -> None:
    planning_campaign(World(tmp_path / "data"))
    drawn = invoke("review", "planning", "c", "--out", "page.html", "--count", "3", "--json", cwd=tmp_path)
    samples = [each["name"] for each in json.loads(drawn.stdout)["samples"]]
    with open_page(browser, tmp_path / "page.html", accept_downloads=True) as (page, foreign):
        assert "taken" not in page.title()
        assert HOSTILE in "".join(page.locator("pre").all_text_contents())
        articles = page.locator("article")
        assert [each.get_attribute("data-sample") for each in articles.all()] == samples
        assert page.get_by_role("status").inner_text().startswith("0 of 9")
        assert sum(node["role"] == "radio" for node in accessible(page)) == 3 * len(samples)
        articles.nth(0).get_by_label("good").check()
        articles.nth(4).get_by_label("bad").check()
        articles.nth(4).get_by_role("textbox").fill("the step is too large")
        assert page.get_by_role("status").inner_text().startswith("2 of 9")
        assert articles.nth(0).locator("code").last.inner_text().startswith(f"cra review record {samples[0]} ")
        with page.expect_download() as saving:
            page.get_by_role("button", name="Save the verdicts").click()
        saving.value.save_as(tmp_path / "verdicts.json")
        assert foreign == []
    assert json.loads((tmp_path / "verdicts.json").read_text()) == {
        "campaign": "c",
        "reviews": [
            {"sample": samples[0], "verdict": "good", "note": ""},
            {"sample": samples[4], "verdict": "bad", "note": "the step is too large"},
        ],
    }
    kept = invoke("review", "read", "verdicts.json", "--json", cwd=tmp_path)
    assert json.loads(kept.stdout) == {"reviews": 2, "kept": 2}

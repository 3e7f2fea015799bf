"""`cra review` and `cra report --planning`: a page of plans, verdicts that are kept, and figures that count them."""

import json
import sqlite3
from pathlib import Path

import pytest

from tests.support.commands import Result, invoke
from tests.support.pairs_material import World
from tests.support.planning_material import planning_campaign


@pytest.fixture
def place(tmp_path: Path) -> Path:
    planning_campaign(World(tmp_path / "data"))
    return tmp_path


def cra(place: Path, *arguments: str | Path) -> Result:
    done = invoke(*arguments, cwd=place)
    assert done.returncode == 0, done.stderr
    return done


def names(place: Path, *options: str) -> list[str]:
    drawn = json.loads(cra(place, "review", "planning", "c", "--out", "page.html", *options, "--json").stdout)
    return [each["name"] for each in drawn["samples"]]


def counts(place: Path) -> dict[str, dict[str, dict[str, int]]]:
    found: dict[str, dict[str, dict[str, int]]] = json.loads(cra(place, "review", "list", "c", "--json").stdout)[
        "counts"
    ]
    return found


def test_a_verdict_is_kept_and_the_last_one_counts(place: Path) -> None:
    first, second, *_ = names(place)
    cra(place, "review", "record", first, "bad", "--note", "misses the task")
    cra(place, "review", "record", second, "fine", "--by", "ann")
    cra(place, "review", "record", first, "good")
    cra(place, "review", "record", first, "good")
    assert counts(place) == {"student": {"meta": {"good": 1, "fine": 1, "bad": 0}}}
    listed = json.loads(cra(place, "review", "list", "c", "--json").stdout)["reviews"]
    assert [(each["verdict"], each["model"]) for each in listed] == [("fine", "m"), ("good", "m")]
    assert listed[0]["reviewer"] == "ann"
    with sqlite3.connect(place / "data" / "raw.sqlite") as database:
        assert database.execute("SELECT count(*) FROM plan_reviews").fetchone() == (3,)
        for change in ("UPDATE plan_reviews SET verdict = 'good'", "DELETE FROM plan_reviews"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                database.execute(change)


def test_the_file_that_a_page_saves_is_kept_once_and_whole_or_not_at_all(place: Path) -> None:
    drawn = names(place, "--count", "2")
    assert len(drawn) == 6
    reviews = [{"sample": name, "verdict": "fine", "note": "so"} for name in drawn]
    saved = place / "verdicts.json"
    saved.write_text(json.dumps({"campaign": "c", "reviews": [*reviews, reviews[0] | {"sample": "f" * 16 + "-1-1"}]}))
    refused = invoke("review", "read", saved, cwd=place)
    assert refused.returncode == 2
    assert "f" * 16 in refused.stderr
    assert counts(place) == {}
    saved.write_text(json.dumps({"campaign": "c", "reviews": reviews}))
    assert json.loads(cra(place, "review", "read", saved, "--json").stdout) == {"reviews": 6, "kept": 6}
    assert json.loads(cra(place, "review", "read", saved, "--json").stdout) == {"reviews": 6, "kept": 0}
    assert counts(place)["student"] == {kind: {"good": 0, "fine": 2, "bad": 0} for kind in ("meta", "step", "test")}
    page = json.loads(cra(place, "review", "planning", "c", "--out", "page.html", "--count", "2", "--json").stdout)
    assert [each["review"]["verdict"] for each in page["samples"]] == ["fine"] * 6


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("no", "verdicts.json"),
        ('{"campaign": "c"}', "reviews"),
        ('{"campaign": "c", "reviews": [{"sample": "x"}]}', "verdict"),
    ],
)
def test_a_file_that_is_none_is_refused_by_name(place: Path, content: str, named: str) -> None:
    (place / "verdicts.json").write_text(content)
    refused = invoke("review", "read", "verdicts.json", cwd=place)
    assert refused.returncode == 2
    assert named in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1


def test_names_and_campaigns_that_are_none_are_refused(place: Path) -> None:
    for wrong in (["record", "lib0-0", "good"], ["record", "f" * 16 + "-1-1", "good"]):
        refused = invoke("review", *wrong, cwd=place)
        assert (refused.returncode, wrong[1] in refused.stderr) == (2, True)
    assert invoke("review", "planning", "c", "--planner", "gold", "--out", "page.html", cwd=place).returncode == 2
    assert invoke("review", "planning", "other", "--out", "page.html", cwd=place).returncode == 2
    assert not (place / "page.html").exists()


def test_the_report_has_figures_by_type_and_counts_what_was_read(place: Path) -> None:
    unread = cra(place, "report", "c", "--planning")
    assert "cra review planning c" in unread.stderr
    assert {"meta plan", "step plan", "test plan"} <= {
        cell.strip() for cell in unread.stdout.replace("│", "\n").split("\n")
    }
    cra(place, "review", "record", names(place)[0], "bad")
    found = json.loads(cra(place, "report", "c", "--planning", "--json").stdout)
    assert found["reviews"]["student"]["meta"] == {"good": 0, "fine": 0, "bad": 1}
    rates = {(each["type"], each["name"]): each["rate"] for each in found["planning"]}
    assert rates["meta", "file_coverage"]["value"] == 0.5
    assert rates["meta", "file_coverage"]["repositories"] == 3

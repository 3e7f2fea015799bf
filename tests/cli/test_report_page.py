"""Pages with pictures: escaped, without scripts, the same bytes each time, with the figures of the other outputs."""

import json
import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from cli.pages.campaign import campaign_page
from cli.pages.learning import learning_page
from evals.quality import qualities
from models.errors import DatabaseError
from store.database import open_database
from store.runs import RawStore
from tests.support import learning_material, report_material
from tests.support.commands import invoke
from tests.support.learning_material import make_history
from tests.support.report_material import PLANNERS, REPOSITORIES, make_campaign
from training.cycle.history import read_history, thinned

VOID = {"meta", "br", "img", "link", "input"}
PICTURES = 8


class Page(HTMLParser):
    """Elements, ids, tables and the texts of pictures of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.pictures: dict[str, dict[str, str]] = {}
        self._open: list[str] = []
        self._section = self._id = ""
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = {name: value or "" for name, value in attrs}
        self.elements.append((tag, known))
        self._id = known.get("id", "")
        if tag not in VOID:
            self._open.append(tag)
        if tag == "section":
            self._section = known["id"]
        elif tag == "tr":
            self.tables.setdefault(self._section, []).append([])
        elif tag in ("th", "td"):
            self.tables[self._section][-1].append("")
        elif tag == "svg":
            self.pictures[self._section] = {"role": known["role"]}

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        inside = self._open[-1] if self._open else ""
        if inside in ("th", "td"):
            self.tables[self._section][-1][-1] += data
        elif inside in ("title", "desc") and self._section:
            self.pictures[self._section][inside] = data


def page_of(store: RawStore, name: str = "arms") -> str:
    usage = store.usage(name)
    return campaign_page(store.report(name), usage, qualities(usage))


@pytest.fixture
def store(tmp_path: Path) -> RawStore:
    return RawStore(open_database(tmp_path / "data" / "raw.sqlite", "raw"))


def check_safe(text: str, hostile: str) -> Page:
    """Nothing that a page could load or run, and hostile text only as text."""
    assert hostile not in text
    page = Page(text)
    allowed = {
        "html", "head", "meta", "title", "style", "body", "header", "h1", "h2", "p", "nav", "ul", "li", "a", "main",
        "section", "figure", "div", "table", "caption", "thead", "tbody", "tr", "th", "td", "details", "summary",
        "footer", "svg", "desc", "g", "path", "defs", "use", "clippath", "rect", "pattern", "circle",
    }  # fmt: skip
    assert {tag for tag, _ in page.elements} <= allowed
    for tag, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on") or name == "src"], tag
        links = [value for name, value in attributes.items() if name in ("href", "xlink:href")]
        assert all(link.startswith("#") for link in links)
    [policy] = [known["content"] for _, known in page.elements if known.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:")
    ids = [known["id"] for _, known in page.elements if "id" in known]
    assert len(ids) == len(set(ids))
    used = {value[1:] for _, known in page.elements for name, value in known.items() if name == "xlink:href"}
    assert used <= set(ids)
    return page


@pytest.mark.slow
def test_a_campaigns_page_is_the_same_each_time_and_on_both_databases(database_target: str, store: RawStore) -> None:
    other = RawStore(open_database(database_target, "raw"))
    make_campaign(store)
    make_campaign(other)
    assert page_of(store) == page_of(store) == page_of(other)


def test_a_page_loads_and_runs_nothing_and_shows_hostile_text_as_text(store: RawStore) -> None:
    make_campaign(store)
    text = page_of(store)
    page = check_safe(text, report_material.HOSTILE)
    [fault] = page.tables["faults"][1:]
    assert fault == ["provider-error", "2", "no-plan", report_material.FAULT.format(12)]
    assert REPOSITORIES[-1] in {row[1] for row in page.tables["rates"][1:]}


def test_every_picture_has_a_name_its_figures_in_words_and_a_table(store: RawStore) -> None:
    make_campaign(store)
    page = Page(page_of(store))
    assert len(page.pictures) == PICTURES
    for key, picture in page.pictures.items():
        assert picture["role"] == "img" and picture["title"]
        first = page.tables[key][1]
        assert all(cell in picture["desc"] for cell in first if cell not in ("", "0", "0%", "none"))


@pytest.mark.slow
def test_the_figures_are_those_of_the_other_outputs(store: RawStore, tmp_path: Path) -> None:
    make_campaign(store)
    done = invoke("report", "arms", "--html", "page.html", "--json", cwd=tmp_path)
    known = json.loads(done.stdout)
    page = Page((tmp_path / "page.html").read_text())
    rates = {(row[0], row[1]): row[2] for row in page.tables["rates"][1:]}
    for planner in PLANNERS:
        quality = known["quality"][planner]
        assert rates[planner, "all repositories"] == f"{quality['pass_at_1']['value']:.1%}"
        for name, rate in quality["by_repository"].items():
            assert rates[planner, name] == f"{rate['value']:.1%}"
    passed = {row[0]: row[2:] for row in page.tables["outcomes"][1:]}["passed"]
    assert passed == [str(known["planners"][planner]["passed"]) for planner in PLANNERS]
    confirmed = {row[1]: row[2] for row in page.tables["funnel"][1:] if row[0] == "pass confirmed"}
    assert confirmed == {each["planner"]: str(each["confirmed"]["instances"]) for each in known["funnel"]["planners"]}
    assert [row[3] for row in page.tables["latency"][1:]] == [
        f"{each['median']:.2f}"
        for each in sorted(known["latencies"], key=lambda each: (_place(each["stage"]), each["planner"]))
    ]
    replayed = sum(int(row[3]) for row in page.tables["reuse"][1:])
    assert replayed == known["replayed"] > 0


def _place(stage: str) -> int:
    from models.protocols import Stage

    return list(Stage).index(Stage(stage))


def test_a_campaign_of_which_nothing_is_known_has_a_page(store: RawStore) -> None:
    store.start_run(store.register_campaign({"packages": []}), "none yet", "flow", [])
    page = check_safe(page_of(store, "none yet"), report_material.HOSTILE)
    assert page.pictures == {}


@pytest.mark.slow
def test_other_processes_write_the_same_bytes(store: RawStore, tmp_path: Path) -> None:
    make_campaign(store)
    pages = []
    for seed in ("1", "2"):
        file = tmp_path / f"{seed}.html"
        environment = {**os.environ, "CRA_DATA_DIR": str(tmp_path / "data"), "PYTHONHASHSEED": seed}
        command = [str(Path(sys.executable).parent / "cra"), "report", "arms", "--html", str(file)]
        subprocess.run(command, check=True, env=environment, cwd=tmp_path, capture_output=True)
        pages.append(file.read_bytes())
    assert pages[0] == pages[1]


def test_what_is_missing_is_named_with_its_remedy(
    store: RawStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_campaign(store)
    nowhere = invoke("report", "arms", "--html", tmp_path / "no" / "page.html", cwd=tmp_path)
    assert nowhere.returncode == 2 and "cannot be written" in nowhere.stderr
    unknown = invoke("report", "never", "--html", "page.html", cwd=tmp_path)
    assert unknown.returncode == 2 and "never" in unknown.stderr
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    undrawn = invoke("report", "arms", "--html", "page.html", cwd=tmp_path)
    assert undrawn.returncode == 2 and "--extra report" in undrawn.stderr
    assert not list(tmp_path.glob("*.html*"))


def test_the_learning_loops_page_shows_who_served_gates_and_losses(tmp_path: Path) -> None:
    registry = make_history(tmp_path, tmp_path / "raw.sqlite")
    history = read_history(open_database(tmp_path / "raw.sqlite", "raw"), registry)
    text = learning_page(history)
    assert text == learning_page(history)
    page = check_safe(text, learning_material.HOSTILE)
    served = [(row[2], row[5]) for row in page.tables["serving"][1:]]
    assert served == [
        ("scope", "scope-v1"), ("scope", "scope-v1"), ("code", "code-v1"), ("scope", "scope-v3"),
        ("scope", "scope-v3"), ("scope", "scope-v1"), ("code", "the base"),
    ]  # fmt: skip
    assert [row[4] for row in page.tables["gates"][1:]] == ["promote", "reject", "promote", "inconclusive"]
    assert [row[0] for row in page.tables["trainings"][1:]] == ["scope-v1", "scope-v3", "code-v1"]
    losses = {row[0]: row[1:] for row in page.tables["training-1"][1:]}
    assert losses["100"] == [f"{history.trainings[0].training[-1][1]:.4f}", "0.6200"]
    assert set(page.pictures) == {"serving", "gates", "training-1", "training-2", "training-3"}


def test_the_learning_loop_in_a_terminal_and_as_json(tmp_path: Path) -> None:
    make_history(tmp_path / "data", tmp_path / "data" / "raw.sqlite")
    known = json.loads(invoke("adapters", "report", "--json", cwd=tmp_path).stdout)
    assert [each["action"] for each in known["decisions"]][:2] == ["promote", "reject"]
    shown = invoke("adapters", "report", cwd=tmp_path).stdout
    assert all(each["serving"] in shown for each in known["decisions"])
    assert invoke("adapters", "report", "--html", "page.html", cwd=tmp_path).returncode == 0
    assert "scope-v3" in (tmp_path / "page.html").read_text()


def test_an_installation_without_adapters_has_a_page(tmp_path: Path) -> None:
    done = invoke("adapters", "report", "--html", "page.html", cwd=tmp_path)
    assert done.returncode == 0
    assert check_safe((tmp_path / "page.html").read_text(), "<script").pictures == {}


def test_a_long_curve_is_drawn_by_means() -> None:
    points = [(step, float(step)) for step in range(1, 1001)]
    found = thinned(points, 40)
    assert len(found) == 40
    assert found[0] == (25, 13.0) and found[-1] == (1000, 988.0)
    assert thinned(points[:40], 40) == tuple(points[:40])
    assert thinned([], 40) == ()


def test_a_damaged_curve_is_named(tmp_path: Path) -> None:
    registry = make_history(tmp_path, tmp_path / "raw.sqlite")
    raw = open_database(tmp_path / "raw.sqlite", "raw")
    learning_material.train(raw, "9" * 64, losses='{"step": 1, "loss": "?"}\n')
    with pytest.raises(DatabaseError, match="loss curve of training 999999999999"):
        read_history(raw, registry)

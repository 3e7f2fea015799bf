"""`cra messages`, and what `cra mine` and `cra synthesize` make of its texts."""

import json
from pathlib import Path

import pytest

from tests.support.bad_server import Raw, ScriptedServer
from tests.support.commands import Result, invoke
from tests.support.direct_material import repository
from tests.support.message_material import SIGN, SPEECHLESS, STRIP, model


def configured(folder: Path, server: ScriptedServer) -> Path:
    """A repository of commits that say nothing, and a configuration with the server as the endpoint `here`."""
    settings = f'url = "{server.url}"\nmodel = "scripted"\nattempts = 1\nprice = {{ input = 10, output = 10 }}\n'
    (folder / "cra.toml").write_text(f"[models.endpoints.here]\n{settings}")
    return repository(folder / "spans.git", SPEECHLESS)


def regenerate(folder: Path, place: Path, *options: str) -> Result:
    return invoke("messages", "regenerate", place, "--with", "here", *options, cwd=folder)


def test_texts_are_written_shown_counted_and_used(tmp_path: Path) -> None:
    with ScriptedServer(model()) as server:
        place = configured(tmp_path, server)
        made = json.loads(regenerate(tmp_path, place, "--json", "--limit", "1").stdout)
        assert (made["counts"], made["aside"], made["calls"]) == ({"accepted": 1}, 2, 2)
        assert made["cost"] > 0
        done = regenerate(tmp_path, place)
    assert done.returncode == 0
    assert "2 commits set aside, 1 decided before: accepted 1" in done.stdout
    shown = invoke("messages", "show", place, cwd=tmp_path)
    assert SIGN["subject"] in shown.stdout
    records = json.loads(invoke("messages", "show", place, "--json", cwd=tmp_path).stdout)["records"]
    assert [(each["original"], each["state"], each["model"]) for each in records] == [
        ("stuff", "accepted", "scripted"),
        ("wip", "accepted", "scripted"),
    ]
    mined = json.loads(invoke("mine", place, "--json", cwd=tmp_path).stdout)
    assert [commit["described"].partition("\n")[0] for commit in mined["needs_message"]] == [
        SIGN["subject"],
        STRIP["subject"],
    ]
    command = ("synthesize", place, "--stages", "scope", "--jobs", "1", "--json")
    taken = [json.loads(invoke(*command, *more, cwd=tmp_path).stdout) for more in ((), ("--with-messages",))]
    assert [each["repositories"][0]["taken"] for each in taken] == [1, 3]


def test_a_cap_on_cost_ends_the_run_and_keeps_what_is_done(tmp_path: Path) -> None:
    with ScriptedServer(model()) as server:
        place = configured(tmp_path, server)
        done = regenerate(tmp_path, place, "--max-cost", "0.001")
    assert done.returncode == 1
    assert "cap" in done.stderr
    assert server.requests == []


@pytest.mark.parametrize(("options", "says"), [(("--judge", "there"), "there"), (("--threshold", "9"), "threshold")])
def test_a_mistake_ends_before_a_question(tmp_path: Path, options: tuple[str, ...], says: str) -> None:
    with ScriptedServer(model()) as server:
        done = regenerate(tmp_path, configured(tmp_path, server), *options)
    assert done.returncode == 2
    assert says in done.stderr
    assert server.requests == []


def test_an_endpoint_that_answers_html_is_named_in_one_line(tmp_path: Path) -> None:
    with ScriptedServer([Raw(b"<html>gateway</html>", "text/html")]) as server:
        done = regenerate(tmp_path, configured(tmp_path, server))
    [line] = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.returncode == 1
    assert "'here'" in line
    assert "goes on from here" in line

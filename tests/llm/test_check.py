"""`cra models check`: what it finds out, and how it ends."""

import json
import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app
from llm.check import EndpointReport, check
from models.llm_settings import ModelSettings, Roles, Teachers
from models.protocols import Stage
from tests.support.asking import endpoint
from tests.support.bad_server import Fail, ScriptedServer

WORKS = '{"works": true}'


def one(server: ScriptedServer, overrides: dict[Stage, str] | None = None, **settings: object) -> EndpointReport:
    models = ModelSettings(
        endpoints={"here": endpoint(server, **settings)},
        roles=Roles(reasoning="here", coding="here"),
        overrides=overrides or {},
    )
    [report] = check(models)
    return report


def test_a_vllm_server() -> None:
    with ScriptedServer(WORKS, window=4096) as server:
        report = one(server)
    assert report.usable
    assert report.uses == ("roles.reasoning", "roles.coding")
    assert (report.window, report.window_from) == (4096, "server")
    assert (report.json_schema, report.tokenizer, report.exact) == ("works", "/tokenize", True)
    assert report.listed


def test_adapters_are_listed() -> None:
    with ScriptedServer(WORKS, flavour="llama.cpp", adapters=["code-v1"]) as server:
        assert one(server).adapters == ("code-v1",)


def test_a_hosted_api_that_says_little() -> None:
    with ScriptedServer(WORKS, flavour="openai", schema=False) as server:
        report = one(server, window=8000)
        assert (report.window_from, report.json_schema, report.exact) == ("settings", "refused", False)
        assert report.usable
        assert "window" in one(server).fault


@pytest.mark.parametrize(
    ("said", "found"), [("no JSON at all", "ignored"), ('{"other": 1}', "ignored"), ("word " * 500, "cut off")]
)
def test_a_schema_that_is_taken_and_not_followed(said: str, found: str) -> None:
    with ScriptedServer(said) as server:
        assert one(server).json_schema == found


def test_what_makes_an_endpoint_unusable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with ScriptedServer(WORKS, window=4096, api_key="right") as server:
        refused = one(server)
        assert "the key was refused" in refused.fault
        assert (refused.reachable, refused.key_refused, refused.usable) == (True, True, False)
        unset = one(server, api_key_env="NO_SUCH_KEY")
        assert "NO_SUCH_KEY" in unset.fault
        assert (unset.reachable, unset.key_refused) == (False, False)
    with ScriptedServer(WORKS, window=4096) as server:
        assert "the server has 4096" in one(server, window=8192).fault
        assert "does not serve" in one(server, {Stage.SCOPE: "scope-v1"}).fault
    with ScriptedServer([Fail(404, "The model `scripted` does not exist.")]) as server:
        assert "does not exist" in one(server).fault


def test_the_command_names_what_is_wrong_and_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free, ScriptedServer(WORKS) as server:
        free.bind(("127.0.0.1", 0))
        down = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
        endpoints = f'[models.endpoints.up]\nurl = "{server.url}"\nmodel = "scripted"\n'
        endpoints += f'[models.endpoints.down]\nurl = "{down}"\nmodel = "m"\n'
        (tmp_path / "cra.toml").write_text(endpoints + '[models.roles]\nreasoning = "up"\ncoding = "up"\n')
        monkeypatch.chdir(tmp_path)
        good = CliRunner().invoke(app, ["models", "check"])
        assert good.exit_code == 0, good.output
        (tmp_path / "cra.toml").write_text(endpoints + '[models.roles]\nreasoning = "up"\ncoding = "down"\n')
        bad = CliRunner().invoke(app, ["models", "check", "--json"])
    assert bad.exit_code == 1
    reports = {report["endpoint"]: report for report in json.loads(bad.stdout)}
    assert reports["up"]["usable"]
    assert not reports["down"]["usable"]
    assert "no connection" in reports["down"]["fault"]
    assert not reports["down"]["reachable"] and not reports["down"]["key_refused"]


def test_a_refused_key_is_told_apart_from_a_server_that_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ScriptedServer(WORKS, api_key="right") as server:
        settings = f'[models.endpoints.here]\nurl = "{server.url}"\nmodel = "scripted"\napi_key_env = "MY_KEY"\n'
        (tmp_path / "cra.toml").write_text(settings + '[models.roles]\nreasoning = "here"\ncoding = "here"\n')
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("MY_KEY", "a-wrong-one")
        found = CliRunner().invoke(app, ["models", "check"])
    shown = [line.strip(" │").split() for line in found.stdout.splitlines()]
    lines = {words[0]: " ".join(words[1:]) for words in shown if words}
    assert found.exit_code == 1
    assert "yes" in lines["reachable"] and "NO" in lines["usable"] and "refused" in lines["key"]
    assert "a-wrong-one" not in found.output


def test_a_teacher_that_is_down_counts() -> None:
    with ScriptedServer(WORKS) as server:
        models = ModelSettings(
            endpoints={"here": endpoint(server), "there": endpoint("http://127.0.0.1:9/v1")},
            roles=Roles(reasoning="here", coding="here"),
            teachers=Teachers(reasoning="there"),
        )
        here, there = check(models)
    assert here.usable
    assert (there.uses, there.usable) == (("teachers.reasoning",), False)

"""`cra up`, `down`, `status`, `doctor`, `worker`, `backup` with real servers, as an operator would."""

import json
import os
import shutil
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from harness.packages.package import RepoPackage
from tests.support.server_runs import ServerRuns, seconds_until, server_runs
from tests.support.tiny import make_tiny_base

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServerRuns, list[str]]]:
    """A server with code of its own, made by two `cra up` at once, and what these said."""
    folder = tmp_path_factory.mktemp("up")
    root, code = Path(__file__).parents[2], folder / "code"
    code.mkdir()
    for room in {path.parent for path in root.glob("*/__init__.py")} - {root / "tests", root / "benchmarks"}:
        shutil.copytree(room, code / room.name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(root / "prefect.yaml", code)
    server = ServerRuns(folder, PYTHONPATH=str(code))
    try:
        both = [server.start("up", "--port", str(server.port)) for _ in range(2)]
        said = [each.communicate(timeout=400)[0] for each in both]
        assert [each.returncode for each in both] == [0, 0], said
        yield server, said
    finally:
        down = server.cra("down")
    assert down.returncode == 0, down.stderr
    assert server.processes("") == []
    assert server.cra("down").stdout == "nothing runs\n"


@pytest.fixture
def server(started: tuple[ServerRuns, list[str]]) -> ServerRuns:
    """That server, with its worker on line."""
    seconds_until(lambda: well(started[0]), 180)
    return started[0]


def programs(server: ServerRuns) -> dict[str, int]:
    found = json.loads(server.cra("status", "--json").stdout)
    return {each["name"]: each["pid"] for each in found["programs"]}


def well(server: ServerRuns) -> bool:
    return server.cra("status").returncode == 0


def test_two_at_once_and_once_more_make_everything_once(
    started: tuple[ServerRuns, list[str]], server: ServerRuns
) -> None:
    said = started[1]
    assert sorted("supervisor: started" in each for each in said) == [False, True]
    assert sorted("deployment campaign: made" in each for each in said) == [False, True]
    before = programs(server)
    again = server.cra("up")
    assert again.returncode == 0
    assert all("made" not in line and "changed" not in line for line in again.stdout.splitlines())
    assert programs(server) == before
    assert set(before) == {"server", "worker", "sweeper"}
    assert len(server.ask("/deployments/filter", limit=50)) == 13
    assert len(server.ask("/automations/filter", limit=50)) == 1


@pytest.mark.parametrize("option", [("--postgres", "embedded"), ("--port", "1"), ("--limit", "9")])
def test_what_runs_is_not_changed_under_way(server: ServerRuns, option: tuple[str, str]) -> None:
    refused = server.cra("up", *option)
    assert refused.returncode == 2
    assert "cra down" in refused.stderr


def test_nobody_without_the_password_is_answered_and_it_is_nowhere_else(server: ServerRuns) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"http://127.0.0.1:{server.port}/api/admin/version", timeout=120)
    assert refused.value.code == 401
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/", timeout=120) as page:
        assert "connect-src 'self'" in page.headers["Content-Security-Policy"]
    ours = server.folder / "data" / "server"
    _, _, password = (ours / "password").read_text().strip().partition(":")
    lines = [Path(f"/proc/{process}/cmdline").read_bytes() for process in server.processes("")]
    assert len(lines) >= 4
    assert not any(password.encode() in line for line in lines)
    told = [*(ours / "logs").iterdir(), ours / "supervisord.conf"]
    assert not any(password.encode() in path.read_bytes() for path in told)
    assert [path for path in ours.rglob("*") if path.name != "up.lock" and path.stat().st_mode & 0o077] == []


def test_doctor_finds_what_a_campaign_needs(server: ServerRuns) -> None:
    found = json.loads(server.cra("doctor", "--json").stdout)
    verdicts = {each["what"]: each["verdict"] for each in found}
    assert {verdicts[what] for what in ("sandbox", "git", "uv", "raw database", "server", "workers")} == {"ok"}
    assert verdicts["corpus"] == "warning"  # there is none
    assert all(each["remedy"] for each in found if each["verdict"] != "ok")
    bad = json.loads(server.cra("doctor", "--json", CRA_RAW_DATABASE="postgresql://127.0.0.1:9/x").stdout)
    assert {each["what"]: each["verdict"] for each in bad}["databases"] == "failed"


def test_a_rehearsal_runs_on_the_server_and_says_the_first_thing_that_is_not_operational(server: ServerRuns) -> None:
    nothing = json.loads((done := server.cra("rehearse", "--json")).stdout)
    assert (done.returncode, nothing["missing"]) == (1, "packages")  # there is no corpus
    assert "no repo package" in nothing["steps"][-1]["found"][0] and nothing["steps"][-1]["remedy"]
    tiny, package = make_tiny_base(server.folder / "tiny"), server.folder / "package"
    package.mkdir()
    (package / "manifest.json").write_text("{}")
    assert server.cra("bases", "add", str(tiny), "--name", "tiny").returncode == 0
    out = server.folder / "out"
    done = server.cra("rehearse", "--packages", str(package), "--out", str(out), "--json")
    report = json.loads(done.stdout)
    assert (done.returncode, report["missing"]) == (1, "packages"), done.stderr
    assert [each["step"] for each in report["steps"]] == ["machine", "bases", "packages"]
    assert report["steps"][1]["figures"]["base"] == "tiny"
    assert json.loads((out / "rehearsal.json").read_text())["missing"] == "packages"
    assert "Not operational: packages." in Path(report["page"]).read_text()
    wanted = {"flows": {"name": {"any_": ["rehearse"]}}, "limit": 5}
    assert [run["state"]["type"] for run in server.ask("/flow_runs/filter", **wanted)] == ["COMPLETED"]


def test_what_was_killed_comes_back_and_status_says_so(server: ServerRuns) -> None:
    before = programs(server)

    def killed_and_told() -> bool:
        """They come back so soon that `status` may find them well again; then they are killed once more."""
        for name, process in programs(server).items():
            if process and name in ("server", "worker", "sweeper"):
                with suppress(ProcessLookupError):
                    os.kill(process, 9)
        return server.cra("status").returncode == 1

    seconds_until(killed_and_told, 180)
    seconds_until(lambda: well(server), 180)
    assert not set(before.values()) & set(programs(server).values())

    os.kill(int((server.folder / "data" / "server" / "supervisord.pid").read_text()), 9)
    seconds_until(lambda: server.processes("-m flows.server") + server.processes("main() worker") == [], 60)
    assert server.cra("up").returncode == 0
    assert well(server)


def test_a_worker_of_other_code_is_refused_with_both_versions_and_takes_no_runs(server: ServerRuns) -> None:
    changed = server.folder / "code" / "models" / "errors.py"
    changed.write_text(changed.read_text() + "\n# newer\n")
    refused = server.cra("worker")
    assert refused.returncode == 2
    assert len({word.strip(",;") for word in refused.stderr.split() if "+" in word}) == 2
    run = server.begin("prepare/prepare", source="/nowhere")  # for the worker that started before the change
    log = server.folder / "data" / "server" / "logs" / "worker.log"
    seconds_until(lambda: "no runs are taken" in log.read_text(), 60)
    assert server.state(run) == "Scheduled"
    assert server.cra("up").returncode == 0
    seconds_until(lambda: server.state(run) == "Failed", 180)


def test_embedded_postgresql_serves_workers_reports_and_backups(sample: RepoPackage, short_path: Path) -> None:
    corpus = sample.directory.parent
    with server_runs(short_path, "--postgres", "embedded", CRA_CORPUS_DIR=str(corpus)) as server:
        asked = {"packages": [str(sample.directory)], "planners": ["gold"], "name": "first", "limit": 2}
        run = server.begin("campaign/campaign", **asked)
        seconds_until(lambda: server.state(run) in ("Completed", "Failed", "Crashed"), 240)
        assert server.state(run) == "Completed"

        lines = [line for line in server.cra("up").stdout.splitlines() if "_database = " in line]
        assert len(lines) == 2
        (short_path / "work" / "cra.toml").write_text("\n".join(lines) + "\n")
        report = json.loads(server.cra("report", "first", "--json").stdout)
        assert report["planners"]["gold"]["passed"] == 2
        word = (short_path / "data" / "server" / "pgpass").read_text().strip().rpartition(":")[2]
        assert not any(word in line for line in lines)

        backup = server.cra("backup", str(short_path / "backup"), "--json")
        copies = json.loads(backup.stdout)["copies"]
        assert [each["file"] for each in copies] == ["raw-curated.dump", "prefect.dump"]
        assert word not in backup.stdout
        _restore_elsewhere(server, short_path, word)


def _restore_elsewhere(server: ServerRuns, tmp_path: Path, word: str) -> None:
    """The dump of our databases, restored into a new database, holds the campaign."""
    from host.postgres import run_program
    from store.runs import open_raw_store
    from store.upkeep import create_databases, database_on

    url = f"postgresql://clean_room:{word}@/postgres?host={tmp_path / 'data' / 'server'}"
    create_databases(url, ["restored"])
    dump = next(path for path in (tmp_path / "backup").glob("*raw*.dump"))
    run_program("pg_restore", ["--no-owner", "-d", database_on(url, "restored"), str(dump)])
    assert open_raw_store(database_on(url, "restored")).report("first").planners["gold"].passed == 2


def test_a_backup_of_sqlite_opens_and_a_full_directory_is_refused(short_path: Path) -> None:
    server = ServerRuns(short_path)
    (short_path / "data").mkdir()
    from store.database import open_database

    for kind in ("raw", "curated"):
        open_database(short_path / "data" / f"{kind}.sqlite", kind).dispose()  # type: ignore[arg-type]
    assert server.cra("backup", str(short_path / "backup")).returncode == 0
    listed = json.loads((short_path / "backup" / "backup.json").read_text())
    assert [each["of"] for each in listed["copies"]] == ["raw", "curated"]
    for each in listed["copies"]:
        with sqlite3.connect(short_path / "backup" / each["file"]) as copy:
            assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    refused = server.cra("backup", str(short_path / "backup"))
    assert refused.returncode == 2
    assert "not empty" in refused.stderr

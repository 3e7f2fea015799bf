"""The engine that commands start is this process tree's alone: real servers, asked from outside."""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

START = """
import json, os, sys
from pathlib import Path
from cli.local_engine import use_local_engine
from models.errors import CleanRoomError
before = dict(os.environ)
try:
    use_local_engine(Path(sys.argv[1]))
except CleanRoomError as error:
    print(json.dumps({"error": str(error)}))
    sys.exit()
from prefect.settings import get_current_settings
from prefect.client.orchestration import get_client
settings = get_current_settings()
said = {"url": settings.api.url, "home": str(settings.home), "same": before == dict(os.environ),
        "serializer": settings.results.default_serializer,
        "database": settings.server.database.connection_url.get_secret_value()}
if len(sys.argv) > 2:
    from prefect.variables import Variable
    with get_client(sync_client=True) as client:
        said["runs"] = len(client.read_flow_runs())
        said["found"] = Variable.get("mine", default=None)
        Variable.set("mine", sys.argv[2], overwrite=True)
        api = str(client.api_url)
        said["api"] = api
        print(json.dumps(said), flush=True)
        sys.stdin.read()
else:
    print(json.dumps(said))
"""


def environment(home: Path, **variables: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CRA_", "PREFECT_"))}
    quiet = {"PREFECT_LOGGING_LEVEL": "CRITICAL", "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL"}
    wait = {"PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120"}
    return {**kept, **quiet, **wait, "HOME": str(home), "PYTHONPATH": str(Path(__file__).parents[2]), **variables}


def settings_of(tmp_path: Path, **variables: str) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-c", START, str(tmp_path / "data")],
        env=environment(tmp_path, **variables), cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    said: dict[str, object] = json.loads(done.stdout)
    return said


def status(url: str) -> int:
    request = urllib.request.Request(url + "variables/filter", b"{}", {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_two_data_directories_share_nothing_and_nobody_else_is_answered(tmp_path: Path) -> None:
    running, said = [], []
    try:
        for name in ("one", "two"):
            process = subprocess.Popen(
                [sys.executable, "-c", START, str(tmp_path / name), name],
                env=environment(tmp_path), cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
            running.append(process)
            assert process.stdout is not None
            said.append(json.loads(process.stdout.readline()))
        assert [each["runs"] for each in said] == [0, 0]
        assert [each["found"] for each in said] == [None, None]
        assert [status(each["api"]) for each in said] == [401, 401]
        assert said[0]["home"] != said[1]["home"]
    finally:
        for process in running:
            process.communicate(timeout=180)
    assert not (tmp_path / ".prefect").exists()


def test_a_server_that_the_user_names_is_used_with_the_users_own_settings(tmp_path: Path) -> None:
    said = settings_of(tmp_path, PREFECT_API_URL="http://127.0.0.1:9/api", PREFECT_HOME=str(tmp_path / "mine"))
    assert (said["url"], said["home"], said["same"]) == ("http://127.0.0.1:9/api", str(tmp_path / "mine"), True)
    assert not (tmp_path / "data" / "engine").exists()


def test_the_users_own_home_profile_and_database_are_not_ours(tmp_path: Path) -> None:
    (tmp_path / ".prefect").mkdir()
    profile = 'active = "x"\n[profiles.x]\nPREFECT_API_URL = "http://127.0.0.1:9/api"\n'
    (tmp_path / ".prefect" / "profiles.toml").write_text(profile)
    said = settings_of(
        tmp_path, PREFECT_PROFILE="x", PREFECT_SERVER_DATABASE_CONNECTION_URL="sqlite+aiosqlite:////nowhere/x.db"
    )
    home = tmp_path / "data" / "engine"
    assert said["url"] != "http://127.0.0.1:9/api"
    assert str(said["url"]).startswith("http://127.0.0.1:")
    assert (said["home"], said["serializer"]) == (str(home), "json")
    assert str(said["database"]).endswith(f"{home}/engine.db")
    assert [path.name for path in (tmp_path / ".prefect").iterdir()] == ["profiles.toml"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (".env", "PREFECT_API_URL=http://127.0.0.1:9/api\n"),
        ("prefect.toml", '[api]\nurl = "http://127.0.0.1:9/api"\n'),
        ("pyproject.toml", '[tool.prefect.api]\nurl = "http://127.0.0.1:9/api"\n'),
    ],
)
def test_a_file_of_a_strangers_checkout_names_no_server(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert "PREFECT_API_URL" in str(settings_of(tmp_path)["error"])


def test_a_full_disk_is_said_before_the_engine_would_wait_for_its_server(tmp_path: Path) -> None:
    if subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True).returncode:
        pytest.skip("no small file system can be mounted here")
    disk = tmp_path / "disk"
    disk.mkdir()
    command = 'mount -t tmpfs -o size=1m tmpfs "$1" && exec "$2" -c "$3" "$1/data"'
    argv = ["unshare", "--mount", "sh", "-c", command, "sh", str(disk), sys.executable, START]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    said = json.loads(done.stdout)["error"]
    assert str(disk / "data" / "engine") in said
    assert "CRA_DATA_DIR" in said

"""A server of `cra up` in directories of a test, and what it says of flow and task runs, asked over HTTP."""

import base64
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from tests.support.doubles import free_port

CRA = "import sys; sys.argv[0] = 'cra'; from cli.main import main; main()"
ROOT = Path(__file__).parents[2]


class ServerRuns:
    """One server with its directories, and the environment of commands that use it."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self.folder, self.port = folder, free_port()
        (folder / "work").mkdir()
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("CRA_", "PREFECT_"))}
        places = {"CRA_DATA_DIR": str(folder / "data"), "CRA_CACHE_DIR": str(folder / "cache"), "HOME": str(folder)}
        self.environment = {**kept, **places, "PYTHONPATH": str(ROOT), "COLUMNS": "200", **variables}

    def cra(self, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end."""
        return subprocess.run(
            [sys.executable, "-P", "-c", CRA, *arguments],
            env={**self.environment, **variables}, cwd=self.folder / "work", capture_output=True, text=True,
            check=False, timeout=400,
        )  # fmt: skip

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start a command."""
        return subprocess.Popen(
            [sys.executable, "-P", "-c", CRA, *arguments],
            env=self.environment, cwd=self.folder / "work", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def ask(self, path: str, **body: Any) -> Any:
        """The server's answer to a POST, or to a GET if there is no body.

        It is asked again while it says that its database is busy, as Prefect's own client does.
        """
        password = (self.folder / "data" / "server" / "password").read_text().strip()
        headers = {
            "Authorization": "Basic " + base64.b64encode(password.encode()).decode(),
            "Content-Type": "application/json",
        }
        data = json.dumps(body).encode() if body else None
        request = Request(f"http://127.0.0.1:{self.port}/api{path}", data, headers)
        deadline = time.monotonic() + 30
        while True:
            try:
                with urlopen(request, timeout=30) as answer:
                    return json.loads(answer.read())
            except HTTPError as error:
                if error.code != HTTPStatus.SERVICE_UNAVAILABLE or time.monotonic() > deadline:
                    raise
                time.sleep(0.5)

    def begin(self, deployment: str, **parameters: Any) -> str:
        """Start a deployment; the id of its flow run."""
        found = self.ask(f"/deployments/name/{deployment}")
        run = self.ask(
            f"/deployments/{found['id']}/create_flow_run", parameters=parameters, state={"type": "SCHEDULED"}
        )
        return str(run["id"])

    def state(self, flow_run: str) -> str:
        """Name of a flow run's state."""
        return str(self.ask(f"/flow_runs/{flow_run}")["state"]["name"])

    def unfinished(self) -> list[str]:
        """Names of flow and task runs that are said to be running or pending."""
        wanted = {"state": {"type": {"any_": ["RUNNING", "PENDING"]}}}
        flows = self.ask("/flow_runs/filter", flow_runs=wanted)
        tasks = self.ask("/task_runs/filter", task_runs=wanted)
        return [each["name"] for each in (*flows, *tasks)]

    def processes(self, mark: str) -> list[int]:
        """Ids of this server's processes with a text in their command line."""
        ours = f"CRA_DATA_DIR={self.folder / 'data'}".encode()
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if ours in (process / "environ").read_bytes().split(b"\0"):
                    line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    if mark in line:
                        found.append(int(process.name))
            except OSError:  # gone meanwhile
                continue
        return found

    def kill(self, mark: str) -> int:
        """Kill (-9) this server's processes with a text in their command line; how many there were."""
        found = self.processes(mark)
        for process in found:
            os.kill(process, signal.SIGKILL)
        return len(found)


def seconds_until(what: Callable[[], bool], most: float) -> float:
    """Seconds until something is so. Raises AssertionError when it takes more than `most`."""
    began = time.monotonic()
    while not what():
        assert time.monotonic() - began < most, f"not so within {most} s"
        time.sleep(0.5)
    return time.monotonic() - began


@contextmanager
def server_runs(folder: Path, *options: str, **variables: str) -> Iterator[ServerRuns]:
    """A server that was started by `cra up`, and ends by `cra down`."""
    runs = ServerRuns(folder, **variables)
    try:
        up = runs.cra("up", "--port", str(runs.port), *options)
        assert up.returncode == 0, up.stdout + up.stderr
        yield runs
    finally:
        down = runs.cra("down")
        assert down.returncode == 0, down.stdout + down.stderr
        assert runs.processes("") == []

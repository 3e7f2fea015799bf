"""What attacks on the engine are tried on: one real server, as a command starts it, and one real prompt path."""

import atexit
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

from benchmarks.attacks.base import NotHere

NOBODY = 65534
_START = """
import json, os, subprocess, sys
from pathlib import Path
from cli.engine_guard import start_guard
from cli import local_engine
start_guard()
local_engine.use_local_engine(Path(sys.argv[1]))
from prefect.client.orchestration import get_client
with get_client(sync_client=True) as client:
    client.read_flow_runs()
    children = subprocess.run(["env"], capture_output=True, text=True).stdout
    pid = local_engine._running.process.pid
    print(json.dumps({"url": str(client.api_url), "pid": pid, "child": children}), flush=True)
    sys.stdin.read()
"""

RUNNING = contextlib.ExitStack()
"""Ends the server when it is closed, with this process at the latest."""
atexit.register(RUNNING.close)


@dataclass(frozen=True)
class Engine:
    """A running server: its address, its process and that of the command, what a child of the command finds in its
    environment, its data directory and the home of the user who started it."""

    url: str
    pid: int
    command: int
    child: str
    data: Path
    user_home: Path

    @property
    def port(self) -> int:
        port = urlsplit(self.url).port
        assert port is not None
        return port

    @property
    def password(self) -> str:
        """The password, as root and the same user may find it."""
        variables = Path(f"/proc/{self.pid}/environ").read_bytes().split(b"\0")
        found = [each for each in variables if each.startswith(b"PREFECT_SERVER_API_AUTH_STRING=")]
        return found[0].partition(b"=")[2].decode()


@lru_cache(maxsize=1)
def engine() -> Engine:
    """The server, started at the first call and ended with RUNNING."""
    root = Path(tempfile.mkdtemp(prefix="cra-attacked-engine-"))
    root.chmod(0o755)
    (root / "home").mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "CRA_", "CLEAN_"))}
    quiet = {"PREFECT_LOGGING_LEVEL": "CRITICAL", "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL"}
    wait = {"PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120", "HOME": str(root / "home")}
    command = subprocess.Popen(
        [sys.executable, "-c", _START, str(root / "data")],
        env=kept | quiet | wait,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def end() -> None:
        assert command.stdin is not None
        command.stdin.close()
        command.wait(timeout=30)
        shutil.rmtree(root, ignore_errors=True)

    RUNNING.callback(end)
    assert command.stdout is not None
    said = json.loads(command.stdout.readline())
    return Engine(said["url"], said["pid"], command.pid, said["child"], root / "data", root / "home")


def as_nobody(*argv: str) -> "subprocess.CompletedProcess[str]":
    """Run a command as another user. Raises NotHere unless this is root."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        raise NotHere("only root can become another user, with setpriv")
    lower = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"]
    return subprocess.run([*lower, *argv], capture_output=True, text=True, timeout=30, cwd="/", check=False)


class _Recorder(BaseHTTPRequestHandler):
    asked: ClassVar[list[dict[str, Any]]] = []
    answer: ClassVar[str] = "{}"

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        self.send_error(404)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.path.endswith("/chat/completions"):
            self.send_error(404)
            return
        self.asked.append(body)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        choice = {"index": 0, "delta": {"content": self.answer}, "finish_reason": "stop"}
        chunk = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": "m", "choices": [choice]}
        self.wfile.write(f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n".encode())


@lru_cache(maxsize=1)
def model_server() -> str:
    """The address of an endpoint that records what it is asked and gives `answered` as its answer."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Recorder)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}/v1"


def asked() -> list[dict[str, Any]]:
    """What was asked of it."""
    return _Recorder.asked


def answered(text: str) -> None:
    """What it answers from now on."""
    _Recorder.answer = text

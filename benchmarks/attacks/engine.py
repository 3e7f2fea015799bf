"""Attacks on the engine's server, on what it stores, and on what separates a prompt's turns."""

import base64
import http.client
import json
import os
import stat
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.attacks._engine import as_nobody, engine
from benchmarks.attacks.base import Attack, GotThrough

_ASK = b"{}"
_REQUESTS = {
    "read other runs and their parameters": ("POST", "flow_runs/filter", _ASK),
    "count runs": ("POST", "flow_runs/count", _ASK),
    "read task runs": ("POST", "task_runs/filter", _ASK),
    "read logs": ("POST", "logs/filter", _ASK),
    "write logs": ("POST", "logs/", b"[]"),
    "read variables": ("POST", "variables/filter", _ASK),
    "make a variable": ("POST", "variables/", b'{"name": "x", "value": "y"}'),
    "make a flow": ("POST", "flows/", b'{"name": "x"}'),
    "read artifacts": ("POST", "artifacts/filter", _ASK),
    "read block documents": ("POST", "block_documents/filter", b'{"include_secrets": true}'),
    "make a concurrency limit": ("POST", "v2/concurrency_limits/", b'{"name": "x", "limit": 0}'),
    "read deployments": ("POST", "deployments/filter", _ASK),
    "make a work pool": ("POST", "work_pools/", b'{"name": "x", "type": "process"}'),
    "read automations": ("POST", "automations/filter", _ASK),
    "send an event": ("POST", "events", b"[]"),
    "read events": ("POST", "events/filter", _ASK),
    "read the settings": ("GET", "admin/settings", None),
    "empty the database": ("POST", "admin/database/clear", b'{"confirm": true}'),
    "get a form token": ("GET", "csrf-token?client=x", None),
    "read a variable named like the health check": ("GET", "variables/name/health", None),
    "post to the health check": ("POST", "health", _ASK),
    "go past the health check": ("GET", "health/../variables/name/x", None),
    "go past it in escapes": ("GET", "health/%2e%2e/flows/count", None),
    "double a slash": ("POST", "/flow_runs/filter", _ASK),
}
_PASSWORDS: dict[str, Callable[[str], str]] = {
    "an empty user and password": lambda _: _basic(":"),
    "the user alone": lambda real: _basic(real.partition(":")[0]),
    "all but the last character": lambda real: _basic(real[:-1]),
    "one character more": lambda real: _basic(real + "x"),
    "a NUL after it": lambda real: _basic(real + "\0"),
    "the other case": lambda real: _basic(real.swapcase()),
    "a bearer token": lambda real: f"Bearer {real}",
    "the password in the clear": lambda real: real,
    "no base64": lambda _: "Basic %%%%",
    "the scheme alone": lambda _: "Basic",
    "characters that are no ASCII": lambda _: _basic("crä:é"),
}


def attacks() -> list[Attack]:
    """The cases."""
    from benchmarks.attacks import _engine_prompts, _engine_sockets, _engine_stores

    mine: dict[str, Callable[[Path], str]] = {
        **{f"without the password: {name}": partial(_without, name) for name in _REQUESTS},
        **{f"with {name} for a password": partial(_with, name) for name in _PASSWORDS},
        "a page of another origin reads": _page_reads,
        "a page of no origin reads": partial(_page_reads, origin="null"),
        "a page asks whether it may": _page_asks,
        "from another address of this machine": _from_elsewhere,
        "another user reads the password off the list of processes": _command_lines,
        "another user reads the server's environment": _environment,
        "a child of the command inherits the password": _inherited,
        "the password lies in a file": _in_files,
        "another user reads the engine's database": _database_of_another,
        "the user's own engine is written to": _own_home,
    }
    rest = _engine_sockets.cases() | _engine_stores.cases() | _engine_prompts.cases()
    return [Attack("engine", name, run) for name, run in (mine | rest).items()]


def _basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


def _send(method: str, path: str, body: bytes | None, **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", engine().port, timeout=20)
    connection.request(method, f"/api/{path}", body, {"Content-Type": "application/json", **headers})
    return connection.getresponse()


def _refused(response: http.client.HTTPResponse) -> str:
    if response.status < 400:
        raise GotThrough(f"it answered {response.status}: {response.read()[:80]!r}")
    return f"refused with {response.status}"


def _without(name: str, scratch: Path) -> str:
    return _refused(_send(*_REQUESTS[name]))


def _with(name: str, scratch: Path) -> str:
    header = _PASSWORDS[name](engine().password)
    return _refused(_send("POST", "flow_runs/filter", _ASK, Authorization=header))


def _page_reads(scratch: Path, origin: str = "https://page.example") -> str:
    real = _basic(engine().password)
    for path in ("health", "admin/version"):  # even one whose user has told the browser the password
        response = _send("GET", path, None, Origin=origin, Authorization=real)
        if response.getheader("access-control-allow-origin") is not None:
            raise GotThrough(f"{path} lets {response.getheader('access-control-allow-origin')} read")
    return "no other origin is allowed"


def _page_asks(scratch: Path) -> str:
    asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    response = _send("OPTIONS", "variables/", None, Origin="https://page.example", **asks)
    if response.getheader("access-control-allow-origin") is not None:
        raise GotThrough("it may")
    return _refused(response)


def _from_elsewhere(scratch: Path) -> str:
    port = f"{engine().port:04X}"
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    listening = {row[1] for row in rows if row[3] == "0A" and row[1].endswith(f":{port}")}
    if listening != {f"0100007F:{port}"}:
        raise GotThrough(f"it listens on {listening}")
    return "it listens on 127.0.0.1 alone"


def _command_lines(scratch: Path) -> str:
    secret = engine().password.partition(":")[2].encode()
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if secret in process.read_bytes():
                raise GotThrough(f"{process} has it")
        except OSError:  # it has ended
            continue
    return "no command line has it"


def _environment(scratch: Path) -> str:
    for pid in (engine().pid, engine().command):
        if (done := as_nobody("cat", f"/proc/{pid}/environ")).returncode == 0 and "AUTH_STRING" in done.stdout:
            raise GotThrough(f"process {pid} shows it")
    return "the kernel shows it to its owner alone"


def _inherited(scratch: Path) -> str:
    if engine().password.partition(":")[2] in engine().child or "AUTH_STRING" in engine().child:
        raise GotThrough("it is in the environment of what the command starts")
    return "the command's environment no longer has it"


def _in_files(scratch: Path) -> str:
    secret = engine().password.partition(":")[2].encode()
    holders = [path for path in engine().data.rglob("*") if path.is_file() and secret in path.read_bytes()]
    if holders:
        raise GotThrough(f"{holders[0].name} has it")
    return "no file has it"


def _database_of_another(scratch: Path) -> str:
    data = engine().data
    wide = [path.name for path in [data, *data.rglob("*")] if stat.S_IMODE(path.stat().st_mode) & 0o077]
    if wide:
        raise GotThrough(f"{wide[0]} is open to others")
    if os.geteuid() == 0 and as_nobody("ls", str(data / "engine")).returncode == 0:
        raise GotThrough("another user lists the engine's home")
    return "only its owner may enter"


def _own_home(scratch: Path) -> str:
    engine()
    if (engine().user_home / ".prefect").exists():
        raise GotThrough(f"made {json.dumps([p.name for p in (engine().user_home / '.prefect').iterdir()])}")
    return "nothing was made in the user's home"

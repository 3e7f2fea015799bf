"""Settings of the engine's server that a command starts for itself: a password, a home per data directory, no CORS.

The server answers only clients with a password that is drawn for it. The password is held in the memory of the command
and in the environment of the server, which the kernel shows to the same user and to root alone. What the engine stores
lies under the data directory. A server that the user names by PREFECT_API_URL is used as it is.

The server is a process of its own that starts while the command imports the engine. The engine could start one itself,
but would import all of the server into the command for that, which takes twice as long as the engine does.
"""

import atexit
import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cli import engine_server
from host.air_gap import refuse_address
from host.offline import TELEMETRY
from host.private import private_directory, private_file
from models.errors import InfrastructureError, UsageError

if TYPE_CHECKING:
    import httpx

NAMED = "PREFECT_API_URL"
RECORDER_BATCHES = {
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "50",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "50",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": "50",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_READ_BATCH_SIZE": "50",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_FLUSH_INTERVAL": "1",
}
"""States of tasks are recorded in batches: a quarter of the CPU time per task (`benchmarks/recorder.py`)."""
RETENTION = {
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": str(90 * 86400),
    "PREFECT_SERVER_EVENTS_RETENTION_PERIOD": "P7D",  # unlike the one above it takes no seconds
}
"""What the engine keeps: ended runs for 90 days, events for 7. By itself it would keep runs for ever."""
_PASSWORDS = ("PREFECT_SERVER_API_AUTH_STRING", "PREFECT_API_AUTH_STRING")
_KEPT = (
    "PREFECT_LOGGING_",
    "PREFECT_SERVER_LOGGING_LEVEL",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS",
)
"""Prefixes of settings that the user may give the local engine; others would tie it to a server of the user's."""
_NO_ORIGIN = "https://none.invalid"
"""An origin that no page can have: the name is reserved never to be one. An empty list would mean all."""
_DATABASE = "engine.db"
_LEAST_FREE = 16 * 2**20
"""Bytes that the engine's database and its log need at least: with less its server fails to start, without a reason."""
_SERVER_ONLY = {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"}
"""Settings of a server that lives no longer than its command."""
_ANSWER_SECONDS = 10.0
"""How long a server may take to answer whether it is well; one that is starting is asked again."""
_STOP_SECONDS = 5.0


@dataclass(frozen=True)
class _Server:
    """A server that this process has started."""

    home: Path
    url: str
    process: "subprocess.Popen[bytes]"

    def stop(self) -> None:
        """End it; after a few seconds by force."""
        self.process.terminate()
        try:
            self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


_running: _Server | None = None
"""The server that this process uses, if it has started one."""


def engine_home(data_dir: Path) -> Path:
    """Directory of the engine's database, profiles and results for one data directory."""
    return data_dir.absolute() / "engine"


def server_settings(home: Path, password: str) -> dict[str, str]:
    """Settings, as environment variables, of a server in `home` and of its clients."""
    return {
        "PREFECT_HOME": str(home),
        "PREFECT_PROFILES_PATH": str(home / "profiles.toml"),
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{home / _DATABASE}",
        "PREFECT_RESULTS_LOCAL_STORAGE_PATH": str(home / "results"),
        "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",
        "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false",
        "PREFECT_SERVER_API_HOST": "127.0.0.1",
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": _NO_ORIGIN,
        "PREFECT_SERVER_CORS_ALLOWED_METHODS": "GET",
        "PREFECT_SERVER_CORS_ALLOWED_HEADERS": "accept",
        "PREFECT_SERVER_EPHEMERAL_ENABLED": "true",
        **RECORDER_BATCHES,
        **TELEMETRY,
        **RETENTION,
        **dict.fromkeys(_PASSWORDS, f"cra:{password}"),
    }


def use_local_engine(data_dir: Path) -> None:
    """Have this process start its own server when the engine needs one, unless the user names a server.

    The password leaves the environment once the engine has read it, so that no other child process has it. Raises
    UsageError if a file in the working directory names a server (it may come with a stranger's checkout), and
    InfrastructureError if the disk is all but full.
    """
    global _running
    if (named := _named()) is not None:
        refuse_address("the engine's server", named)
        return
    home = private_directory(engine_home(data_dir))
    if _running is not None and home == _running.home:
        return
    if (free := shutil.disk_usage(home).free) < _LEAST_FREE:
        raise InfrastructureError(
            f"{home} has {free / 2**20:.1f} MiB left, and the engine needs {_LEAST_FREE // 2**20}; "
            "free some space, or set CRA_DATA_DIR to another disk"
        )
    private_file(home / _DATABASE)  # its log and its index take its mode
    private_directory(home / "results")
    for name in [name for name in os.environ if name.startswith("PREFECT_") and not name.startswith(_KEPT)]:
        del os.environ[name]
    if _running is not None:
        atexit.unregister(_running.stop)
        _running.stop()
        _running = None
    os.environ |= server_settings(home, secrets.token_urlsafe(32))
    try:
        server = _start(home)
        atexit.register(server.stop)
        try:
            _read_settings(server.url)
        except UsageError:
            server.stop()
            raise
    finally:
        for name in (*_PASSWORDS, NAMED):
            os.environ.pop(name, None)
    _running = server


def _start(home: Path) -> _Server:
    """Start a server with the environment's settings. It may import for some seconds before it answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        process = subprocess.Popen(
            [sys.executable, "-P", engine_server.__file__, str(listening.fileno())],
            pass_fds=[listening.fileno()],
            stdin=subprocess.DEVNULL,
            cwd=home,  # it reads settings from files where it starts
            env={**os.environ, **_SERVER_ONLY},
        )
        return _Server(home, f"http://127.0.0.1:{listening.getsockname()[1]}/api", process)


def _named() -> str | None:
    """The server of the user's that the environment, or settings that the engine has read already, name."""
    if os.environ.get(NAMED):
        return os.environ[NAMED]
    if "prefect" not in sys.modules:
        return None
    from prefect.settings import get_current_settings

    url = get_current_settings().api.url
    return url if url and (_running is None or url != _running.url) else None


def _read_settings(url: str) -> None:
    """Let the engine read its settings, again if it has before, and then use the server at `url`.

    Raises UsageError if a file in the working directory names another one.
    """
    known = "prefect" in sys.modules
    previous = os.umask(0o077)  # it makes files while it is imported
    try:
        import prefect.context

        if known:
            prefect.context.refresh_global_settings_context()
        if other := prefect.context.get_settings_context().settings.api.url:
            raise UsageError(
                f"a file in this directory (prefect.toml, .env or pyproject.toml) names the server {other}; "
                f"name it by {NAMED} if you want it, or remove that line"
            )
        os.environ[NAMED] = url
        prefect.context.refresh_global_settings_context()
    finally:
        os.umask(previous)


def wait_for_engine() -> None:
    """Wait until the server answers: this process's own, or the one that the user names.

    Raises InfrastructureError if its process ends or does not answer in time; a server of the user's is asked once.
    """
    import httpx
    from prefect.client.orchestration import get_client
    from prefect.settings import get_current_settings

    settings = get_current_settings()
    url = str(settings.api.url)
    own = _running if _running is not None and _running.url == url else None
    until = time.monotonic() + settings.server.ephemeral.startup_timeout_seconds
    with contextlib.closing(get_client(sync_client=True)._client) as client:
        while True:
            try:
                request = client.build_request("GET", "/health", timeout=_ANSWER_SECONDS)
                answer = httpx.Client.send(client, request)  # once: the engine's own client tries for a minute
                answer.raise_for_status()
                return
            except httpx.HTTPError as error:
                fault = _fault(error)
                if own is None:
                    raise InfrastructureError(
                        f"the server that {NAMED} names, {_shown(url)}, {fault}; start it or correct the URL and its "
                        f"password, or unset {NAMED} for a server of this command's own"
                    ) from None  # the error may hold a password
            if own.process.poll() is not None or time.monotonic() > until:
                raise InfrastructureError(
                    f"the engine's server in {own.home} {_end(own, fault)}; the same command with "
                    f"PREFECT_SERVER_LOGGING_LEVEL=INFO says why, and with {own.home / _DATABASE} moved away it begins "
                    "with an empty database, which holds none of our results"
                )
            time.sleep(0.1)


def _end(server: _Server, fault: str) -> str:
    status = server.process.poll()
    return fault if status is None else f"ended with status {status} before it answered"


def _fault(error: "httpx.HTTPError") -> str:
    import httpx

    if isinstance(error, httpx.HTTPStatusError):
        return f"answers {error.response.status_code} {error.response.reason_phrase}"
    return f"does not answer ({type(error).__name__})"


def _shown(url: str) -> str:
    """A URL without user, password and query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}{parts.path}"

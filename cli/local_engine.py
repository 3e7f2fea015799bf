"""Settings of the engine's server that a command starts for itself: a password, a home per data directory, no CORS.

The server answers only clients with a password that is drawn for it. The password is held in the memory of the command
and in the environment of the server, which the kernel shows to the same user and to root alone. What the engine stores
lies under the data directory. A server that the user names by PREFECT_API_URL is used as it is.
"""

import os
import secrets
import shutil
import sys
from pathlib import Path

from host.private import private_directory, private_file
from models.errors import InfrastructureError, UsageError

NAMED = "PREFECT_API_URL"
_PASSWORDS = ("PREFECT_SERVER_API_AUTH_STRING", "PREFECT_API_AUTH_STRING")
_KEPT = (
    "PREFECT_LOGGING_",
    "PREFECT_SERVER_LOGGING_LEVEL",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS",
    "PREFECT_SERVER_ANALYTICS_ENABLED",
)
"""Prefixes of settings that the user may give the local engine; others would tie it to a server of the user's."""
_NO_ORIGIN = "https://none.invalid"
"""An origin that no page can have: the name is reserved never to be one. An empty list would mean all."""
_DATABASE = "engine.db"
_LEAST_FREE = 16 * 2**20
"""Bytes that the engine's database and its log need at least: with less its server fails to start, without a reason."""
_home_in_use: Path | None = None
"""Home of the engine that this process uses."""


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
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_EPHEMERAL_ENABLED": "true",
        **dict.fromkeys(_PASSWORDS, f"cra:{password}"),
    }


def use_local_engine(data_dir: Path) -> None:
    """Have this process start its own server when the engine needs one, unless the user names a server.

    The password leaves the environment once the engine has read it, so that no other child process has it. Raises
    UsageError if a file in the working directory names a server (it may come with a stranger's checkout), and
    InfrastructureError if the disk is all but full.
    """
    global _home_in_use
    if _is_named():
        return
    home = private_directory(engine_home(data_dir))
    if home == _home_in_use:
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
    os.environ |= server_settings(home, secrets.token_urlsafe(32))
    try:
        _read_settings(change=_home_in_use is not None, known="prefect" in sys.modules)
    finally:
        for name in _PASSWORDS:
            os.environ.pop(name, None)
    _home_in_use = home


def _is_named() -> bool:
    """Whether the environment, or settings that the engine has read already, name a server to use."""
    if os.environ.get(NAMED):
        return True
    if "prefect" not in sys.modules:
        return False
    from prefect.settings import get_current_settings

    return bool(get_current_settings().api.url)


def _read_settings(*, change: bool, known: bool) -> None:
    """Let the engine read its settings, again if it is `known` already; at a `change` its earlier server is ended."""
    previous = os.umask(0o077)  # it makes files while it is imported
    try:
        import prefect.context
        from prefect.server.api.server import SubprocessASGIServer

        if change:
            for server in list(SubprocessASGIServer._instances.values()):  # it offers no other way to name them
                server.stop()
        if known:
            prefect.context.refresh_global_settings_context()
    finally:
        os.umask(previous)
    if url := prefect.context.get_settings_context().settings.api.url:
        raise UsageError(
            f"a file in this directory (prefect.toml, .env or pyproject.toml) names the server {url}; "
            f"name it by {NAMED} if you want it, or remove that line"
        )

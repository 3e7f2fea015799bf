"""Environment variables that keep the libraries and programs in use from connecting to anyone by themselves.

Each is read when its library is imported or its program starts, so they are set at the start of every process.
"""

import os
from collections.abc import Mapping

TELEMETRY = {
    "DO_NOT_TRACK": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    "HF_HUB_OFFLINE": "1",
    "NPM_CONFIG_AUDIT": "false",
    "NPM_CONFIG_FUND": "false",
    "NPM_CONFIG_UPDATE_NOTIFIER": "false",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "TRANSFORMERS_OFFLINE": "1",
    "UNSLOTH_DISABLE_STATISTICS": "1",
    "VLLM_NO_USAGE_STATS": "1",
}
"""No telemetry, no checks for updates, no look-ups on a model hub: all files of models are local. Set always."""

_NO_NETWORK = {
    "GIT_ALLOW_PROTOCOL": "file",
    "GIT_NO_LAZY_FETCH": "1",
    "NPM_CONFIG_OFFLINE": "true",
    "PIP_NO_INDEX": "1",
    "UV_NO_CONFIG": "1",
    "UV_OFFLINE": "1",
    "UV_PYTHON_DOWNLOADS": "never",
}
_PROXIES = frozenset({"all_proxy", "ftp_proxy", "http_proxy", "https_proxy"})


def offline_environment(*, air_gapped: bool) -> dict[str, str]:
    """The variables of a process: those against telemetry, and in air-gapped mode those that end downloads as well."""
    return {**TELEMETRY, **_NO_NETWORK} if air_gapped else dict(TELEMETRY)


def contradictions(environment: Mapping[str, str]) -> list[str]:
    """The variables of an environment that contradict air-gapped mode, by name: proxies, and switches set otherwise."""
    wanted = offline_environment(air_gapped=True)
    otherwise = {name for name, value in environment.items() if value.lower() != wanted.get(name, value).lower()}
    return sorted(otherwise | _proxies(environment))


def disable_telemetry() -> None:
    """Set the variables against telemetry in this process and all that it starts, unless the user has set them."""
    for name, value in TELEMETRY.items():
        os.environ.setdefault(name, value)


def shut_off() -> None:
    """Set all variables of air-gapped mode in this process and all that it starts, whatever they were, and unset
    proxies: one on this machine would carry requests to anywhere."""
    for name in _proxies(os.environ):
        del os.environ[name]
    os.environ.update(offline_environment(air_gapped=True))


def _proxies(environment: Mapping[str, str]) -> set[str]:
    return {name for name, value in environment.items() if name.lower() in _PROXIES and value}

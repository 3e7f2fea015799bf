"""vLLM's double as a process, started where a test wants it."""

import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from llm.serving.commands import AdapterSpec, ListenAddress, ServerLaunch, vllm
from llm.serving.process import ServerProcess
from llm.serving.server import VllmServer
from models.serving_settings import ServingSettings

DOUBLE = Path(__file__).parent / "vllm_double"
Start = Callable[..., tuple[ServerProcess, VllmServer]]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def plan(
    folder: Path, misbehaving: str = "", place: ListenAddress | None = None, wanted: tuple[AdapterSpec, ...] = ()
) -> ServerLaunch:
    environment = {"PYTHONPATH": str(DOUBLE), "DOUBLE": misbehaving}
    settings = ServingSettings(python=sys.executable, environment=environment, window=2048)
    return vllm(
        settings, "base", folder, wanted, [each.rank for each in wanted], place or ListenAddress(port=free_port())
    )


@contextmanager
def doubles(folder: Path) -> Iterator[Start]:
    """What starts doubles; all are stopped in the end."""
    started: list[ServerProcess] = []

    def begin(misbehaving: str = "", *, timeout: float = 20.0, **given: object) -> tuple[ServerProcess, VllmServer]:
        launch = plan(folder, misbehaving)
        settings: dict[str, object] = {"startup": 60.0, "pause": 0.1} | given
        process = ServerProcess(launch, folder / "log" / "server.log", **settings)  # type: ignore[arg-type]
        started.append(process)
        process.start()
        return process, VllmServer(launch.place, "base", timeout=timeout)

    try:
        yield begin
    finally:
        for process in started:
            process.stop()

"""`cra serve`: the base with every active adapter, on a server that is kept up to date until Ctrl-C."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from typing import Annotated, Any

import typer

from cli.options import JsonOption
from cli.output import console, errors, print_json, table
from host.process import run
from host.settings import load_settings
from llm.serving.commands import ListenAddress, ServerLaunch
from llm.serving.process import ServerProcess
from llm.serving.server import LlamaServer, VllmServer
from llm.serving.supervisor import ServerSupervisor
from store.database import open_database
from training.adapters.export.serving import Serving, ServingBackend, router_view
from training.adapters.export.sources import choose_base


def serve(
    backend: Annotated[ServingBackend, typer.Option("--backend", help="vllm, llama or ollama.")] = "vllm",
    base: Annotated[str | None, typer.Option("--base", help="Which base; that of the active adapters.")] = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Port to listen on.")] = 8000,
    open_to_network: Annotated[
        bool, typer.Option("--open-to-network", help="Yes, others may reach --host; needs --api-key-env.")
    ] = False,
    api_key_env: Annotated[
        str | None, typer.Option("--api-key-env", metavar="NAME", help="Environment variable with the API key.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be run, and stop.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Serve a base with every active adapter, and follow promotions and rollbacks while it runs. Ctrl-C ends it."""
    settings = load_settings()
    place = ListenAddress(host, port, api_key_env).checked(open_to_network)
    curated = open_database(settings.curated_url, "curated")
    serving = Serving(curated, settings, choose_base(curated, settings.data_dir, base), backend)
    if dry_run:
        _show(serving, serving.launch(place, ready=False), None, as_json)
        if backend == "ollama":
            errors.print("`cra serve` writes the files that these commands name before it runs them", markup=False)
        return
    launch = serving.launch(place)
    with _stop_event() as stop:
        if backend == "ollama":
            _run_ollama(serving, launch, stop, as_json)
            return
        supervisor = _supervisor(serving, launch, place, lambda line: errors.print(line, markup=False, soft_wrap=True))
        try:
            supervisor.bring_up()
            _show(serving, launch, supervisor, as_json)
            if not as_json:
                console.print(_hint(serving, place), markup=False, soft_wrap=True)
            supervisor.keep(stop)
        finally:
            supervisor.close()


def _supervisor(serving: Serving, launch: ServerLaunch, place: ListenAddress, report: Any) -> ServerSupervisor:
    settings = serving.settings
    log = settings.cache_dir / "serving" / f"{serving.backend}-{place.port}.log"
    process = ServerProcess(
        launch, log, startup=settings.serving.startup, restarts=settings.serving.restarts, report=report
    )
    report(f"starting {serving.backend} with {serving.base.name}; its log is {log}")

    def relaunch() -> ServerLaunch:
        return serving.launch(place)

    kind = VllmServer if serving.backend == "vllm" else LlamaServer
    return ServerSupervisor(process, kind(place, serving.base.name), serving.wanted, report, relaunch)


def _run_ollama(serving: Serving, launch: ServerLaunch, stop: Event, as_json: bool) -> None:
    """Ollama is started and given its models; what it answers is not probed: it gives no log-probabilities."""
    settings = serving.settings
    process = ServerProcess(launch, settings.cache_dir / "serving" / "ollama.log", startup=settings.serving.startup)
    process.start()
    try:
        for command in launch.then:
            errors.print(" ".join(command), markup=False, soft_wrap=True)
            run(command, env=launch.env)
        _show(serving, launch, None, as_json)
        while not stop.wait(1.0):
            process.ensure()
    finally:
        process.stop()


@contextmanager
def _stop_event() -> Iterator[Event]:
    """An event that Ctrl-C and SIGTERM set; a second Ctrl-C is an interrupt as ever."""
    stop = Event()

    def stopped(number: int, frame: Any) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        raise _Stopped

    before = {number: signal.signal(number, stopped) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    except _Stopped:
        pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Stopped(BaseException):
    """Raised by the signal handler to end what the main thread waits for."""


def _show(serving: Serving, launch: ServerLaunch, supervisor: ServerSupervisor | None, as_json: bool) -> None:
    """The router's view: the model of each stage, and whether it is up."""
    rows = []
    for stage, served in router_view(serving.active()):
        up = "planned" if supervisor is None else "serving" if served is None else supervisor.state(served)
        rows.append({"stage": stage, "served": served or serving.base.name, "adapter": served is not None, "state": up})
    if as_json:
        print_json(
            {
                "url": f"{launch.place.root}/v1",
                "backend": serving.backend,
                "base": serving.base.name,
                "commands": launch.shown(),
                "stages": rows,
            }
        )
        return
    for line in launch.shown():
        console.print(line, markup=False, soft_wrap=True)
    cells = [(row["stage"], row["served"], "adapter" if row["adapter"] else "base", row["state"]) for row in rows]
    table(f"{launch.place.root}/v1", ["stage", "served as", "", "state"], cells)


def _hint(serving: Serving, place: ListenAddress) -> str:
    return (
        f'cra.toml: [models.endpoints.NAME] url = "{place.root}/v1", model = "{serving.base.name}", '
        f'base = "{serving.base.name}" follows its promotions; Ctrl-C ends it'
    )

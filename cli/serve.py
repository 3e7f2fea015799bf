"""`cra serve`: the base with every active adapter, on a server that is kept up to date until Ctrl-C."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from threading import Event

    from llm.serving.commands import ListenAddress, ServerLaunch
    from llm.serving.supervisor import ServerSupervisor
    from training.adapters.export.serving import Serving

_BACKENDS = ("vllm", "llama", "ollama")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(serve)


def serve(
    backend: Annotated[str, typer.Option("--backend", help="vllm, llama or ollama.")] = "vllm",
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
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Serve a base with every active adapter, and follow promotions and rollbacks while it runs. Ctrl-C ends it."""
    from cli.output import console, errors
    from host.settings import load_settings
    from llm.serving.commands import ListenAddress
    from models.errors import UsageError
    from store.database import open_database
    from training.adapters.export.serving import Serving
    from training.adapters.export.sources import choose_base

    if backend not in _BACKENDS:
        raise UsageError(f"--backend {backend}: there are {', '.join(_BACKENDS)}")
    settings = load_settings()
    place = ListenAddress(host, port, api_key_env).checked(open_to_network)
    curated = open_database(settings.curated_url, "curated")
    serving = Serving(curated, settings, choose_base(curated, settings.data_dir, base), backend)  # type: ignore[arg-type]
    if dry_run:
        _show(serving, serving.launch(place, ready=False), None, as_json)
        if backend == "ollama":
            errors.print("`cra serve` writes the files that these commands name before it runs them", markup=False)
        return
    launch = serving.launch(place)
    with _told_to_stop() as stop:
        if backend == "ollama":
            _run_ollama(serving, launch, stop, as_json)
            return
        keeper = _keeper(serving, launch, place, lambda line: errors.print(line, markup=False, soft_wrap=True))
        try:
            keeper.bring_up()
            _show(serving, launch, keeper, as_json)
            if not as_json:
                console.print(_hint(serving, place), markup=False, soft_wrap=True)
            keeper.keep(stop)
        finally:
            keeper.close()


def _keeper(serving: "Serving", launch: "ServerLaunch", place: "ListenAddress", report: Any) -> "ServerSupervisor":
    from llm.serving.process import ServerProcess
    from llm.serving.server import LlamaServer, VllmServer
    from llm.serving.supervisor import ServerSupervisor

    settings = serving.settings
    log = settings.cache_dir / "serving" / f"{serving.backend}-{place.port}.log"
    process = ServerProcess(
        launch, log, startup=settings.serving.startup, restarts=settings.serving.restarts, report=report
    )
    report(f"starting {serving.backend} with {serving.base.name}; its log is {log}")

    def relaunch() -> "ServerLaunch":
        return serving.launch(place)

    kind = VllmServer if serving.backend == "vllm" else LlamaServer
    return ServerSupervisor(process, kind(place, serving.base.name), serving.wanted, report, relaunch)


def _run_ollama(serving: "Serving", launch: "ServerLaunch", stop: "Event", as_json: bool) -> None:
    """Ollama is started and given its models; what it answers is not probed: it gives no log-probabilities."""
    from cli.output import errors
    from host.process import run
    from llm.serving.process import ServerProcess

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
def _told_to_stop() -> "Iterator[Event]":
    """An event that Ctrl-C and SIGTERM set; a second Ctrl-C is an interrupt as ever."""
    import signal
    from threading import Event

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
    """Unwinds whatever is being waited for."""


def _show(serving: "Serving", launch: "ServerLaunch", keeper: "ServerSupervisor | None", as_json: bool) -> None:
    """The router's view: which stage is answered by whom, and whether that is up."""
    from cli.output import console, print_json, table
    from training.adapters.export.serving import router_view

    rows = []
    for stage, served in router_view(serving.active()):
        up = "planned" if keeper is None else "serving" if served is None else keeper.state(served)
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


def _hint(serving: "Serving", place: "ListenAddress") -> str:
    return (
        f'cra.toml: [models.endpoints.NAME] url = "{place.root}/v1", model = "{serving.base.name}", '
        f'base = "{serving.base.name}" follows its promotions; Ctrl-C ends it'
    )

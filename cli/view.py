"""`cra view`: a campaign's trajectories in a browser."""

import os
import sys
from typing import Annotated

import typer

from cli.export import export_progress
from cli.output import console, counted, errors
from cli.stopping import stop_at_once
from exchange.inspect_export import cached_site, viewer_version
from host.settings import load_settings
from store.runs import open_raw_store


def view(
    name: Annotated[str, typer.Argument(metavar="CAMPAIGN", help="A campaign's label.")],
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port on 127.0.0.1; 0 takes a free one.")] = 0,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the address, and open nothing.")] = False,
) -> None:
    """Show a campaign's trajectories in a browser: outcomes, stage at fault, prompts, answers, edits, test runs.

    Needs the extra `viewer` (`uv sync --inexact --extra viewer`). The page is served on 127.0.0.1 only, under an
    address that cannot be guessed, until Ctrl-C. It is made anew when the campaign has gone on since.
    """
    from exchange.site_server import serve_site

    stop_at_once()
    viewer_version()
    settings = load_settings()
    store = open_raw_store(settings.raw_url)
    groups = store.export_groups(name)
    with export_progress(sum(group.begun for group in groups)) as progress:
        site, made = cached_site(store, name, settings.cache_dir, progress)
    if not made:
        errors.print("nothing was stored since this was shown before", style="dim")
    waiting = sum(group.total - group.begun for group in groups)
    if waiting:
        errors.print(f"{counted(waiting, 'trajectory', 'trajectories')} not begun, left out", style="yellow")

    def ready(url: str) -> None:
        console.print(url, soft_wrap=True, markup=False)
        errors.print("Ctrl-C ends it", style="dim")
        if not no_browser and _has_display():
            import webbrowser

            webbrowser.open(url)

    serve_site(site, port, ready)


def _has_display() -> bool:
    """Whether a browser has a window to open; on a terminal alone it would be one in the terminal."""
    return sys.platform == "darwin" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))

"""`cra`: one command group per module. Nothing heavy is imported before a command runs."""

import os
import sys
from typing import Annotated

import typer

from cli import (
    adapters,
    bases,
    campaign,
    config,
    corpus,
    curate,
    demo,
    eval_sets,
    evaluate,
    exchange,
    export,
    index,
    learn,
    mine,
    models,
    retrieve,
    sandbox,
    score,
    serve,
    solve,
    supplement,
    validate,
)
from models.errors import CleanRoomError

app = typer.Typer(
    name="cra",
    help="A self-improving coding agent for small local models, judged by real commits and their own tests.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in (
    demo,
    mine,
    corpus,
    supplement,
    campaign,
    index,
    retrieve,
    solve,
    exchange,
    score,
    curate,
    learn,
    evaluate,
    export,
    serve,
    validate,
):
    module.register(app)
app.add_typer(sandbox.app, name="sandbox")
app.add_typer(config.app, name="config")
app.add_typer(models.app, name="models")
app.add_typer(bases.app, name="bases")
app.add_typer(adapters.app, name="adapters")
app.add_typer(eval_sets.app, name="eval-sets")


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(version("clean-room-agent"))
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    # The engine is quiet and keeps to itself unless the user says otherwise.
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")
    os.environ.setdefault("PREFECT_SERVER_LOGGING_LEVEL", "CRITICAL")  # it may be ended in the middle of a write
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    os.environ.setdefault("DO_NOT_TRACK", "1")
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")


def main() -> None:
    """Entry point: errors of ours end in one line and their exit code; anything else is a bug with its traceback."""
    try:
        app()
    except CleanRoomError as error:
        from rich.console import Console
        from rich.text import Text

        Console(stderr=True).print(Text.assemble(("error: ", "bold red"), str(error)), soft_wrap=True)
        sys.exit(error.exit_code)

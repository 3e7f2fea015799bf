"""`cra config`: what is set, and where it was set."""

import typer

from cli.options import JsonOption
from cli.output import print_json, table
from host.settings import load_settings, settings_with_sources
from store.database import without_password

app = typer.Typer(help="Settings and where they come from.", no_args_is_help=True)


@app.command()
def show(as_json: JsonOption = False) -> None:
    """Print every setting, its value and its source."""
    rows = settings_with_sources(load_settings())
    if as_json:
        print_json(
            {
                name: {"value": without_password(value) if isinstance(value, str) else value, "source": source}
                for name, value, source in rows
            }
        )
        return
    table(
        "Settings",
        ["setting", "value", "source"],
        [(name, without_password(str(value)), source) for name, value, source in rows],
    )

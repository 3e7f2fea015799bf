"""`cra models`: the models that are set, and whether they can be asked."""

import typer

from cli.adapters import unused_warning
from cli.options import JsonOption
from cli.output import errors, print_json, table
from host.settings import load_settings
from llm.check import EndpointReport, key_state
from llm.check import check as check_models
from store.active_adapters import Aliases

app = typer.Typer(help="The models that answer, and where they are served.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """The models that answer, and where they are served."""


@app.command()
def check(as_json: JsonOption = False) -> None:
    """Ask every endpoint one short question: is it there, which window, which adapters, JSON schema or not.

    Exits with 1 if an endpoint that a role or a teacher uses cannot be used as it is set.
    """
    settings = load_settings()
    aliases = Aliases(settings.curated_url)
    reports = check_models(settings.models, aliases)
    if as_json:
        print_json([report.model_dump(mode="json") | {"usable": report.usable} for report in reports])
    else:
        rows = [_column(report) for report in reports]
        names = list(rows[0])
        table(
            "Models",
            ["", *(report.endpoint for report in reports)],
            [[name, *(row[name] for row in rows)] for name in names],
        )
        for report in reports:
            if report.fault:
                errors.print(report.fault, style="red", markup=False, soft_wrap=True)
        for alias in sorted(set(aliases.table().values())):
            if said := unused_warning(alias.served, alias.target, alias.base, alias.base_name):
                errors.print(said, style="yellow", markup=False, soft_wrap=True)
    if any(report.uses and not report.usable for report in reports):
        raise typer.Exit(1)


def _column(report: EndpointReport) -> dict[str, str]:
    """What is shown of an endpoint, by the name of its row."""
    listed = {True: "listed", False: "not in the server's list", None: "the server has no list"}[report.listed]
    key = key_state(report.key_variable)
    asked = report.tokenizer is not None
    exact = "exact" if report.exact else "on the high side"
    return {
        "answers": ", ".join(report.uses) or "nothing",
        "url": report.url,
        "reachable": "yes" if report.reachable else "no",
        "model": f"{report.model} ({listed})" if asked else report.model,
        "window": "" if report.window is None else f"{report.window} ({report.window_from})",
        "adapters": ", ".join(report.adapters) or "none",
        "stages with an adapter": "\n".join(f"{stage}: {name}" for stage, name in report.stages.items()) or "none",
        "JSON schema": report.json_schema,
        "tokens": "" if report.tokenizer is None else f"{report.tokenizer} ({exact})",
        "key": f"{key}: refused" if report.key_refused else key,
        "usable": "yes" if report.usable else "NO",
    }

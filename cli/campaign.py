"""`cra campaign`, `cra report`, `cra trace`: planners over instances, and what came of it."""

from pathlib import Path
from typing import Annotated

import typer

from cli.corpus import SandboxOption


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(campaign)
    app.command()(report)
    app.command()(trace)


def campaign(
    packages: Annotated[list[Path], typer.Argument(metavar="PACKAGE...", help="Repo packages.")],
    planner: Annotated[
        list[str], typer.Option("--planner", help="gold, null, teacher, student or no-plan; repeat for several.")
    ],
    name: Annotated[
        str | None, typer.Option("--name", help="A label for reports; made from the packages if unset.")
    ] = None,
    temperatures: Annotated[
        str, typer.Option(help="Temperatures of models, as in 0.3,0.6,0.9; gold and null run once, at 0.")
    ] = "0",
    samples: Annotated[int, typer.Option(help="Samples per instance, planner and temperature.", min=1)] = 1,
    limit: Annotated[int | None, typer.Option(help="Instances per package, newest first; all if unset.", min=1)] = None,
    max_cost: Annotated[
        float | None, typer.Option(help="Stop before this run's calls cost more, by the settings' price tables.", min=0)
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option(help="Stop before this run's calls take more tokens.", min=0)
    ] = None,
    step_tests: Annotated[
        str, typer.Option(help="Run affected tests after each step: on, off, or auto: for models only.")
    ] = "auto",
    edit_format: Annotated[
        str | None, typer.Option(help="search-replace or whole-symbol; as the model's endpoint is set if unset.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask, whatever the campaign may cost.")] = False,
    sandbox: SandboxOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Run planners over the valid instances of repo packages and judge each by the repository's own tests.

    Finished trajectories are never run again: stopped in the middle, the same command goes on where it was. Exits with
    1 when trajectories have no verdict: a fault of this machine, an environment or a provider, or a cap that was
    reached.
    """
    from cli.output import print_json
    from cli.reporting import print_report, unfinished
    from cli.running import run_campaign
    from models.campaign_settings import Grid

    grid = Grid(planners=tuple(planner), temperatures=numbers(temperatures), samples=samples, limit=limit)
    result = run_campaign(
        [p.resolve() for p in packages],
        grid,
        name or "-".join(path.resolve().name for path in packages),
        edit_format=edit_format,
        sandbox=sandbox,
        step_tests=step_tests,
        max_cost=max_cost,
        max_tokens=max_tokens,
        unasked=yes,
    )
    if as_json:
        print_json(result)
    else:
        print_report(result)
    if unfinished(result):
        raise typer.Exit(1)


def numbers(text: str) -> tuple[float, ...]:
    """The temperatures of an option. Raises UsageError."""
    from models.errors import UsageError

    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"--temperatures {text}: give numbers with commas between them, as in 0.3,0.6,0.9") from error


def report(
    name: Annotated[str, typer.Argument(help="A campaign's label.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    limit: Annotated[int, typer.Option(help="Trajectories to list.", min=0)] = 20,
) -> None:
    """Show what came of a campaign: outcomes, pass rates with intervals, calls and cost by stage, who was at fault."""
    from cli.output import print_json, table
    from cli.reporting import print_report
    from evals.quality import qualities
    from host.settings import load_settings
    from store.runs import open_raw_store

    store = open_raw_store(load_settings().raw_url)
    result = store.report(name)
    figures = qualities(store.usage(name))
    lines = store.trajectories(name, limit)
    if as_json:
        print_json(
            {
                **result.model_dump(mode="json"),
                "quality": {each.planner: each.model_dump(mode="json") for each in figures},
                "trajectories": [line.model_dump(mode="json") for line in lines],
            }
        )
        return
    print_report(result, figures)
    table(
        f"Trajectories, those that did not pass first ({len(lines)})",
        ["id", "instance", "planner", "outcome", "detail"],
        [(x.id[:12], x.instance, x.planner, x.outcome or "open", _short(x.detail)) for x in lines],
    )


def trace(
    trajectory: Annotated[str, typer.Argument(metavar="TRAJECTORY_ID", help="Its id, or the first characters.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    full: Annotated[bool, typer.Option("--full", help="Print texts whole.")] = False,
    stage: Annotated[
        str | None,
        typer.Option(help="Only this stage, as in scope or meta_plan: exact prompts, raw answers, what they led to."),
    ] = None,
) -> None:
    """Show every decision, plan, edit and test run behind one outcome."""
    from cli.output import print_json
    from cli.tracing import of_stage, print_stage, print_trace
    from host.settings import load_settings
    from store.runs import open_raw_store

    result = open_raw_store(load_settings().raw_url).trace(trajectory, prompts=stage is not None)
    if stage is not None:
        result = of_stage(result, stage)
    if as_json:
        print_json(result)
    elif stage is not None:
        print_stage(result)
    else:
        print_trace(result, full=full)


def _short(detail: str, most: int = 120) -> str:
    return detail if len(detail) <= most else detail[: most - 1] + "…"

"""`cra campaign`: planners over instances, judged by the instances' tests."""

import sys
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import typer
from pydantic_core import to_jsonable_python

from cli.flow_context import flow_context
from cli.options import SandboxOption, parse_temperatures
from cli.output import console, errors, print_json
from cli.progress import stages
from cli.report import print_report, unfinished
from cli.server.connection import server_client_settings
from harness.packages.package import RepoPackage, read_package
from harness.planners.registry import check_planners
from harness.runs.campaign_context import open_campaign_context
from harness.runs.campaigns import Estimate, campaign_config, estimate
from harness.runs.remaining import open_planners
from host.settings import load_settings
from models.campaign_settings import Grid, StepTestMode
from models.edits import EditFormat
from models.errors import UsageError
from models.plans import Frozen
from store.runs import CampaignReport, RawStore, campaign_key, open_raw_store
from tasks.runtime import open_runtime


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
        StepTestMode, typer.Option(help="Run affected tests after each step: on, off, or auto: for models only.")
    ] = StepTestMode.AUTO,
    edit_format: Annotated[
        EditFormat | None, typer.Option(help="search-replace or whole-symbol; as the model's endpoint is set if unset.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask, whatever the campaign may cost.")] = False,
    sandbox: SandboxOption = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="Have the server's workers run it, and return; packages lie in the corpus.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Run planners over the valid instances of repo packages and judge each by the repository's own tests.

    Finished trajectories are never run again: stopped in the middle, the same command goes on where it was. Exits with
    1 when trajectories have no verdict: a fault of this machine, an environment or a provider, or a cap that was
    reached.
    """
    order = CampaignOrder(
        packages=tuple(p.resolve() for p in packages),
        grid=Grid(planners=tuple(planner), temperatures=parse_temperatures(temperatures), samples=samples, limit=limit),
        name=name or "-".join(path.resolve().name for path in packages),
        edit_format=edit_format,
        sandbox=sandbox,
        step_tests=step_tests,
        max_cost=max_cost,
        max_tokens=max_tokens,
    )
    result = submit_campaign(order, yes, as_json) if detach else run_campaign(order, yes)
    if result is None:
        return
    if as_json:
        print_json(result)
    else:
        print_report(result)
    if unfinished(result):
        raise typer.Exit(1)


class CampaignOrder(Frozen):
    """What `cra campaign` was asked for."""

    packages: tuple[Path, ...]
    grid: Grid
    name: str
    edit_format: EditFormat | None = None
    sandbox: str | None = None
    step_tests: StepTestMode = StepTestMode.AUTO
    max_cost: float | None = None
    max_tokens: int | None = None

    def parameters(self) -> dict[str, Any]:
        """The parameters of the campaign flow."""
        return {
            "packages": list(self.packages),
            "planners": list(self.grid.planners),
            "name": self.name,
            "edit_format": self.edit_format,
            "sandbox": self.sandbox,
            "temperatures": list(self.grid.temperatures),
            "samples": self.grid.samples,
            "limit": self.grid.limit,
            "max_cost": self.max_cost,
            "max_tokens": self.max_tokens,
            "step_tests": self.step_tests,
        }


def run_campaign(order: CampaignOrder, confirmed: bool = False) -> CampaignReport:
    """Run a campaign to its end and return its report. Raises UsageError before the engine starts for a mistake.

    Without a cap, it asks first when the campaign may cost more than the setting says, unless `confirmed`.
    """
    if (done := _finished(order, confirmed)) is not None:
        return done
    with flow_context():
        from flows.campaign import campaign

        report: CampaignReport = campaign(**order.parameters())
        return report


def submit_campaign(order: CampaignOrder, confirmed: bool, as_json: bool) -> CampaignReport | None:
    """Have the workers of the server run a campaign, and say where it is to be seen; the report if nothing is left.

    Raises UsageError if there is no server, or a package lies outside the corpus, where other machines have none.
    """
    with server_client_settings(load_settings()):  # with the databases that the workers use
        corpus = load_settings().corpus.resolve()
        for package in order.packages:
            if package.parent != corpus:
                raise UsageError(
                    f"{package} does not lie in {corpus}, where workers look; move it, or set CRA_CORPUS_DIR"
                )
        if (done := _finished(order, confirmed)) is not None:
            return done
        from flows.server.submission import submit

        named = order.model_copy(update={"packages": tuple(Path(each.name) for each in order.packages)})
        run = submit("campaign/campaign", to_jsonable_python(named.parameters()), f"campaign {order.name}")
    if as_json:
        print_json({"flow_run": str(run.run), "name": run.name, "page": run.page, "workers": run.workers})
        return None
    console.print(f"{run.name} is submitted: {run.page}", markup=False, soft_wrap=True)
    if not run.workers:
        errors.print("no worker is online; start one with `cra worker`", markup=False)
    errors.print(f"next: cra status; cra report {order.name}", markup=False, soft_wrap=True)
    return None


def _finished(order: CampaignOrder, confirmed: bool) -> CampaignReport | None:
    """The report of a campaign with nothing left to run, or None, once mistakes are ruled out and the cost is agreed
    to."""
    settings, grid = load_settings(), order.grid
    check_planners(grid.planners)
    grid.check()
    runtime = open_runtime(settings, order.sandbox)
    opened = [read_package(package) for package in order.packages]
    config = campaign_config(opened, grid, order.edit_format, order.step_tests, settings, runtime.sandbox.kind)
    store = open_raw_store(settings.raw_url)
    context = open_campaign_context(
        settings, store, order.edit_format, order.step_tests, order.max_cost, order.max_tokens
    )
    campaign_id = campaign_key(config)
    expected = estimate(store, campaign_id, opened, grid, context.pool, order.edit_format)
    if expected and expected.trajectories:
        _confirm_cost(expected, settings.campaign.ask_above_cost, order.max_cost, confirmed)
    with stages("looking at what is left and at the models"):
        to_run = open_planners(campaign_id, opened, grid, context, runtime)
        context.pool.check(to_run)
    return None if to_run else _nothing_left(store, campaign_id, order.name, opened)


def _nothing_left(store: RawStore, campaign_id: str, name: str, packages: list[RepoPackage]) -> CampaignReport:
    """Record a run that has nothing to do, under a number of its own as one of the engine has; the label's report."""
    store.start_run(campaign_id, name, str(uuid4()), [str(package.directory) for package in packages])
    errors.print("every trajectory has its verdict; nothing is left to run", soft_wrap=True)
    return store.report(name)


def _confirm_cost(expected: Estimate, limit: float, cap: float | None, confirmed: bool) -> None:
    """Print what a campaign may cost, and ask if that is above `limit` and the user gave no cap. Raises UsageError for
    a no."""
    errors.print(str(expected), markup=False)
    if cap is not None:
        if expected.cost > cap:
            errors.print(f"it ends in order before this run has cost {cap:g}; a later run goes on from there")
        return
    if confirmed or expected.cost <= limit:
        return
    more = f"it may cost {expected.cost:.2f}, more than {limit:g}"
    if not sys.stdin.isatty():
        raise UsageError(f"{more}, and there is no terminal to ask on; give --yes, or a cap by --max-cost")
    errors.print(f"{more}; go on? \\[y/N] ", end="")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UsageError("not begun; --limit, --samples and --temperatures make a campaign smaller")

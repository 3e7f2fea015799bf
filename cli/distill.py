"""`cra distill`: what the corpus lacks before the teacher ends."""

from typing import TYPE_CHECKING

import typer

from cli.options import JsonOption
from cli.output import console, print_json, table
from cli.progress import step_bars
from host.settings import load_settings

if TYPE_CHECKING:
    from training.cycle.distillation import DistillationPlan, Lack

app = typer.Typer(
    help="The teacher's examples before it ends: what the corpus lacks, and what filling it takes.",
    no_args_is_help=True,
)


@app.callback()
def _group() -> None:
    """The teacher's examples before it ends: what the corpus lacks, and what filling it takes."""


@app.command()
def plan(as_json: JsonOption = False) -> None:
    """Show the examples of each stage against the numbers set, and what the teacher takes to fill the gap.

    Examples are those that curation would read, without reserved repositories. Plans count with a trace of their
    reasoning only. Tokens, cost and hours are those of the teacher's earlier trajectories; nothing is asked.
    """
    from training.cycle.context import open_context
    from training.cycle.distillation import plan_distillation

    settings = load_settings()
    with step_bars() as show:
        found = plan_distillation(
            open_context(settings, lambda what, done, total: show(what, done, total or 0)),
            ended=settings.air_gapped,
        )
    if as_json:
        print_json(found)
    else:
        _print(found)


def _print(found: "DistillationPlan") -> None:
    rows = [
        (
            lack.kind.value,
            ", ".join(f"{count} {source}" for source, count in lack.sources.items()) or "none",
            f"{lack.with_reasoning} / {lack.without_reasoning}",
            lack.taught,
            f"{lack.repositories} / {lack.organisations} / {lack.domains}",
            f"{lack.least} to {lack.target}" if lack.target else "-",
            lack.missing,
            _effort(lack),
        )
        for lack in found.lacks
    ]
    columns = [
        "examples of",
        "there are",
        "with / without reasoning",
        "the teacher's",
        "repositories / organisations / domains",
        "wanted",
        "missing",
        "the teacher's effort",
    ]
    table("Distillation", columns, rows, right=["the teacher's", "missing"])
    short = [lack for lack in found.lacks if lack.missing]
    console.print(f"basis: {found.basis}", markup=False, soft_wrap=True)
    if found.effort is not None:
        cost = "price not set" if found.effort.cost is None else f"cost {found.effort.cost:g}"
        console.print(
            f"for all whose effort is known, together: {found.effort.trajectories} trajectories, "
            f"{found.effort.tokens} tokens, {cost}, {found.effort.hours:g} hours",
            markup=False,
            soft_wrap=True,
        )
    for command in dict.fromkeys(command for lack in short for command in lack.fill):
        kinds = ", ".join(lack.kind.value for lack in short if command in lack.fill)
        console.print(f"  {command}    # {kinds}", markup=False, soft_wrap=True)
    for note in found.notes:
        console.print(note, markup=False, soft_wrap=True, style="yellow")
    if not short:
        console.print("nothing is missing", style="green")


def _effort(lack: "Lack") -> str:
    if not lack.missing:
        return ""
    if lack.effort is None:
        return "not known"
    cost = "" if lack.effort.cost is None else f", {lack.effort.cost:g}"
    return f"{lack.effort.trajectories} trajectories{cost}, {lack.effort.hours:g} h"

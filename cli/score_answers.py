"""`cra score-answers`: a teacher scores the student's own answers."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.flow_context import flow_context
from cli.options import JsonOption, TeacherCostOption, with_stages
from cli.output import console, print_json, table
from host.settings import load_settings
from llm import open_router
from models.errors import InfrastructureError
from models.targets import TrainingTarget

if TYPE_CHECKING:
    from flows.score import ScoreReport


def score_answers(
    stage: Annotated[TrainingTarget, typer.Option("--stage", help="Whose answers.", callback=with_stages)],
    campaign: Annotated[
        list[str] | None, typer.Option("--campaign", metavar="NAME", help="Only its runs; repeat for several.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Answers at most.", min=1)] = None,
    max_cost: TeacherCostOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have the teacher score the student's own answers in runs that passed.

    Curation then leaves out what scored under `curation.least_score`, and takes answers of solves that no hidden test
    judged if they scored well. The same command goes on where it was stopped, and pays for no opinion twice.
    """
    open_router(load_settings().models, "teacher")  # without a teacher this ends before the engine starts
    with flow_context():
        from flows.score import score

        report = score(stage, tuple(campaign or ()), limit, max_cost)
    if as_json:
        print_json(report)
    else:
        _show(report)
    if report.stopped:
        raise InfrastructureError(f"{report.stopped}; the same command goes on from here")


def _show(report: "ScoreReport") -> None:
    rows = [
        ("scored now", len(report.scores)),
        (f"of these {report.least:g} or better", report.accepted),
        ("scored before", report.known),
        ("no opinion to be had", report.unread),
        ("not asked about yet", report.open),
        ("cost", f"{report.cost:.4f}"),
    ]
    table(f"{report.target.value}: the student's answers", ["", "answers"], rows, right=["answers"])
    console.print(f"next: cra curate-data --stage {report.target.value}", markup=False)

"""`cra self-improve`: rounds of campaign, curation, training and gate."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.flow_context import flow_context
from cli.options import (
    AbandonOption,
    EndToEndLimitOption,
    EndToEndOption,
    InstancesOption,
    ItemLevelOption,
    JsonOption,
    OnlyBaseOption,
    OrganisationsOption,
    OverrideOption,
    SamplesOption,
    TemperaturesOption,
    parse_temperatures,
)
from cli.output import console, print_json, table
from models.targets import TrainingTarget

if TYPE_CHECKING:
    from training.cycle.improvement import ImproveReport


def self_improve(
    packages: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[PACKAGE]...", help="Repo packages; all known ones that are not reserved if unset."),
    ] = None,
    rounds: Annotated[int, typer.Option(help="Rounds at most; one that promotes nothing is the last.", min=1)] = 1,
    stage: Annotated[
        list[TrainingTarget] | None,
        typer.Option("--stage", help="Repeat for several; all with an evaluation set if unset."),
    ] = None,
    base: OnlyBaseOption = None,
    temperatures: TemperaturesOption = "0.6",
    samples: SamplesOption = 2,
    limit: InstancesOption = None,
    min_organisations: OrganisationsOption = None,
    max_prompt_tokens: Annotated[int | None, typer.Option(help="Leave out longer prompts.", min=1)] = None,
    item_level: ItemLevelOption = False,
    override: OverrideOption = None,
    end_to_end: EndToEndOption = None,
    end_to_end_limit: EndToEndLimitOption = None,
    abandon: AbandonOption = False,
    as_json: JsonOption = False,
) -> None:
    """Let the student solve commits, learn from what passed, and serve what a gate lets in.

    A round that was stopped goes on where it was when the same command is given again.
    """
    drawn = parse_temperatures(temperatures)
    with flow_context():
        from flows.self_improve import self_improve as self_improve_flow
        from training.cycle.improvement import ImproveOrder

        order = ImproveOrder(
            packages=tuple(path.resolve() for path in packages or ()),
            targets=tuple(stage or ()),
            base=base,
            temperatures=drawn,
            samples=samples,
            limit=limit,
            min_organisations=min_organisations,
            max_prompt_tokens=max_prompt_tokens,
            item_level=item_level,
            override=override,
            end_to_end=tuple(path.resolve() for path in end_to_end or ()),
            end_to_end_limit=end_to_end_limit,
            abandon=abandon,
        )
        report = self_improve_flow(order, rounds)
    if as_json:
        print_json(report)
    else:
        _print_rounds(report)


def _print_rounds(report: "ImproveReport") -> None:
    rows = [(line.round, line.target.value, line.verdict, line.adapter or "-", line.reason) for line in report.lines]
    table("Self-improvement", ["round", "stage", "verdict", "adapter", "reason"], rows, right=["round"])
    console.print(f"stopped: {report.stopped}", markup=False)

"""`cra train` and `cra self-improve`: adapters that are trained, measured, and let in by a gate."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from models.targets import TrainingTarget

if TYPE_CHECKING:
    from training.cycle.improvement import ImproveReport
    from training.cycle.orders import TrainReport

ItemLevelOption = Annotated[
    bool, typer.Option("--item-level", help="Let items alone promote where repositories are too few; the log says so.")
]
OverrideOption = Annotated[
    str | None, typer.Option("--override", metavar="REASON", help="Train before the target's turn; it is recorded.")
]
EndToEnd = Annotated[
    list[Path] | None,
    typer.Option(
        "--end-to-end", metavar="PACKAGE", help="Run all stages on it after a promotion, and undo one that hurts."
    ),
]
EndToEndLimit = Annotated[int | None, typer.Option("--end-to-end-limit", help="Instances of each such package.", min=1)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(train)
    app.command("self-improve")(self_improve)


def train(
    target: Annotated[TrainingTarget, typer.Argument(metavar="STAGE", help="What is trained.")],
    base: Annotated[str, typer.Option("--base", metavar="NAME", help="A base of `cra bases list`.")],
    dataset: Annotated[
        Path | None, typer.Option("--dataset", metavar="DIR", help="A curated dataset; the stage's newest if unset.")
    ] = None,
    technique: Annotated[str, typer.Option(help="auto, sft, dpo or sft+dpo.")] = "auto",
    item_level: ItemLevelOption = False,
    override: OverrideOption = None,
    end_to_end: EndToEnd = None,
    end_to_end_limit: EndToEndLimit = None,
    as_json: AsJson = False,
) -> None:
    """Measure who serves now, train an adapter, measure it, and let it serve if a gate says so.

    What is finished is not done again: stopped in the middle, the same command goes on where it was.
    """
    from cli.output import print_json
    from cli.running import run_train
    from models.errors import UsageError

    known = ("auto", "sft", "dpo", "sft+dpo")
    if technique not in known:
        raise UsageError(f"--technique {technique} is unknown; use {', '.join(known)}")
    report = run_train(
        {
            "target": target,
            "base": base,
            "dataset": dataset and dataset.resolve(),
            "technique": technique,
            "item_level": item_level,
            "override": override,
            "end_to_end": [path.resolve() for path in end_to_end or ()],
            "end_to_end_limit": end_to_end_limit,
        }
    )
    if as_json:
        print_json(report)
    else:
        _print_training(report)


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
    base: Annotated[str | None, typer.Option("--base", metavar="NAME", help="Needed if there are several.")] = None,
    temperatures: Annotated[str, typer.Option(help="Of the student, as in 0.3,0.6,0.9.")] = "0.6",
    samples: Annotated[int, typer.Option(help="Samples per instance and temperature.", min=1)] = 2,
    limit: Annotated[int | None, typer.Option(help="Instances per package, newest first.", min=1)] = None,
    min_organisations: Annotated[
        int | None, typer.Option(help="Go past the rule on organisations; the cards say so.", min=1)
    ] = None,
    max_prompt_tokens: Annotated[int | None, typer.Option(help="Leave out longer prompts.", min=1)] = None,
    item_level: ItemLevelOption = False,
    override: OverrideOption = None,
    end_to_end: EndToEnd = None,
    end_to_end_limit: EndToEndLimit = None,
    abandon: Annotated[bool, typer.Option("--abandon", help="Close a round that was not finished, first.")] = False,
    as_json: AsJson = False,
) -> None:
    """Let the student solve commits, learn from what passed, and serve what a gate lets in.

    A round that was stopped goes on where it was when the same command is given again.
    """
    from cli.campaign import numbers
    from cli.output import print_json
    from cli.running import run_self_improve

    report = run_self_improve(
        {
            "packages": [path.resolve() for path in packages or ()],
            "targets": stage or (),
            "base": base,
            "temperatures": numbers(temperatures),
            "samples": samples,
            "limit": limit,
            "min_organisations": min_organisations,
            "max_prompt_tokens": max_prompt_tokens,
            "item_level": item_level,
            "override": override,
            "end_to_end": [path.resolve() for path in end_to_end or ()],
            "end_to_end_limit": end_to_end_limit,
            "abandon": abandon,
        },
        rounds,
    )
    if as_json:
        print_json(report)
    else:
        _print_rounds(report)


def _print_training(report: "TrainReport") -> None:
    from cli.evaluate import show_gate
    from cli.output import console

    gate = report.gate
    show_gate(
        gate, f"{report.target.value}: {gate.challenger.name} against {gate.champion.name}, set {gate.set_id[:12]}"
    )
    for note in report.notes:
        console.print(note, markup=False, soft_wrap=True, style="yellow")
    console.print(f"{report.target.value} is served by {report.serving}", markup=False)
    console.print(
        f"dataset {report.dataset[:12]}, loss curve {report.losses.parent / 'loss.svg'}", style="dim", markup=False
    )


def _print_rounds(report: "ImproveReport") -> None:
    from cli.output import console, table

    rows = [(line.round, line.target.value, line.verdict, line.adapter or "-", line.reason) for line in report.lines]
    table("Self-improvement", ["round", "stage", "verdict", "adapter", "reason"], rows, right=["round"])
    console.print(f"stopped: {report.stopped}", markup=False)

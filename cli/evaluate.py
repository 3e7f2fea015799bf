"""`cra evaluate`: an adapter against another, or against its base, on the same held-out questions."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.flow_context import flow_context
from cli.gate_table import show_gate
from cli.options import JsonOption, with_stages
from cli.output import console, print_json, table
from evals.gate_report import unlike_use
from models.targets import TrainingTarget

if TYPE_CHECKING:
    from training.cycle.comparison import Compared


def evaluate(
    target: Annotated[TrainingTarget, typer.Argument(metavar="STAGE", help="What is evaluated.", callback=with_stages)],
    adapter: Annotated[
        str, typer.Option("--adapter", help="The challenger: an adapter, `base` for the base alone, or `generalist`.")
    ],
    against: Annotated[
        str | None,
        typer.Option("--against", help="The champion: an adapter, `base` or `generalist`; unset: the active one."),
    ] = None,
    base: Annotated[
        str | None, typer.Option("--base", metavar="NAME", help="The base that `base` means, if no adapter says it.")
    ] = None,
    item_level: Annotated[
        bool, typer.Option("--item-level", help="Let items alone decide where repositories are too few.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Have two subjects answer the newest frozen set of a stage, and say what a gate makes of it.

    Nothing is promoted. What was answered before is not asked again, also after a kill.
    """
    with flow_context():
        from flows.evaluate import evaluate as evaluate_flow
        from flows.training_context import open_training_context
        from training.cycle.comparison import find_contest

        find_contest(open_training_context(), target, adapter, against, base)  # mistakes end before the engine starts
        compared = evaluate_flow(target, adapter, against, base, item_level)
    if as_json:
        print_json(
            {
                "report": compared.report,
                "settings": compared.champion.settings,
                "seconds": {
                    each.subject.name: round(each.seconds, 1) for each in (compared.champion, compared.challenger)
                },
                "classes": compared.classes,
            }
        )
    else:
        _print(compared)


def _print(compared: "Compared") -> None:
    report = compared.report
    items = len({score.item for score in compared.champion.scores})
    pair = f"{compared.challenger.subject.name} against {compared.champion.subject.name}"
    show_gate(report, f"{report.target.value}: {pair}, {items} items of set {report.set_id[:12]}")
    rows = [
        (name, label, count.expected, count.given, count.agreed, f"{count.f1:.3f}")
        for name, counts in compared.classes.items()
        for label, count in counts.items()
    ]
    if rows:
        numbers = ["expected", "given", "right", "F1"]
        table("Classes over the whole set", ["subject", "class", *numbers], rows, right=numbers)
    for note in unlike_use(compared.challenger):
        console.print(note, markup=False, soft_wrap=True, style="yellow")
    settings = ", ".join(f"{name} {value}" for name, value in sorted(compared.champion.settings.items()))
    console.print(f"primary metrics bear a star; {settings}", style="dim", markup=False, soft_wrap=True)

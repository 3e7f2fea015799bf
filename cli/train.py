"""`cra train`: an adapter that is trained, evaluated, and promoted if a gate says so."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.flow_context import flow_context
from cli.gate_table import show_gate
from cli.options import EndToEndLimitOption, EndToEndOption, ItemLevelOption, JsonOption, OverrideOption, with_stages
from cli.output import console, print_json
from models.targets import TrainingTarget
from training.fit.job import Technique

if TYPE_CHECKING:
    from training.cycle.orders import TrainReport


def train(
    target: Annotated[TrainingTarget, typer.Argument(metavar="STAGE", help="What is trained.", callback=with_stages)],
    base: Annotated[str, typer.Option("--base", metavar="NAME", help="A base of `cra bases list`.")],
    dataset: Annotated[
        Path | None, typer.Option("--dataset", metavar="DIR", help="A curated dataset; the stage's newest if unset.")
    ] = None,
    technique: Annotated[Technique, typer.Option(help="auto, sft, dpo or sft+dpo.")] = "auto",
    item_level: ItemLevelOption = False,
    override: OverrideOption = None,
    end_to_end: EndToEndOption = None,
    end_to_end_limit: EndToEndLimitOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure the champion, train an adapter, measure it, and let it serve if a gate says so.

    What is finished is not done again: stopped in the middle, the same command goes on where it was.
    """
    with flow_context():
        from flows.train import train as train_flow
        from flows.training_context import open_training_context
        from training.cycle.lifecycle import find_inputs
        from training.cycle.orders import TrainOrder

        order = TrainOrder(
            target=target,
            base=base,
            dataset=dataset and dataset.resolve(),
            technique=technique,
            item_level=item_level,
            override=override,
            end_to_end=tuple(path.resolve() for path in end_to_end or ()),
            end_to_end_limit=end_to_end_limit,
        )
        find_inputs(open_training_context(), order)  # what is missing is said before the engine starts
        report = train_flow(order)
    if as_json:
        print_json(report)
    else:
        print_training(report)


def print_training(report: "TrainReport") -> None:
    """A gate's table, notes on its verdict, and who serves now."""
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

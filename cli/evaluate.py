"""`cra evaluate`: an adapter against another, or against its base, on the same held-out questions."""

from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from models.training import Target

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.progress import TaskID

    from evals.metrics import ClassCount
    from models.evaluation import Evaluation, EvaluationSet, GateReport
    from tasks.learning import Shop
    from training.bases import Base
    from training.registry import AdapterVersion

BASE = "base"


class Contestant(NamedTuple):
    """A base, alone or with an adapter."""

    base: "Base"
    adapter: "AdapterVersion | None"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(evaluate)


def evaluate(
    target: Annotated[Target, typer.Argument(help="What is evaluated.")],
    adapter: Annotated[
        str, typer.Option("--adapter", help="The challenger: an adapter, or `base` for the base alone.")
    ],
    against: Annotated[
        str | None, typer.Option("--against", help="The champion: an adapter or `base`; unset: who serves now.")
    ] = None,
    base: Annotated[
        str | None, typer.Option("--base", metavar="NAME", help="The base that `base` means, if no adapter says it.")
    ] = None,
    item_level: Annotated[
        bool, typer.Option("--item-level", help="Let items alone decide where repositories are too few.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Have two subjects answer the newest frozen set of a target, and say what a gate makes of it.

    Nothing is promoted. What was answered before is not asked again, also after a kill.
    """
    from cli.output import print_json
    from evals.gates import decide
    from evals.sets import in_common, latest_set
    from evals.thresholds import Rules

    with _watched() as shop:
        evaluation_set = latest_set(shop.curated, target)
        challenger, champion = _contestants(shop, target, adapter, against, base)
        evaluations = [_evaluation(shop, evaluation_set, each) for each in (champion, challenger)]
    report = decide(*in_common(*evaluations), rules=Rules(item_level=item_level))
    classes = {each.subject.name: _classes(shop, evaluation_set, each) for each in evaluations}
    if as_json:
        print_json(
            {
                "report": report,
                "settings": evaluations[0].settings,
                "seconds": {each.subject.name: round(each.seconds, 1) for each in evaluations},
                "classes": classes,
            }
        )
    else:
        _print(report, evaluations, classes)


@contextmanager
def _watched() -> "Iterator[Shop]":
    """What evaluations share, with a progress bar for each."""
    from cli.output import progress
    from models.settings import load_settings
    from tasks.learning import Shop

    with progress() as bars:
        known: dict[str, TaskID] = {}

        def tell(what: str, done: int, total: int | None) -> None:
            if what not in known:
                known[what] = bars.add_task(what, total=total, note="")
            bars.update(known[what], completed=done, total=total)

        yield Shop(load_settings(), tell)


def _contestants(
    shop: "Shop", target: Target, adapter: str, against: str | None, base: str | None
) -> tuple[Contestant, Contestant]:
    """Challenger and champion by name. Raises UsageError, RegistryError."""
    from models.errors import RegistryError, UsageError
    from training.bases import find_base

    challenger = None if adapter == BASE else shop.registry.verify(adapter)
    if against is None:
        champion = shop.registry.active(target)
    else:
        champion = None if against == BASE else shop.registry.verify(against)
    versions = [version for version in (challenger, champion) if version is not None]
    for version in versions:
        if version.target is not target:
            raise UsageError(f"{version.name} was trained for {version.target.value}, not for {target.value}")
    wanted = base or (versions[0].base if versions else None)
    if wanted is None:
        raise UsageError("both sides are the base; name it with --base, or an adapter with --adapter")
    found = find_base(shop.curated, wanted)
    for version in versions:
        if version.base != found.id:
            raise RegistryError(f"{version.name} stands on base {version.base_name}, not on {found.name}")
    return Contestant(found, challenger), Contestant(found, champion)


def _evaluation(shop: "Shop", evaluation_set: "EvaluationSet", who: Contestant) -> "Evaluation":
    """A contestant's scores, found or made now."""
    from flows.judging import BY_HARNESS
    from flows.judging import evaluate as evaluate_by_flow
    from tasks.learning import evaluate_subject

    if evaluation_set.target in BY_HARNESS:
        return evaluate_by_flow(shop, evaluation_set, who.base, who.adapter)
    label = f"{evaluation_set.target.value} {shop.subject(who.base, who.adapter).name}"
    return evaluate_subject.fn(label, shop, evaluation_set, who.base, who.adapter)


def _classes(shop: "Shop", evaluation_set: "EvaluationSet", evaluation: "Evaluation") -> "Mapping[str, ClassCount]":
    """How often each class was given over the whole set; nothing where there are no classes."""
    from evals.scoring import counts_of, find_result

    found = find_result(shop.raw_engine, evaluation_set.id, evaluation.subject, evaluation.settings)
    return {} if found is None else counts_of(found, evaluation_set)


def _print(
    report: "GateReport", evaluations: "list[Evaluation]", classes: "Mapping[str, Mapping[str, ClassCount]]"
) -> None:
    from cli.output import console, table
    from evals.gate_report import COLUMNS, NUMBERS, gate_rows, headline

    champion, challenger = (each.subject.name for each in evaluations)
    items = len({score.item for score in evaluations[0].scores})
    title = f"{report.target.value}: {challenger} against {champion}, {items} items of set {report.set_id[:12]}"
    table(title, COLUMNS, gate_rows(report), right=NUMBERS)
    rows = [
        (name, label, count.expected, count.given, count.agreed, f"{count.f1:.3f}")
        for name, counts in classes.items()
        for label, count in counts.items()
    ]
    if rows:
        numbers = ["expected", "given", "right", "F1"]
        table("Classes over the whole set", ["who", "class", *numbers], rows, right=numbers)
    console.print(headline(report), markup=False, soft_wrap=True)
    settings = ", ".join(f"{name} {value}" for name, value in sorted(evaluations[0].settings.items()))
    console.print(f"primary metrics bear a star; {settings}", style="dim", markup=False, soft_wrap=True)

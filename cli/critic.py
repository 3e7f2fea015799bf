"""`cra critic`: which of two changes is better by a named criterion; comparisons, training, evaluation, best of n."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import JsonOption
from cli.output import console, counted, errors, print_json, table
from cli.progress import progress, step_bars
from cli.stopping import stopped_by_interrupt
from host.settings import load_settings
from models.comparisons import Part
from models.errors import UsageError
from store.runs import open_raw_store

if TYPE_CHECKING:
    from training.data.sources.collections import CollectionCard

app = typer.Typer(no_args_is_help=True)
_Collections = Annotated[
    list[str] | None,
    typer.Option("--collection", metavar="NAME", help="A collection of `cra critic build`; the only one if left out."),
]
_Seed = Annotated[int, typer.Option("--seed", help="Draws the comparisons.", min=0)]


@app.callback()
def _group() -> None:
    """A critic: which of two versions of code is better by a named criterion. It never trains the coder."""


@app.command()
def build(
    places: Annotated[list[Path] | None, typer.Argument(metavar="CLONE...", help="Git repositories.")] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", help="Newest kept commits of each repository.", min=1)
    ] = None,
    campaigns: Annotated[
        list[str] | None,
        typer.Option("--campaign", metavar="NAME", help="Also compare its attempts that passed and that failed."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a collection of comparisons from histories: changed functions before and after. Runs no code.

    The criterion is the one for which a commit is evidence: correctness (it says that it mends a fault),
    error-handling (a function names, raises or passes on more errors), else task (it does what its message says).
    """
    from harness.synthesis.repository import check_places
    from training.data.sources.comparisons.corpus import build_comparisons

    if not places and not campaigns:
        raise UsageError("name clones to read, or a campaign with --campaign")
    check_places(places or ())
    settings = load_settings()
    raw = open_raw_store(settings.raw_url).engine if campaigns else None
    with stopped_by_interrupt(), progress() as bars:
        bar = bars.add_task("commits", total=0, note="mining")

        def show(name: str, more: int, done: int) -> None:
            bars.update(bar, total=(bars.tasks[bar].total or 0) + more, advance=done, note=name)
            if more and bars.disable:
                errors.print(f"{name}: {counted(more, 'commit')}", markup=False, soft_wrap=True)

        place, card = build_comparisons(
            places or (), settings.data_dir, settings.cache_dir, settings.mining, limit, show, raw, campaigns or ()
        )
    if as_json:
        print_json({"place": place, "card": card})
    else:
        _print_built(place, card)


@app.command()
def train(
    base: Annotated[str, typer.Option("--base", metavar="NAME", help="A base of `cra bases list`.")],
    collections: _Collections = None,
    comparisons: Annotated[
        int | None,
        typer.Option("--comparisons", metavar="N", help="Of the training part, in turns from each repository.", min=1),
    ] = None,
    epochs: Annotated[int, typer.Option("--epochs", help="Passes over them.", min=1)] = 1,
    any_length: Annotated[
        bool, typer.Option("--any-length", help="As they come: the better version is the longer one in most.")
    ] = False,
    seed: _Seed = 0,
    as_json: JsonOption = False,
) -> None:
    """Train a critic on comparisons of training repositories, each in both orders, and register it.

    The better version is longer in half of them, so that length is not what it learns. It is an adapter of a target of
    its own, is called by its name and never promoted. A stopped training goes on with the same command.
    """
    from training.bases.bases import find_base
    from training.critic.data import find_collections, read_data
    from training.critic.learner import CriticOrder, train_critic
    from training.cycle.context import open_context

    settings = load_settings()
    context = open_context(settings)
    order = CriticOrder(find_base(context.curated, base), comparisons, epochs, seed, not any_length)
    data = read_data(context, find_collections(settings.data_dir, collections or ()))
    with stopped_by_interrupt(), step_bars() as show:
        version = train_critic(context, order, data, lambda done, total: show("training", done, total))
    if as_json:
        print_json(version)
        return
    told = version.metrics
    console.print(
        f"{version.name} on {version.base_name}: {counted(told['comparisons'], 'comparison')} of "
        f"{counted(len(told['repositories']), 'repository', 'repositories')}, loss {told['first_loss']:.3f} to "
        f"{told['last_loss']:.3f}, {told['cpu_seconds']:.0f} CPU-seconds\nnext: cra critic evaluate {version.name}",
        markup=False,
        soft_wrap=True,
    )


@app.command()
def evaluate(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="A critic; with --base alone, the base as it is.")
    ] = None,
    base: Annotated[
        str | None, typer.Option("--base", metavar="NAME", help="Also ask this base without an adapter.")
    ] = None,
    collections: _Collections = None,
    part: Annotated[
        Part, typer.Option("--part", help="Which part is judged; held-out only for final figures.")
    ] = Part.HELD_OUT,
    comparisons: Annotated[
        int | None, typer.Option("--comparisons", metavar="N", help="In turns from each repository.", min=1)
    ] = None,
    seed: _Seed = 0,
    as_json: JsonOption = False,
) -> None:
    """Judge a critic on repositories that it was not trained on: both orders, beside baselines that read no code.

    A comparison that only the order decides is undecided, and counts one half. Answers are kept, so that a stopped
    evaluation goes on with the same command.
    """
    from cli.pages.critic_tables import print_critic_report
    from training.bases.bases import find_base
    from training.critic.data import find_collections, read_data
    from training.critic.evaluation import CriticTrial, evaluate_critics, find_critic, untrained_critic
    from training.cycle.context import open_context

    if name is None and base is None:
        raise UsageError("name a critic of `cra critic train`, or a base with --base")
    settings = load_settings()
    context = open_context(settings)
    critics, trained_on = [], []
    if name is not None:
        critic, version = find_critic(context, name)
        critics.append(critic)
        trained_on = version.metrics["repositories"]
    if base is not None:
        critics.append(untrained_critic(settings, find_base(context.curated, base)))
    data = read_data(context, find_collections(settings.data_dir, collections or ()))
    with stopped_by_interrupt(), step_bars() as show:
        report = evaluate_critics(context, critics, CriticTrial(part, comparisons, seed, tuple(trained_on)), data, show)
    if as_json:
        print_json(report)
    else:
        print_critic_report(report)


@app.command()
def rank(
    campaign: Annotated[str, typer.Argument(metavar="CAMPAIGN", help="A finished campaign with several samples.")],
    name: Annotated[str, typer.Option("--critic", metavar="NAME", help="A critic, or a base without an adapter.")],
    planner: Annotated[str, typer.Option("--planner", help="Whose samples.")] = "student",
    as_json: JsonOption = False,
) -> None:
    """Let a critic choose one sample of each instance, and compare the pass rates: best of n.

    It sees the task and the samples' diffs, never tests, outcomes or the commit's own change; a critic that was trained
    on one of the repositories is refused. A stopped run goes on with the same command.
    """
    from cli.pages.critic_tables import print_rank_report
    from training.critic.best_of_n import rank_campaign
    from training.critic.evaluation import find_asked
    from training.cycle.context import open_context

    context = open_context(load_settings())
    critic, trained_on = find_asked(context, name)
    with stopped_by_interrupt(), step_bars() as show:
        report = rank_campaign(
            context, critic, campaign, planner, lambda done, total: show("instances", done, total), trained_on
        )
    if as_json:
        print_json(report)
    else:
        print_rank_report(report)


def _print_built(place: Path, card: "CollectionCard") -> None:
    rows = [
        (part, criterion, count)
        for part, counts in card.made_from["comparisons"].items()
        for criterion, count in counts.items()
    ]
    table("Comparisons", ["part", "criterion", "comparisons"], rows, right=["comparisons"])
    dropped = sorted(card.dropped.items(), key=lambda item: -item[1])
    table("Left out", ["reason", "count", "for example"], [(r, n, card.examples_of_dropped[r]) for r, n in dropped])
    console.print(
        f"{counted(card.comparisons, 'comparison')} of {counted(card.offered, 'commit')} in {place}\n"
        f"next: cra critic train --base NAME --collection {place.name}",
        markup=False,
        soft_wrap=True,
    )

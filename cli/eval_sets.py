"""`cra eval-sets`: held-out questions with known answers, frozen before anything is trained."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import CountingBaseOption, JsonOption, with_stages
from cli.output import console, print_json, table, waiting
from evals.paired import least_changes
from evals.sets import (
    all_sets,
    build_set,
    curated_from,
    estimate_prompt,
    freeze,
    known_repositories,
    require_untrained,
    reserve,
    reserved,
)
from evals.thresholds import ALPHA, REPOSITORIES, REQUIREMENTS
from host.settings import load_settings
from models.chat import Message
from models.errors import UsageError
from models.evaluation import EvaluationSet
from models.targets import TrainingTarget
from store.database import open_database
from training.bases.bases import find_base
from training.bases.chat_format import ChatFormat

if TYPE_CHECKING:
    from store.database import Engine

app = typer.Typer(help="Held-out questions with known answers; frozen for good.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Held-out questions with known answers; frozen for good."""


@app.command()
def build(
    target: Annotated[TrainingTarget, typer.Option("--target", help="What the set evaluates.", callback=with_stages)],
    repository: Annotated[
        list[str], typer.Option("--repository", metavar="NAME", help="A repository to hold out; repeat for several.")
    ],
    limit: Annotated[int, typer.Option(help="Items at most, from all repositories in turn.", min=1)] = 200,
    max_prompt_tokens: Annotated[int | None, typer.Option(help="Leave out longer prompts.", min=1)] = None,
    base: CountingBaseOption = None,
    seed: Annotated[int, typer.Option(help="Draws other items.", min=0)] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the set, freeze and reserve nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Build a set from gold campaigns, freeze it, and reserve its repositories for evaluation.

    Neither can be undone: nothing of a reserved repository is ever trained on. A repository that was trained on
    already is refused.
    """
    settings = load_settings()
    raw, curated = open_database(settings.raw_url, "raw"), open_database(settings.curated_url, "curated")
    require_untrained(raw, repository)
    if unknown := sorted(set(repository) - set(known_repositories(raw))):
        raise UsageError(f"no campaign has run on {', '.join(unknown)}; {_known(raw)}")
    with waiting(f"reading gold's answers about {', '.join(repository)}"):
        built = build_set(raw, target, repository, limit, max_prompt_tokens, _counter(curated, base), seed)
    known = any(each.id == built.id for each in all_sets(curated))
    if not dry_run:
        freeze(curated, raw, built)
        reserve(curated, raw, repository, f"evaluation of {target.value}")
    if as_json:
        print_json(_shown(built) | {"frozen": not dry_run})
        return
    done = "would be frozen" if dry_run else "was frozen before" if known else "frozen, its repositories reserved"
    console.print(f"{target.value} {built.id[:12]}: {len(built.items)} items, {done}")
    for name in built.repositories:
        console.print(f"  {name}: {sum(item.repository == name for item in built.items)}", markup=False)
    for warning in _weaknesses(built):
        console.print(warning, style="yellow")
    for dataset, stage in curated_from(raw, repository).items():
        console.print(
            f"dataset {dataset[:12]} has examples of these repositories and will be refused; "
            f"make another: cra curate-data --stage {stage}",
            style="yellow",
            markup=False,
            soft_wrap=True,
        )
    if not dry_run and not known:
        console.print(
            "it counts from now on, instead of any earlier one; next: "
            f"cra curate-data --stage {target.value} --base {base or 'NAME'}"
        )


@app.command("list")
def list_(as_json: JsonOption = False) -> None:
    """Show the frozen sets, the newest of a target last, and the reserved repositories."""
    curated = open_database(load_settings().curated_url, "curated")
    sets, kept = all_sets(curated), reserved(curated)
    newest = {each.target: each.id for each in sets}
    if as_json:
        shown = [_shown(each) | {"in_use": newest[each.target] == each.id} for each in sets]
        print_json({"sets": shown, "reserved": kept})
        return
    rows = [
        (
            each.id[:12],
            each.target.value,
            len(each.items),
            ", ".join(each.repositories),
            "yes" if newest[each.target] == each.id else "superseded",
        )
        for each in sets
    ]
    table("Evaluation sets", ["id", "target", "items", "repositories", "in use"], rows, right=["items"])
    table("Reserved for evaluation", ["repository", "reason"], list(kept.items()))


@app.command("reserve")
def reserve_(
    repository: Annotated[list[str], typer.Argument(metavar="REPO...", help="Names of repositories.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept with the reservation.")],
    unseen: Annotated[bool, typer.Option("--unseen", help="Also names that no campaign has run on yet.")] = False,
) -> None:
    """Keep repositories for evaluation, for good: curation leaves them out and training refuses them."""
    if not reason.strip():
        raise UsageError("--reason is empty; say why, it is kept with the reservation")
    settings = load_settings()
    raw, curated = open_database(settings.raw_url, "raw"), open_database(settings.curated_url, "curated")
    if not unseen and (unknown := sorted(set(repository) - set(known_repositories(raw)))):
        raise UsageError(
            f"no campaign has run on {', '.join(unknown)}, and a reservation is for good; {_known(raw)}. "
            "Add --unseen if the name is right"
        )
    new = reserve(curated, raw, repository, reason.strip())
    for name in sorted(set(repository)):
        console.print(f"{name}: {'reserved' if name in new else 'was reserved before'}", markup=False)


def _known(raw: "Engine") -> str:
    return f"known: {', '.join(known_repositories(raw)) or 'none'}"


def _counter(curated: "Engine", base: str | None) -> Callable[[Sequence[Message]], int]:
    """Tokens of a prompt: as the base renders and tokenises it, or estimated on the high side."""
    if base is None:
        return estimate_prompt

    chat = ChatFormat.load(find_base(curated, base).path)
    return lambda messages: len(chat.prompt_ids([message.model_dump() for message in messages]))


def _shown(each: EvaluationSet) -> dict[str, Any]:
    counts = {name: sum(item.repository == name for item in each.items) for name in each.repositories}
    return {"id": each.id, "target": each.target.value, "items": len(each.items), "repositories": counts}


def _weaknesses(built: EvaluationSet) -> list[str]:
    """What will keep verdicts on this set from saying much."""
    found = []
    least, _ = REQUIREMENTS[built.target].items
    if len(built.items) < least_changes():
        found.append(f"fewer than {least_changes()} items: no difference can be seen, and no adapter promoted")
    elif len(built.items) < least:
        found.append(f"fewer than {least} items: only large differences will be seen")
    if len(built.repositories) < REPOSITORIES:
        found.append(f"fewer than {REPOSITORIES} repositories: nothing can be said beyond these")
    elif len(built.repositories) < least_changes(ALPHA / 2):
        found.append(
            f"{len(built.repositories)} repositories: enough for one target, not for two that are gated together "
            f"({least_changes(ALPHA / 2)})"
        )
    return found

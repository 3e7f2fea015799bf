"""`cra retrieve`: which files a task is about, and the context made of them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from cli.retrieving import Retrieved
    from models.context import ContextPackage


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(retrieve)


def retrieve(
    task: Annotated[str, typer.Argument(metavar="TASK", help="What is to be done, in your words; - reads it.")],
    repo: Annotated[Path, typer.Option("--repo", help="A git repository; its files are not touched.")] = Path(),
    at: Annotated[str, typer.Option("--at", metavar="REV", help="The revision to look at.")] = "HEAD",
    no_model: Annotated[bool, typer.Option("--no-model", help="The deterministic ranking alone.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Files to list.")] = 20,
    show_context: Annotated[bool, typer.Option("--show-context", help="Print the context as well.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the files that a task is about, best first, each with its reason; with a model, as it judges them."""
    import sys

    from cli.output import print_json
    from cli.retrieving import by_judgement, by_rank
    from models.errors import UsageError

    text = sys.stdin.read() if task == "-" else task
    if not text.strip():
        raise UsageError("TASK is empty; say what is to be done")
    found = by_rank(text, repo, at) if no_model else by_judgement(text, repo, at)
    if as_json:
        print_json(described(found, limit, show_context))
    else:
        _print(found, limit, show_context)


def described(found: "Retrieved", limit: int, show_context: bool) -> dict[str, Any]:
    """What was found, for machines; the same for the same task and revision."""
    files = []
    for candidate, relevance in found.files[:limit]:
        entry: dict[str, Any] = candidate.model_dump(mode="json", exclude={"outline"})
        files.append({**entry, "relevance": relevance.value})
    context = {"context": found.package.model_dump(mode="json")} if show_context else {}
    return {"revision": found.revision, "files": files, **context}


def _print(found: "Retrieved", limit: int, show_context: bool) -> None:
    from cli.output import table

    rows = [
        (candidate.path, f"{candidate.score:.3f}", candidate.tier.value, relevance.value, candidate.reason)
        for candidate, relevance in found.files[:limit]
    ]
    table(f"{found.revision[:10]}", ["file", "score", "tier", "judged", "reason"], rows, right=["score"])
    if show_context:
        _print_context(found.package)


def _print_context(package: "ContextPackage") -> None:
    from cli.output import console, table

    for file in package.files:
        whole = "whole" if file.whole else "in part"
        console.print(f"\n[bold]{file.relevance.value}[/] {file.tokens} tokens, {whole}: ", end="")
        console.print(file.path, markup=False)
        console.print(file.text, markup=False, soft_wrap=True)
    left = [(entry.path, entry.symbol or "", entry.tokens, entry.reason) for entry in package.left_out]
    table(
        f"Left out ({package.tokens} of {package.budget} tokens are used)",
        ["file", "symbol", "tokens", "reason"],
        left,
        right=["tokens"],
    )

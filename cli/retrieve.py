"""`cra retrieve`: which files a task is about, and the context made of them."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from agent.retrieve import rank, retrieve_by_rank
from agent.retrieve.relevance.classifier import file_classes, in_force
from agent.retrieve.retrieval import Retrieval
from agent.retrieve.scope import estimate_of
from cli.options import JsonOption
from cli.output import console, print_json, spinner, table
from cli.plan import NullRecorder
from harness.runs.attempt import make_planner
from harness.runs.indexes import Indexes
from harness.runs.model_pool import ModelPool
from harness.runs.solving import SolveOrder, solve_context
from host.settings import load_settings
from models.context import Candidate, ContextPackage, Relevance
from models.errors import UsageError
from models.protocols import Stage
from repos.clones import cached_clone
from repos.index import IndexCache, build_index
from repos.sources import GitSource
from tasks.runtime import open_runtime


@dataclass(frozen=True)
class Retrieved:
    """Candidates with what each is to the task, best first, and the context made of those that matter."""

    revision: str
    files: tuple[tuple[Candidate, Relevance], ...]
    package: ContextPackage


class RelevanceRecorder(NullRecorder):
    """Recorder that keeps the relevance which each file was judged to have."""

    def __init__(self) -> None:
        self.relevance: dict[str, Relevance] = {}

    def decision(self, stage: Stage, subject: str, decision: str, reason: str) -> None:
        """Kept, if it is a judgement of a file."""
        if stage is Stage.SCOPE and decision in set(Relevance):
            self.relevance[subject] = Relevance(decision)


def by_rank(task: str, repo: Path, at: str) -> Retrieved:
    """Retrieval without a model. Raises RepositoryError, InfrastructureError."""
    cache = load_settings().cache_dir
    wait = spinner(f"indexing {repo}")
    with wait, cached_clone(repo, cache) as git:
        index = build_index(GitSource(git, at), IndexCache(cache / "index"))
        found = retrieve_by_rank(task, index)
        return Retrieved(index.revision, found.files, found.package)


def by_judgement(task: str, repo: Path, at: str) -> Retrieved:
    """Retrieval as the student judges files and symbols. Raises RepositoryError, InfrastructureError."""
    settings = load_settings()
    order = SolveOrder(task=task, repository=str(repo.resolve()), revision=at, gold=None, tests=False)
    wait = spinner(f"judging files of {repo}")
    with wait, solve_context(order, open_runtime(settings), settings.cache_dir) as place:
        instance_context = place.instance_context
        index = Indexes(settings.cache_dir / "index").of(
            instance_context.package, instance_context.instance.base_commit
        )
        planner = make_planner(
            "student", instance_context, None, 0.0, 0, ModelPool(settings.models, curated=settings.curated_url)
        )
        recorder = RelevanceRecorder()
        package = Retrieval(instance_context.task(), planner, index, recorder).run()
        ranked = rank(instance_context.task().text, index)
        files = [(each, recorder.relevance.get(each.path, Relevance.IRRELEVANT)) for each in ranked]
        order_of = list(Relevance)
        return Retrieved(index.revision, tuple(sorted(files, key=lambda pair: order_of.index(pair[1]))), package)


def retrieve(
    task: Annotated[str, typer.Argument(metavar="TASK", help="What is to be done, in your words; - reads it.")],
    repo: Annotated[Path, typer.Option("--repo", help="A git repository; its files are not touched.")] = Path(),
    at: Annotated[str, typer.Option("--at", metavar="REV", help="The revision to look at.")] = "HEAD",
    no_model: Annotated[
        bool, typer.Option("--no-model", help="The ranking and the relevance classifier alone.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, help="Files to list.")] = 20,
    show_context: Annotated[bool, typer.Option("--show-context", help="Print the context as well.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List the files that a task is about, best first, each with its reason; with a model, as it judges them."""
    text = sys.stdin.read() if task == "-" else task
    if not text.strip():
        raise UsageError("TASK is empty; say what is to be done")
    found = by_rank(text, repo, at) if no_model else by_judgement(text, repo, at)
    if as_json:
        print_json(described(found, limit, show_context))
    else:
        _print(found, limit, show_context)


def described(found: Retrieved, limit: int, show_context: bool) -> dict[str, Any]:
    """What was found, for machines; the same for the same task and revision."""
    files = []
    classes = classes_of(found)
    for candidate, relevance in found.files[:limit]:
        entry: dict[str, Any] = candidate.model_dump(mode="json", exclude={"outline"})
        files.append({**entry, "class": classes[candidate.path], "relevance": relevance.value})
    context = {"context": found.package.model_dump(mode="json")} if show_context else {}
    return {"revision": found.revision, "files": files, **context}


def classes_of(found: Retrieved) -> dict[str, str]:
    """The relevance classifier's class of each candidate, by path."""
    classes = file_classes([estimate_of(candidate) for candidate, _ in found.files], in_force().point)
    return {candidate.path: each.value for (candidate, _), each in zip(found.files, classes, strict=True)}


def _print(found: Retrieved, limit: int, show_context: bool) -> None:
    rows = []
    classes = classes_of(found)
    for candidate, relevance in found.files[:limit]:
        estimate = estimate_of(candidate)
        chances = f"{estimate.relevant:.3f}", f"{estimate.supporting:.3f}"
        rows.append(
            (candidate.path, *chances, classes[candidate.path], candidate.tier.value, relevance.value, candidate.reason)
        )
    columns = ["file", "P(relevant)", "P(supporting)", "class", "tier", "in context as", "reason"]
    table(f"{found.revision[:10]}", columns, rows, right=["P(relevant)", "P(supporting)"])
    if show_context:
        _print_context(found.package)


def _print_context(package: ContextPackage) -> None:
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

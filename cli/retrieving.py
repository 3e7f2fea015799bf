"""Retrieval on a repository of one's own, for `cra retrieve`: by rank alone, or as the student judges."""

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from cli.planning import NullRecorder
from host.settings import load_settings
from models.context import Candidate, ContextPackage, Relevance
from models.protocols import Stage


@dataclass(frozen=True)
class Retrieved:
    """Candidates with what each is to the task, best first, and the context made of those that matter."""

    revision: str
    files: tuple[tuple[Candidate, Relevance], ...]
    package: ContextPackage


class Scoped(NullRecorder):
    """A recorder that keeps what each file was judged to be."""

    def __init__(self) -> None:
        self.relevance: dict[str, Relevance] = {}

    def decision(self, stage: Stage, subject: str, decision: str, reason: str) -> None:
        """Kept, if it is a judgement of a file."""
        if stage is Stage.SCOPE and decision in set(Relevance):
            self.relevance[subject] = Relevance(decision)


def by_rank(task: str, repo: Path, at: str) -> Retrieved:
    """Retrieval without a model. Raises RepositoryError, InfrastructureError."""
    from cli.output import errors
    from repos.clones import cached_clone

    cache = load_settings().cache_dir
    wait = errors.status(f"indexing {repo}") if errors.is_terminal else nullcontext()
    with wait, cached_clone(repo, cache) as git:
        from agent.retrieve import retrieve_by_rank
        from repos.index import IndexCache, build_index
        from repos.sources import GitSource

        index = build_index(GitSource(git, at), IndexCache(cache / "index"))
        found = retrieve_by_rank(task, index)
        return Retrieved(index.revision, found.files, found.package)


def by_judgement(task: str, repo: Path, at: str) -> Retrieved:
    """Retrieval as the student judges files and symbols. Raises RepositoryError, InfrastructureError."""
    from agent.retrieve import rank
    from agent.retrieve.retrieval import Retrieval
    from cli.output import errors
    from harness.runs.attempt import make_planner
    from harness.runs.indexes import Indexes
    from harness.runs.model_pool import ModelPool
    from harness.runs.solving import SolveOrder, place_for
    from tasks.runtime import open_runtime

    settings = load_settings()
    order = SolveOrder(task=task, repository=str(repo.resolve()), revision=at, gold=None, tests=False)
    wait = errors.status(f"judging files of {repo}") if errors.is_terminal else nullcontext()
    with wait, place_for(order, open_runtime(settings), settings.cache_dir) as place:
        instance_context = place.instance_context
        index = Indexes(settings.cache_dir / "index").of(
            instance_context.package, instance_context.instance.base_commit
        )
        planner = make_planner(
            "student", instance_context, None, 0.0, 0, ModelPool(settings.models, curated=settings.curated_url)
        )
        scoped = Scoped()
        package = Retrieval(instance_context.task(), planner, index, scoped).run()
        ranked = rank(instance_context.task().text, index)
        files = [(each, scoped.relevance.get(each.path, Relevance.IRRELEVANT)) for each in ranked]
        order_of = list(Relevance)
        return Retrieved(index.revision, tuple(sorted(files, key=lambda pair: order_of.index(pair[1]))), package)

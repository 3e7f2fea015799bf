"""A repository to synthesize from: its clone, and its kept commits as instances that no test has judged."""

import heapq
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.mining import Mined, mine
from harness.mining.regenerated import MessageLedger
from harness.mining.repository import RepositoryFacts, describe
from harness.packages.contents import package_content
from harness.packages.package import MANIFEST, RepoPackage, read_package
from harness.packages.prepare import name_of, origin_of
from models.errors import UsageError
from models.manifest import Commit, Instance, InvalidReason, Manifest
from models.messages import MessageRecord, TaskSource
from models.mining import MiningRules
from repos.clones import cached_clone
from repos.git import Git
from store.runs import RawStore

_WHY = "pairs were synthesized from it; no test was run"


@dataclass(frozen=True)
class DirectRepository:
    """A clone with the manifest of its kept commits, newest first, and of those set aside that have another task;
    `lost` commits were not kept."""

    directory: Path
    manifest: Manifest

    @property
    def git(self) -> Git:
        """The clone."""
        return Git(self.directory / "repo")

    @property
    def lost(self) -> int:
        """Commits that mining dropped, or set aside for a better message."""
        return self.manifest.funnel.total - self.manifest.funnel.kept

    def register_content(self, store: RawStore) -> None:
        """Store the content of the repository, by which copies of it are recognised."""
        store.register_package(self.manifest, package_content(RepoPackage(self.directory, self.manifest)))


def check_places(places: Sequence[Path]) -> None:
    """Raises UsageError for the first path that does not exist, before any work is done on the others.

    A URL that came as a path has lost a slash and may hold a password, so it is not repeated.
    """
    for place in places:
        if not place.exists():
            if re.match(r"[\w.+-]+:/|[^/]*:[^/]*@|[^/]+@[^/]+:", str(place)):
                raise UsageError("a URL is no path; clone it with `git clone --bare`, and give the path of the clone")
            raise UsageError(f"{place} does not exist; give the path of a git repository or of a repo package")


@contextmanager
def opened(
    place: Path, rules: MiningRules, cache: Path, limit: int | None, data_dir: Path | None = None
) -> Iterator[DirectRepository]:
    """The repository at a path, or the one in a repo package; its newest `limit` kept commits. With `data_dir`, commits
    set aside count as kept where a description of theirs was accepted there.

    Raises RepositoryError, ManifestError, InfrastructureError.
    """
    if (place / MANIFEST).is_file():
        package = read_package(place)
        known = package.manifest
        facts = RepositoryFacts(
            known.license, known.organisation, known.domain, known.lines_of_code, tuple(known.flags)
        )
        yield DirectRepository(place, _manifest(package.git, known.name, known.source, facts, rules, limit, data_dir))
        return
    with cached_clone(place, cache) as git:
        name, source = name_of(git, git.resolve("HEAD"), str(place)), origin_of(str(place))
        facts = describe(git, name, source)
        yield DirectRepository(git.directory.parent, _manifest(git, name, source, facts, rules, limit, data_dir))


def _manifest(
    git: Git,
    name: str,
    source: str,
    facts: RepositoryFacts,
    rules: MiningRules,
    limit: int | None,
    data_dir: Path | None,
) -> Manifest:
    mined: Mined = mine(git, rules, with_symbols=False)
    texts = {} if data_dir is None else MessageLedger.of(data_dir, git).accepted()
    described = [commit for commit in mined.aside if commit.sha in texts]
    commits = list(heapq.merge(mined.commits, described, key=lambda commit: -commit.committed))
    return Manifest(
        name=name,
        source=source,
        license=facts.license,
        organisation=facts.organisation,
        domain=facts.domain,
        head=git.resolve("HEAD"),
        python="",
        test_command=(),
        lines_of_code=facts.lines_of_code,
        flags=facts.flags,
        funnel=mined.funnel,
        instances=tuple(_instance(name, commit, texts.get(commit.sha)) for commit in commits[:limit]),
    )


def _instance(name: str, commit: Commit, text: MessageRecord | None) -> Instance:
    return Instance(
        instance_id=f"{name}__{commit.sha[:12]}",
        commit=commit.sha,
        base_commit=commit.parent,
        task=text.text if text else commit.message,
        planning_types=commit.planning_types,
        production_files=tuple(sorted(c.path for c in commit.changes if c.kind == "production")),
        test_files=tuple(sorted(c.path for c in commit.changes if c.kind == "test")),
        reason=InvalidReason.NOT_TRIED,
        detail=_WHY,
        message=None if text is None else _source(text),
    )


def _source(text: MessageRecord) -> TaskSource:
    score = text.scores.mean if text.scores else 0.0
    return TaskSource(model=text.model, judge=text.judge, score=score, prompt_hash=text.prompt_hashes[-1])

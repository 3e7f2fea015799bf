"""A run over repositories: commits set aside that are not decided about yet, newest first, one after the other."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from harness.mining import Mined, mine
from harness.mining.regenerated import MessageLedger, add_record
from harness.packages.package import MANIFEST, read_package
from harness.supplement.messages.asking import Answers
from harness.supplement.messages.change import read_change
from harness.supplement.messages.regeneration import Decision, MessageModels, decide
from harness.supplement.messages.surroundings import read_surroundings
from models.errors import CapReached, CleanRoomError, PromptTooLong, ProviderError, RepositoryError, UsageError
from models.manifest import Commit
from models.messages import MessageRecord
from models.mining import MiningRules
from repos.clones import cached_clone
from repos.git import Git
from repos.index import IndexCache

MOST_FAILURES = 3
"""Most consecutive commits about which a model could not be asked, before the run stops."""


@dataclass(frozen=True)
class Regenerated:
    """A commit of a run: its record, or the fault of ours or of an endpoint, after which it is still to be decided."""

    repository: str
    commit: Commit
    record: MessageRecord | None
    fault: str = ""

    @property
    def state(self) -> str:
        """`accepted`, the reason for a refusal, or `undecided`."""
        if self.record is None:
            return "undecided"
        return "accepted" if self.record.reason is None else self.record.reason.value


@dataclass
class RegenerationReport:
    """A run: its commits, those set aside in all repositories, those decided before, and why it ended early."""

    lines: list[Regenerated] = field(default_factory=list)
    aside: int = 0
    decided_before: int = 0
    stopped: str = ""

    def counts(self) -> dict[str, int]:
        """Commits by state."""
        return dict(sorted(Counter(line.state for line in self.lines).items()))


Progress = Callable[[Regenerated], None]


def regenerate(
    places: Sequence[Path],
    models: MessageModels,
    rules: MiningRules,
    data_dir: Path,
    cache_dir: Path,
    *,
    limit: int | None = None,
    progress: Progress = lambda line: None,
) -> RegenerationReport:
    """Describe at most `limit` commits of repositories and repo packages that have no decision by these models.

    Each decision is on the disk before the next commit is begun. Raises UsageError, RepositoryError, ManifestError,
    InfrastructureError; ProviderError if the models' windows cannot be asked for.
    """
    for place in places:
        if not place.exists():
            raise UsageError(f"{place} does not exist; give the path of a git repository or of a repo package")
    report, failures = RegenerationReport(), 0
    cache = IndexCache(cache_dir / "index")
    key = models.key
    for place in places:
        with clone_of(place, cache_dir) as git, MessageLedger.of(data_dir, git).held():
            ledger = MessageLedger.of(data_dir, git)
            work = _Work(git, ledger, Answers(ledger.answers_path), models, rules, cache)
            mined = mine(git, rules, with_symbols=False)
            todo = work.undecided(mined, key)
            report.aside += len(mined.aside)
            report.decided_before += len(mined.aside) - len(todo)
            for commit, fault in todo:
                if report.stopped or (limit is not None and len(report.lines) >= limit):
                    break
                line, error = work.line(place.name, commit, fault)
                failures = failures + 1 if isinstance(error, ProviderError) else 0
                if isinstance(error, CapReached) or failures > MOST_FAILURES:
                    report.stopped = str(error)
                report.lines.append(line)
                progress(line)
    return report


@contextmanager
def clone_of(place: Path, cache_dir: Path) -> Iterator[Git]:
    """The clone of a repo package, or one of the repository at a path. Raises RepositoryError, ManifestError."""
    if (place / MANIFEST).is_file():
        yield read_package(place).git
        return
    with cached_clone(place, cache_dir) as git:
        yield git


@dataclass(frozen=True)
class _Work:
    """A repository whose files this process holds."""

    git: Git
    ledger: MessageLedger
    answers: Answers
    models: MessageModels
    rules: MiningRules
    cache: IndexCache

    def undecided(self, mined: Mined, key: str) -> list[tuple[Commit, str]]:
        """Commits set aside, with the faults of their messages, that have no decision with this key, nor a text of
        other models that would be accepted as well."""
        decisions, faults = self.ledger.decisions(), dict(mined.faults)

        def open_(commit: Commit) -> bool:
            record = decisions.get(commit.sha)
            if record is None or record.key == key:
                return record is None
            return not (record.accepted and record.scores and record.scores.mean >= self.models.threshold)

        return [(commit, faults[commit.sha].value) for commit in mined.aside if open_(commit)]

    def line(self, repository: str, commit: Commit, fault: str) -> tuple[Regenerated, CleanRoomError | None]:
        """Decide about a commit and keep the decision; a fault that is none of the text's leaves it undecided."""
        try:
            change = read_change(self.git, commit)
            around = read_surroundings(self.git, commit, self.cache)
            record = decide(self.models, self.answers, Decision(commit, fault), change, around, self.rules.min_words)
        except (ProviderError, CapReached, PromptTooLong, RepositoryError) as error:
            return Regenerated(repository, commit, None, str(error)), error
        add_record(self.ledger.path, record)
        return Regenerated(repository, commit, record), None

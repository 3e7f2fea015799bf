"""Examples of commits that improve how Python code handles errors, mined from histories, file by file.

A kept commit's modified production files are compared before and after: the functions that both sides have must score
higher together after the commit (or have fewer faults), without more faults by any measure, and at least one must
improve in a known kind. Each such file gives a pair of the code stage (the task is the commit's message, the step names
the improvements) and a preference for its new code over the old. Nothing is run.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from agent.edits.format import format_edits
from agent.edits.parse import parse_edits
from harness.mining import Mined, task_text
from harness.mining.repository import DEFENSIVE_FRAMEWORK
from models.errors import EditError
from models.manifest import Change, Commit
from models.protocols import Stage
from models.tokens import ANSWER_TOKENS, WINDOWS, estimate_tokens
from models.training import Pair, PairSource, Preference, Provenance
from repos.git import Git
from repos.index.error_handling import UnreadableCode
from repos.index.error_improvements import Comparison, Kind, compare_files
from repos.index.parse import declares_generated
from repos.text import decode
from store.runs.closed_runs import UNKNOWN
from training.data.sources.coding import code_pair
from training.data.sources.collections import Dropped, Offered, recipe_provenance
from training.data.sources.commit_files import before_and_after, is_revert, reverted
from training.data.sources.evolution import left_as_it_was
from training.data.sources.repository_origin import RepositoryOrigin

LARGEST_DOMAIN, FEWEST_DOMAINS, FEWEST_ORGANISATIONS = 0.2, 6, 5
"""What a corpus should keep to: the largest share of a domain, and how many domains and organisations it spans."""
_TOUCHES = re.compile(r"\b(?:except|raise|assert|suppress|pass)\b|\.get\(|\[[\"']")
_SHOWN_FUNCTIONS = 6


@dataclass
class Spread:
    """Pairs by kind of improvement, by domain and by organisation; a pair of several kinds counts for each."""

    kinds: Counter[str] = field(default_factory=Counter)
    domains: Counter[str] = field(default_factory=Counter)
    organisations: Counter[str] = field(default_factory=Counter)

    def add(self, kinds: Iterable[Kind], provenance: Provenance) -> None:
        """Count a pair."""
        self.kinds.update(kind.value for kind in kinds)
        self.domains[provenance.domain] += 1
        self.organisations[provenance.organisation] += 1

    def described(self) -> dict[str, Any]:
        """For the card, with the rules that are broken. What is unknown counts as one domain that might be any."""
        domains, organisations = (len(each.keys() - {UNKNOWN}) for each in (self.domains, self.organisations))
        total = self.domains.total()
        broken = [
            f"domain {name} has {count / total:.0%} of the pairs, over {LARGEST_DOMAIN:.0%}"
            for name, count in sorted(self.domains.items())
            if count > LARGEST_DOMAIN * total
        ]
        if domains < FEWEST_DOMAINS:
            broken.append(f"{domains} domains, fewer than {FEWEST_DOMAINS}")
        if organisations < FEWEST_ORGANISATIONS:
            broken.append(f"{organisations} organisations, fewer than {FEWEST_ORGANISATIONS}")
        return {
            "kinds": dict(self.kinds.most_common()),
            "domains": dict(self.domains.most_common()),
            "organisations": dict(self.organisations.most_common()),
            "broken_rules": broken,
        }


@dataclass(frozen=True)
class MinedRepository:
    """A clone of ours with what was mined of it (without symbols)."""

    git: Git
    origin: RepositoryOrigin
    mined: Mined


def offers(repository: MinedRepository, spread: Spread, known: set[str]) -> Iterator[list[Offered]]:
    """What each commit of a repository gives. `known` are the ids of pairs that were given already."""
    mined = repository.mined
    framework = DEFENSIVE_FRAMEWORK in repository.origin.flags
    for sha, why in mined.dropped:
        yield [
            Dropped(
                DEFENSIVE_FRAMEWORK if framework else f"commit: {why.value}", f"{repository.origin.name} {sha[:12]}"
            )
        ]
    for commit in mined.aside:
        yield [_lost(repository, commit, DEFENSIVE_FRAMEWORK if framework else "commit: its message is no task")]
    taken_back = reverted(repository.git)
    for commit in mined.commits:
        if framework:
            yield [_lost(repository, commit, DEFENSIVE_FRAMEWORK)]
        elif is_revert(commit) or commit.sha.startswith(taken_back):
            yield [_lost(repository, commit, "commit: a revert, or reverted")]
        else:
            yield _of_commit(repository, commit, spread, known)


def _lost(repository: MinedRepository, commit: Commit, reason: str, path: str = "") -> Dropped:
    return Dropped(reason, f"{repository.origin.name} {commit.sha[:12]} {path}".rstrip())


def _of_commit(repository: MinedRepository, commit: Commit, spread: Spread, known: set[str]) -> list[Offered]:
    changes = [change for change in commit.changes if change.kind == "production" and change.path.endswith(".py")]
    modified = [change for change in changes if change.old_path == change.path]
    if not modified:
        renamed = any(change.old_path for change in changes)
        return [_lost(repository, commit, "file renamed" if renamed else "no Python file is modified")]
    contents = before_and_after(repository.git, commit, [change.path for change in modified])
    found: list[Offered] = []
    for change in modified:
        found += _of_file(repository, commit, change, contents[change.path], spread, known)
    return found


def _of_file(
    repository: MinedRepository,
    commit: Commit,
    change: Change,
    sides: tuple[bytes | None, bytes | None],
    spread: Spread,
    known: set[str],
) -> list[Offered]:
    def lost(reason: str) -> list[Offered]:
        return [_lost(repository, commit, reason, change.path)]

    old, new = sides
    if old is None or new is None:
        return lost("file deleted, or too large")
    try:
        before, after = decode(old, change.path), decode(new, change.path)
    except EditError:
        return lost("file not UTF-8 text")
    if declares_generated(after):
        return lost("file generated")
    if not _touches(before, after):
        return lost("error handling untouched")
    try:
        compared = compare_files(before, after)
    except UnreadableCode:
        return lost("file does not parse by this Python")
    if not compared.improvements:
        return lost("no kind of improvement")
    if not compared.better:
        return lost("score does not rise")
    if compared.new_faults:
        return lost("new faults beside the improvement")
    kinds = sorted({each.kind for each in compared.improvements})
    provenance = _provenance(repository, commit, change.path, kinds)
    pair = code_pair(
        PairSource.FAIL_FAST, task_text(commit.message), described(compared), change.path, before, after, provenance
    )
    if isinstance(pair, Dropped):
        return [pair]
    size = sum(estimate_tokens(text) for text in (*(message.content for message in pair.messages), pair.answer))
    if size > WINDOWS[Stage.CODE] or estimate_tokens(before) > WINDOWS[Stage.CODE] - ANSWER_TOKENS[Stage.CODE]:
        return lost("file over the window")
    if pair.id in known:
        return lost("same as another")
    known.add(pair.id)
    spread.add(kinds, provenance)
    return [pair, *_preferences(pair, before)]


def _touches(before: str, after: str) -> bool:
    """Whether a line that only one side has may have to do with errors."""
    old, new = Counter(before.split("\n")), Counter(after.split("\n"))
    return any(map(_TOUCHES.search, (old - new) | (new - old)))


def described(compared: Comparison) -> str:
    """The step: the improvements by function, then what else changes."""
    by_function: dict[str, list[str]] = {}
    for each in compared.improvements:
        by_function.setdefault(each.function, []).append(each.what)
    sentences = [f"In `{function}`, {'; '.join(what)}." for function, what in by_function.items()]
    if compared.others:
        shown = ", ".join(f"`{name}`" for name in compared.others[:_SHOWN_FUNCTIONS])
        more = len(compared.others) - _SHOWN_FUNCTIONS
        sentences.append(f"Change {shown}{f' and {more} more' if more > 0 else ''} as the task says.")
    return " ".join(sentences)


def _preferences(pair: Pair, before: str) -> list[Preference]:
    """The new code over the old, in the same edits; none if the edits only add."""
    edits = parse_edits(pair.answer)
    path = edits[0].path
    rejected = format_edits(left_as_it_was(edits, {path: before}))
    if parse_edits(rejected) == edits:
        return []
    return [
        Preference(
            stage=pair.stage,
            source=pair.source,
            kind="before-after",
            messages=pair.messages,
            chosen=pair.answer,
            rejected=rejected,
            chosen_by=pair.provenance,
            rejected_by=pair.provenance,
        )
    ]


def _provenance(repository: MinedRepository, commit: Commit, path: str, kinds: Sequence[Kind]) -> Provenance:
    row = f"{repository.origin.name}__{commit.sha[:12]}:{path}:{'+'.join(kind.value for kind in kinds)}"
    return recipe_provenance(
        PairSource.FAIL_FAST,
        row,
        repository=repository.origin.name,
        organisation=repository.origin.organisation,
        domain=repository.origin.domain,
        license=repository.origin.license,
        commit=commit.sha,
        base_commit=commit.parent,
    )

"""How well a judge of descriptions tells the messages of commits from those of other commits; and whether descriptions
that a model wrote lead retrieval to the files that change.

    uv run python benchmarks/message_judge.py CLONE... --with ENDPOINT|embedded|lexical [--commits N] [--seed N]
    uv run python benchmarks/message_judge.py CLONE... --retrieval

Of each repository, N (20) kept commits evenly over its history. Each is judged with its own message and with that of
another of the same repository, as `cra messages regenerate` judges: blind, the same prompt. Printed: the area under the
ROC curve with an interval by bootstrap over commits, how often a commit's own message scored higher, and the share of
both that each threshold lets through. `lexical` asks no model: its score is the share of a message's words (without
common ones) that the change holds, as 1 to 5; a judge that reads must do better. Answers are kept under
CRA_DATA_DIR/messages, so that the same command goes on where it was stopped.

`--retrieval` ranks the files of the parent, without a model, by the message and by the accepted description of each
commit that `cra messages regenerate` has decided about, and prints recall@10 of the production files that it changed.
"""

import argparse
import random
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from pydantic import ValidationError

from agent.retrieve.corpus import corpus_of
from agent.retrieve.weights import WEIGHTS
from evals.retrieval import RankingScores, ranked
from evals.separation import separation, shares_from
from harness.mining import mine, task_text
from harness.mining.regenerated import MessageLedger
from harness.supplement.messages.answers import Description
from harness.supplement.messages.asking import Answers, Asked, Endpoint, Unreadable
from harness.supplement.messages.change import CodeChange, read_change
from harness.supplement.messages.checks import refuse, words_of
from harness.supplement.messages.regeneration import SCORE_TOKENS, judge
from host.settings import load_settings
from llm import open_endpoint
from models.manifest import Commit
from models.messages import RubricScores
from repos.git import Git, clone
from repos.index import IndexCache, build_index
from repos.sources import GitSource

LEXICAL = "lexical"
Score = Callable[[CodeChange, str], float]
"""The score of a text against a change, 1 to 5; raises Unreadable."""


@dataclass(frozen=True)
class Judged:
    """The scores of a commit's own message, and of another commit's; and whether each passes the checks without a
    model."""

    own: float
    other: float
    own_passes: bool
    other_passes: bool


def lexical(change: CodeChange, text: str) -> float:
    """The share of a text's words that the change holds, from 1 to 5."""
    words = words_of(text)
    shown = words_of("\n".join((*change.changed_lines, *change.paths)))
    return 1 + 4 * len(words & shown) / len(words) if words else 1.0


def passes(change: CodeChange, text: str) -> bool:
    """Whether a text passes the checks that need no model."""
    subject, _, body = text.partition("\n")
    try:
        written = Description(subject=subject, body=body)
    except ValidationError:
        return False
    return refuse(written, change, load_settings().mining.min_words) is None


def by_model(name: str) -> Score:
    """The score by an endpoint's model."""
    settings = load_settings()
    endpoint = Endpoint(open_endpoint(settings.models, name), name, SCORE_TOKENS)
    answers = Answers(settings.data_dir / "messages" / "judge-benchmark.answers.jsonl")

    def score(change: CodeChange, text: str) -> float:
        found: RubricScores = judge(endpoint, answers, change, text, Asked())
        return found.mean

    return score


def chosen(git: Git, most: int) -> list[Commit]:
    """At most so many kept commits, evenly over the history."""
    kept = mine(git, load_settings().mining, with_symbols=False).commits
    step = max(1, len(kept) // most)
    return list(kept[::step][:most])


def judged(git: Git, score: Score, most: int, seed: int) -> Iterator[Judged | None]:
    """The scores of commits of a repository; None where the judge's answers could not be read."""
    commits = chosen(git, most)
    order = random.Random(seed).sample(range(len(commits)), len(commits))
    others = {place: order[(at + 1) % len(order)] for at, place in enumerate(order)}  # nobody gets their own
    for place, commit in enumerate(commits) if len(commits) > 1 else ():
        change = read_change(git, commit)
        try:
            texts = (task_text(commit.message), task_text(commits[others[place]].message))
            own, other = (score(change, text) for text in texts)
            yield Judged(own, other, *(passes(change, text) for text in texts))
        except Unreadable:
            yield None


def print_judge(found: list[Judged], unreadable: int) -> None:
    """The figures of a judge."""
    own, other = [each.own for each in found], [each.other for each in found]
    area = separation(own, other)
    print(f"AUC {area.auc:.3f} [{area.low:.3f}, {area.high:.3f}], {area.items} commits, {unreadable} unreadable")
    higher, equal = fmean(a > b for a, b in zip(own, other, strict=True)), fmean(map(float.__eq__, own, other))
    print(f"own message higher {higher:.1%}, equal {equal:.1%}; means {fmean(own):.2f} and {fmean(other):.2f}")
    passing, others = fmean(each.own_passes for each in found), fmean(each.other_passes for each in found)
    print(f"checks without a model let {passing:.1%} of own and {others:.1%} of other messages through")
    print("threshold  own    other  difference")
    for quarter in range(6, 21):
        kept, let = shares_from(quarter / 4, own, other)
        print(f"{quarter / 4:9.2f}  {kept:5.1%}  {let:5.1%}  {100 * (kept - let):+.0f}")


def recalls(git: Git, ledger: MessageLedger, cache: IndexCache) -> Iterator[tuple[float, float]]:
    """Recall@10 by the message and by the accepted description, of each commit that has one."""
    accepted = ledger.accepted()
    for commit in mine(git, load_settings().mining, with_symbols=False).aside:
        changed = {each.old_path for each in commit.changes if each.old_path and each.kind == "production"}
        if commit.sha not in accepted or not changed:
            continue
        corpus = corpus_of(build_index(GitSource(git, commit.parent), cache))
        texts = (commit.message, accepted[commit.sha].text)
        old, new = (RankingScores.of(ranked(text, corpus, WEIGHTS), changed).recalls[-1] for text in texts)
        yield old, new


def print_recalls(pairs: list[tuple[float, float]]) -> None:
    """The figures of retrieval."""
    if not pairs:
        print("no commit has an accepted description and a production file that existed before")
        return
    by_message, by_description = (fmean(values) for values in zip(*pairs, strict=True))
    print(f"recall@10 {by_message:.3f} by messages, {by_description:.3f} by descriptions of {len(pairs)} commits:")
    print(f"{sum(b > a for a, b in pairs)} better, {sum(b < a for a, b in pairs)} worse")


def main() -> None:
    """Judge or rank, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clones", nargs="+")
    parser.add_argument("--with", dest="judge", default=LEXICAL)
    parser.add_argument("--commits", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--retrieval", action="store_true")
    given = parser.parse_args()
    settings = load_settings()
    found: list[Judged | None] = []
    pairs: list[tuple[float, float]] = []
    score = lexical if given.judge == LEXICAL or given.retrieval else by_model(given.judge)
    with tempfile.TemporaryDirectory() as temporary:
        for number, source in enumerate(sorted(given.clones)):
            git = clone(source, Path(temporary) / str(number))
            if given.retrieval:
                ledger = MessageLedger.of(settings.data_dir, git)
                pairs += recalls(git, ledger, IndexCache(settings.cache_dir / "index"))
                continue
            for one in judged(git, score, given.commits, given.seed):
                found.append(one)
                print(Path(source).name, one, flush=True)
    if given.retrieval:
        print(
            f"recall@10 {fmean(a for a, _ in pairs):.3f} by messages, {fmean(b for _, b in pairs):.3f} by descriptions,"
        )
        print(f"{len(pairs)} commits: {sum(b > a for a, b in pairs)} better, {sum(b < a for a, b in pairs)} worse")
    else:
        print_judge([each for each in found if each is not None], found.count(None))


if __name__ == "__main__":
    main()

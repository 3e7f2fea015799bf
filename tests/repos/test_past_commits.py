"""Histories of revisions, whatever was asked for before them."""

import random
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from agent.retrieve.bm25 import K1, Field
from repos.git import Git
from repos.index import IndexCache, PastCommit, ancestry
from repos.sources import GitSource


@pytest.fixture(scope="module")
def branched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Git, list[str]]:
    """A history with side branches and merges, and its revisions from the latest back."""
    directory = tmp_path_factory.mktemp("branched") / "r"
    subprocess.run(["git", "init", "--quiet", "--bare", "-b", "main", str(directory)], check=True)
    parts = []
    for number in range(1, 25):
        person = f"Ann <ann@example.com> {1_700_000_000 + 60 * (number // 2)} +0000"
        parents = [number - 2, number - 1] if number % 5 == 0 else [number - 2 if number % 5 == 4 else number - 1]
        first, *others = [f":{parent}" for parent in parents if parent > 0] or [""]
        ties = (f"from {first}\n" if first else "") + "".join(f"merge {other}\n" for other in others)
        subject, text = f"Change {number}", f"x = {number}\n"
        parts.append(
            f"commit refs/heads/main\nmark :{number}\ncommitter {person}\ndata {len(subject)}\n{subject}\n{ties}"
            f"M 100644 inline f{number % 3}.py\ndata {len(text)}\n{text}\n"
        )
    command = ["git", "--git-dir", str(directory), "fast-import", "--quiet", "--force"]
    subprocess.run(command, input="".join(parts).encode(), check=True)
    git = Git(directory)
    return git, git.text("rev-list", "main").split()


@pytest.mark.parametrize("most", [7, 2000])
def test_a_history_does_not_depend_on_what_was_asked_before(
    branched: tuple[Git, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(ancestry, "MOST_COMMITS", most)
    monkeypatch.setattr(ancestry, "_LONGEST_CHAIN", 6)
    git, revisions = branched
    orders = [revisions, revisions[::-1], *(random.Random(seed).sample(revisions, len(revisions)) for seed in range(3))]
    for number, order in enumerate(orders):
        cache = IndexCache(tmp_path / str(number))
        for revision in order:
            source = GitSource(git, revision)
            fresh = ancestry.history(source, None)
            assert ancestry.history(source, cache) == fresh
            assert ancestry.history(source, IndexCache(tmp_path / str(number))) == fresh


def test_going_back_no_commit_is_read_again(branched: tuple[Git, list[str]], tmp_path: Path) -> None:
    asked: list[int] = []

    class Counting(GitSource):
        def commits(self, limit: int, cached: Mapping[str, PastCommit]) -> list[PastCommit]:
            found = super().commits(limit, cached)
            asked.append(sum(commit.sha not in cached for commit in found))
            return found

    git, _ = branched
    cache = IndexCache(tmp_path)
    for revision in git.text("rev-list", "--first-parent", "main").split():
        ancestry.history(Counting(git, revision), cache)
    first, *others = asked
    assert others
    assert first > 15
    assert set(others) == {0}


def test_a_field_scores_by_bm25() -> None:
    documents = [{"a": 2.0, "b": 1.0}, {"b": 3.0}, {}]
    field = Field(documents)
    average = 2.0
    wanted = {"a": 1.0, "b": 0.5, "c": 4.0}
    for _ in range(2):
        scores = field.scores(wanted)
        for document, score in zip(documents, scores, strict=True):
            norm = K1 * (1 - 0.75 + 0.75 * sum(document.values()) / average)
            parts = [
                weight * field.weight(term) * (K1 + 1) * document[term] / (document[term] + norm)
                for term, weight in wanted.items()
                if term in document
            ]
            assert score == pytest.approx(sum(parts))
    assert field.holding("b") == [(0, 1.0), (1, 3.0)]
    assert field.holding("c") == []

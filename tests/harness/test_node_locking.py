"""Environments of JavaScript commits: dated by the parent's day, with later releases only where these are needed."""

import json
from base64 import b64encode
from pathlib import Path

import pytest

from benchmarks.attacks._histories import History
from harness.packages.checks.node import node_environment
from harness.packages.locking import CommitCandidate, find_environments
from models.manifest import Environment
from runtime.environments.node import parse_lock

pytestmark = pytest.mark.index

PARENT, COMMIT = "2024-06-10", "2024-12-01"
"""picocolors 1.0.1 is from before the first day; 1.1.0 and 1.1.1 are from between them."""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Releases and archives that the tests of this module share."""
    return tmp_path_factory.mktemp("cache")


def package(wanted: str, **more: object) -> dict[str, str | None]:
    return {"package.json": json.dumps({"name": "little", "dependencies": {"picocolors": wanted}, **more})}


def candidate(history: History, cache: Path, *commits: str) -> list[CommitCandidate]:
    mined = [history.mined(sha, "lib/a.js") for sha in commits]
    return find_environments(history.git, mined, history.folder.parent / "packages", cache)


def version(environment: Environment | None, place: str = "node_modules/picocolors") -> str:
    assert environment is not None
    return parse_lock(environment.lock).packages[place].version


def test_a_release_between_the_parent_and_the_commit_is_not_used(cache: Path, tmp_path: Path) -> None:
    history = History(tmp_path / "work")
    history.commit(package("^1.0.1"), PARENT)
    first = history.commit({"lib/a.js": "1;\n"}, COMMIT)
    second = history.commit({"lib/a.js": "2;\n"}, COMMIT)
    found, later = (each.environment for each in candidate(history, cache, first, second))
    assert found is not None and later is not None
    assert (version(found), found.cutoff, found.days_after, found.late_because) == ("1.0.1", PARENT, 0, "")
    assert (version(later), later.cutoff, later.days_after) == ("1.1.1", COMMIT, 0)


def test_what_only_the_commit_requires_is_of_its_day_and_the_environment_says_so(cache: Path, tmp_path: Path) -> None:
    history = History(tmp_path / "work")
    history.commit(package("^1.0.1"), PARENT)
    sha = history.commit({**package("^1.1.0"), "lib/a.js": "1;\n"}, COMMIT)
    [found] = candidate(history, cache, sha)
    assert found.environment is not None
    assert (version(found.environment), found.environment.cutoff) == ("1.1.1", "2024-12-02")
    assert found.environment.days_after == 175
    assert "picocolors" in found.environment.late_because
    kept = {name: parse_lock(found.environment.lock).wheel for name in found.environment.wheels}
    assert list(node_environment("environment", found.environment, kept)) == []
    wrong = found.environment.model_copy(update={"days_after": -1})
    assert [each.field for each in node_environment("environment", wrong, kept)] == ["environment.days_after"]


def test_a_lock_that_the_commit_changes_is_of_its_own_day(cache: Path, tmp_path: Path) -> None:
    history = History(tmp_path / "work")
    history.commit(package("^1.0.1"), PARENT)
    sha = history.commit({"lib/a.js": "1;\n"}, PARENT)
    [undated] = candidate(history, cache, sha)
    assert undated.environment is not None
    sha512 = parse_lock(undated.environment.lock).packages["node_modules/picocolors"].sha512
    entry = {"version": "1.0.1", "integrity": f"sha512-{b64encode(bytes.fromhex(sha512)).decode()}"}
    places = {"": {"name": "little", "dependencies": {"picocolors": "^1.0.1"}}, "node_modules/picocolors": entry}
    lock = {"package-lock.json": json.dumps({"name": "little", "lockfileVersion": 3, "packages": places})}
    changes = history.commit({**lock, "lib/a.js": "2;\n"}, COMMIT)
    keeps = history.commit({"lib/a.js": "3;\n"}, COMMIT)
    [changed], [kept] = candidate(history, cache, changes), candidate(history, cache, keeps)
    assert changed.environment is not None and kept.environment is not None
    assert version(changed.environment) == version(kept.environment) == "1.0.1"
    assert (changed.environment.days_after, kept.environment.days_after) == (175, 0)
    assert changed.environment.late_because
    assert kept.environment.late_because == ""

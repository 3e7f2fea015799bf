"""What a commit's environment is asked for, and what becomes of one that cannot be had."""

from datetime import UTC, datetime
from pathlib import Path

from harness.packages.prepare import find_environment, with_dropped
from models.manifest import Change, Commit, Environment, InvalidReason
from repos.git import Git
from runtime.environments import (
    Project,
    choose_interpreter,
    discover,
    discover_commit,
    installed_interpreters,
    spec_key,
)
from tests.support.gold_material import Repository
from tests.support.wheels import lock_text, make_wheel


def project(*requires: str) -> Project:
    text = '[project]\nname = "little"\ndependencies = [' + ", ".join(f'"{each}"' for each in requires) + "]\n"
    return discover({"pyproject.toml": text.encode()}.get, ["pyproject.toml"])


def test_what_only_the_parent_required_stays_in() -> None:
    both = with_dropped(project("anyio", "attrs>=2"), project("attrs>=1", "pytest-asyncio!=0.22.0"))
    assert both.requires == ("anyio", "attrs>=2", "pytest", "pytest-asyncio!=0.22.0")


def test_nothing_is_added_when_nothing_was_dropped() -> None:
    own = project("anyio")
    assert with_dropped(own, own) == own
    assert with_dropped(own, project()) == own


def test_a_wheel_that_was_published_damaged_is_the_fault_of_the_commits_that_need_it(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "work")
    parent = repository.commit({"little.py": "a = 1\n", "pyproject.toml": '[project]\nname = "little"\n'})
    sha = repository.commit({"little.py": "a = 2\n"})
    git, date = Git(repository.directory), datetime(2024, 5, 2, tzinfo=UTC)
    change = Change(path="little.py", old_path="little.py", kind="production", added=1, deleted=1)
    commit = Commit(
        sha=sha, parent=parent, subject="A change", message="A change", author_date="2024-05-02",
        committed=int(date.timestamp()), changes=(change,), planning_types=(),
    )  # fmt: skip
    # The lock is made, and what it names lies there: its hash is right, and its RECORD is not.
    wheel = make_wheel(tmp_path / "packages", "odd", "1.0", {"odd.py": ""}, record="odd.py,sha256=AAAA,0\n")
    python = choose_interpreter("", date, installed_interpreters())
    key = spec_key(discover_commit(git, sha), python)
    environment = Environment(
        key=key, python=python.version, abi=python.abi, requires=("odd",), cutoff="2024-05-02",
        lock=lock_text(wheel), wheels=(),
    )  # fmt: skip
    lock = tmp_path / "cache" / "locks" / f"{key}-20240502.json"
    lock.parent.mkdir(parents=True)
    lock.write_text(environment.model_dump_json())
    found = find_environment(git, commit, {}, tmp_path / "packages", tmp_path / "cache")
    assert (found.environment, found.reason) == (None, InvalidReason.NO_WHEEL)
    assert "odd-1.0-py3-none-any.whl" in found.detail

"""A reserved repository is recognised in the middle of a history that begins and ends with other code."""

import shutil
from pathlib import Path

import pytest
from sqlalchemy import Engine

from evals.sets import copy_of_reserved, reserve
from exchange.intake.reservation import use_of
from harness.packages.contents import contents_along, package_content, shared_code
from harness.packages.package import RepoPackage
from models.errors import PackageRefused
from models.intake import RefusalReason
from repos.git import Git
from store.database import open_database
from store.runs.corpus import register_package
from tests.support.hostile_base import git


def _decoy(repo: Path, number: int) -> str:
    """A tree with code of its own."""
    lines = (f"def other_{n}(value):\n    return value * {n} + {number} - value // {n + 1}\n" for n in range(200))
    blob = git(repo, "hash-object", "-w", "--stdin", stdin="\n".join(lines).encode())
    return git(repo, "mktree", stdin=f"100644 blob {blob}\tother.py\n".encode())


def _hidden(sample: RepoPackage, folder: Path) -> RepoPackage:
    """A package that holds an instance of another one between two of its own."""
    directory = Path(shutil.copytree(sample.directory, folder / "other"))
    repo = directory / "repo"
    stolen = next(each for each in sample.manifest.instances if each.valid)
    trees = [_decoy(repo, 1), _decoy(repo, 2), f"{stolen.base_commit}^{{tree}}", f"{stolen.commit}^{{tree}}"]
    commits: list[str] = []
    for tree in (*trees, _decoy(repo, 3), _decoy(repo, 4)):
        parent = ["-p", commits[-1]] if commits else []
        commits.append(git(repo, "commit-tree", *parent, "-m", "Change it", git(repo, "rev-parse", tree)))
    pairs = zip(commits[::2], commits[1::2], strict=True)
    instances = tuple(stolen.model_copy(update={"base_commit": one, "commit": two}) for one, two in pairs)
    git(repo, "update-ref", "HEAD", commits[-1])
    manifest = sample.manifest.model_copy(update={"name": "other", "head": commits[-1], "instances": instances})
    return RepoPackage(directory, manifest)


@pytest.fixture
def databases(sample: RepoPackage, tmp_path: Path) -> tuple[Engine, Engine]:
    """Databases in which the sample is reserved: (curated, raw)."""
    raw = open_database(tmp_path / "raw.sqlite", "raw")
    curated = open_database(tmp_path / "curated.sqlite", "curated")
    register_package(raw, sample.manifest, package_content(sample))
    reserve(curated, raw, ["spans"], "test")
    return curated, raw


def test_a_reserved_repository_in_the_middle_of_another_history_is_refused(
    databases: tuple[Engine, Engine], sample: RepoPackage, tmp_path: Path
) -> None:
    package = _hidden(sample, tmp_path)
    assert copy_of_reserved(*databases, package_content(package)) == ""
    with pytest.raises(PackageRefused) as refused:
        use_of(*databases, package)
    assert refused.value.reason is RefusalReason.RESERVED_COPY


def test_another_history_is_for_training(databases: tuple[Engine, Engine], sample: RepoPackage, tmp_path: Path) -> None:
    package = _hidden(sample, tmp_path)
    own = package.manifest.model_copy(update={"instances": package.manifest.instances[::2]})
    assert use_of(*databases, RepoPackage(package.directory, own)) == "training"


def test_contents_along_a_history_are_those_of_its_states(sample: RepoPackage) -> None:
    first, *states = contents_along(sample)
    assert first.roots == tuple(Git(sample.directory / "repo").text("rev-list", "--max-parents=0", "HEAD").split())
    whole = package_content(sample)
    assert max(shared_code(whole, each) for each in states) > 0.9

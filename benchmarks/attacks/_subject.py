"""The sample repository as a package, prepared once per process: what patches are judged over."""

import atexit
import functools
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.mining import mine
from harness.packages.building import with_builder
from harness.packages.package import RepoPackage, read_package
from harness.packages.prepare import acquire, find_environment, select, validate_candidate, write_package
from harness.packages.sample import build_sample
from harness.validation.judge import judge_candidate
from models.limits import Limits
from models.manifest import Environment, Instance
from models.outcomes import Validation
from runtime.environments import EnvironmentStore
from runtime.sandbox import open_sandbox
from runtime.trees import Runtime

SIGN, SPAN = "a6e5196", "c4d48e6"
"""The commit that puts a sign in front of negative durations, and the one that adds a class."""


@dataclass(frozen=True)
class Subject:
    """A prepared package and the runtime to judge by."""

    runtime: Runtime
    package: RepoPackage

    def instance(self, commit: str) -> Instance:
        """The instance of a commit, by the beginning of its id."""
        return next(each for each in self.package.manifest.instances if each.commit.startswith(commit))

    def base(self, commit: str, path: str) -> str:
        """A file's text at an instance's base; "" if it is not there."""
        return (self.package.git.read(self.instance(commit).base_commit, path) or b"").decode()

    def judge(self, commit: str, files: Mapping[str, str | None]) -> Validation:
        """The verdict on a patch, given as the files that it leaves."""
        changes = {path: None if text is None else (text.encode(), False) for path, text in files.items()}
        return judge_candidate(self.runtime, self.package, self.instance(commit), changes, "attack")[0]


@functools.cache
def subject() -> Subject:
    """The sample, gold-validated. Needs the package index the first time."""
    root = Path(tempfile.mkdtemp(prefix="cra-subject-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    return prepare_sample(root, (SIGN, SPAN))


def prepare_sample(root: Path, commits: tuple[str, ...], environments: Path | None = None) -> Subject:
    """The sample's instances of some commits, named by the beginnings of their ids, gold-validated under `root`."""
    runtime = _runtime(root, environments)
    source = acquire(str(build_sample(root / "spans")), root / "corpus")
    mined = mine(source.git)
    known: dict[str, Environment] = {}
    packages, cache = source.directory / "packages", root / "cache"
    chosen = [commit for commit in select(mined, 20) if commit.sha.startswith(commits)]
    found = [find_environment(source.git, commit, known, packages, cache) for commit in chosen]
    found = [with_builder(runtime, source.git, each, packages, cache) for each in found]
    instances = [validate_candidate(runtime, source.git, each, packages, cache)[0] for each in found]
    write_package(source, mined, found, instances, {})
    return Subject(runtime, read_package(source.directory))


def prepared_sample(root: Path, scratch: Path, environments: Path) -> Subject:
    """What `prepare_sample` has written to `root`, for another process with files of its own under `scratch`."""
    return Subject(_runtime(scratch, environments), read_package(root / "corpus" / "spans"))


def _runtime(root: Path, environments: Path | None) -> Runtime:
    store = EnvironmentStore(environments or root / "environments", 4 * 1024**3)
    return Runtime(open_sandbox(), store, Limits(wall_seconds=8), root / "cache" / "scratch")

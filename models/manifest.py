"""The manifest of a repo package: everything that a campaign needs to know about a repository, and nothing that varies
between runs (timings are kept in a separate file), so that the same inputs give the same bytes."""

import hashlib
from enum import StrEnum
from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from models.causes import Cause, TestCategory
from models.generated import GeneratedTests
from models.messages import TaskSource
from models.plans import Frozen

SCHEMA_VERSION: Literal[1] = 1


class PlanningType(StrEnum):
    """Which planning capability a commit exercises (one commit may exercise several)."""

    META = "meta"  # four or more files, new symbols
    STEP = "step"  # one to three files, existing symbols changed
    TEST = "test"  # tests changed, production code unchanged
    ALL = "all"  # production and tests changed together


class DropReason(StrEnum):
    """Why the miner dropped a commit: the first rule that it breaks."""

    UNREADABLE = "unreadable"  # no author or date, or one that is no date
    ROOT = "root"  # the first commit has no parent to start from
    MERGE = "merge"
    AUTOMATED = "automated"
    VERSION_BUMP = "version-bump"
    DOCS_ONLY = "docs-only"
    CI_ONLY = "ci-only"
    NO_CODE = "no-code"
    BINARY = "binary"
    UNREADABLE_PATH = "unreadable-path"  # a file name that is not UTF-8, or that no tree may hold
    TOO_MANY_FILES = "too-many-files"
    TOO_MANY_LINES = "too-many-lines"


class Change(Frozen):
    """One changed file of a commit. `old_path` is None for a new file and differs from `path` for a renamed one.

    `path` of a deleted file is the one it had. Line counts are 0 for a pure rename and for a binary file.
    """

    path: str
    old_path: str | None
    added: int
    deleted: int
    kind: Literal["production", "test", "other"]


class Commit(Frozen):
    """A mined commit. `symbols` are the qualified names of the functions and classes it changes, as `path::name`."""

    sha: str
    parent: str
    subject: str
    message: str
    author_date: str
    committed: int
    changes: tuple[Change, ...]
    planning_types: tuple[PlanningType, ...]
    symbols: tuple[str, ...] = ()
    needs_message: bool = False

    @property
    def lines(self) -> int:
        """Lines added and deleted, all files together."""
        return sum(change.added + change.deleted for change in self.changes)

    @property
    def mixed(self) -> bool:
        """Whether production code and tests change together."""
        kinds = {change.kind for change in self.changes}
        return {"production", "test"} <= kinds


class MiningFunnel(Frozen):
    """Commits examined, commits dropped by reason, and commits kept."""

    total: int
    dropped: dict[str, int]
    needs_message: int
    kept: int
    mixed: int


_UNSAID: dict[str, object] = {"days_after": None, "late_because": ""}
PYTHON, NODE = "python", "node"
"""Languages of environments."""


class Environment(Frozen):
    """An environment by content. `lock` is a hash-pinned requirements file without the repository's distribution.

    One of Node.js has no `python` and no `requires`; its `abi` is `node` with the release, its `wheels` that release,
    and its `lock` lists the packages of its tree.

    `requires` are the requirements it was resolved from, `cutoff` the date (ISO) before which releases were considered:
    those uploaded before its first moment (UTC). It is `days_after` days after the day of the earliest parent of the
    commits that share it, because of `late_because`, which no earlier release fulfils; None in older packages.
    """

    key: str
    python: str  # "3.12"
    abi: str  # "cp312"
    requires: tuple[str, ...]
    cutoff: str
    lock: str
    wheels: tuple[str, ...]
    days_after: int | None = None
    late_because: str = ""

    @property
    def language(self) -> str:
        """What it runs: Python or Node.js."""
        return NODE if self.abi.startswith(NODE) else PYTHON

    @model_serializer(mode="wrap")
    def _without_unset(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Omit unset fields, so that an environment of an earlier version, and its package, keep their identity."""
        data: dict[str, Any] = handler(self)
        return {name: value for name, value in data.items() if name not in _UNSAID or value != _UNSAID[name]}


class InvalidReason(StrEnum):
    """Why a mined commit could not become an instance."""

    # properties of the commit
    NO_FAIL_TO_PASS = "no-fail-to-pass"  # behaviour did not change as far as the tests show
    FLAKY = "flaky"  # every test that distinguished it was flaky
    NEEDS_NEWER_PYTHON = "needs-newer-python"
    NEEDS_OTHER_PLATFORM = "needs-other-platform"
    NO_TESTS = "no-tests"
    NOT_PYTHON = "not-python"  # mined, but running tests is for Python repositories
    UNSUPPORTED_CHANGE = "unsupported-change"  # binary, symlink or submodule in the gold patch
    GOLD_FAILS = "gold-fails"  # the touched tests fail on the commit itself
    IMPOSSIBLE_DATE = "impossible-date"  # dated where no release of an index can be
    INDISTINCT = "indistinct"  # by its text no test can tell it from its parent; nothing is installed or run
    # the environment's fault
    UNRESOLVABLE = "unresolvable"
    NO_WHEEL = "no-wheel"
    BUILD_FAILED = "build-failed"
    COLLECTION_ERROR = "collection-error"
    SKIPPED_TESTS = "skipped-tests"  # touched tests skip, most likely because a dependency is missing
    SHADOWED = "shadowed"  # the imported package is not in the work tree
    TIMEOUT = "timeout"
    CRASHED = "crashed"
    # a limit of ours
    NOT_TRIED = "not-tried"  # the repository's time was used up before its turn

    @property
    def environment_fault(self) -> bool:
        """Whether a better environment could make this commit valid."""
        return self in _ENVIRONMENT_FAULTS


_ENVIRONMENT_FAULTS = frozenset(
    {
        InvalidReason.UNRESOLVABLE,
        InvalidReason.NO_WHEEL,
        InvalidReason.BUILD_FAILED,
        InvalidReason.COLLECTION_ERROR,
        InvalidReason.SKIPPED_TESTS,
        InvalidReason.SHADOWED,
        InvalidReason.TIMEOUT,
        InvalidReason.CRASHED,
    }
)


class ExcludedTest(Frozen):
    """A test that takes no part in the verdict, and why; `category` is None in older packages."""

    id: str
    reason: str
    category: TestCategory | None = Field(default=None, exclude_if=lambda value: value is None)


class SampledSuite(Frozen):
    """The test files that stand for a suite that costs too much: those that the commit touches, those that reach the
    changed files, and of all others a share, chosen by their hash. `of` is the number of test files.
    """

    files: tuple[str, ...]
    affected: int = 0
    share: str = "0"  # a fraction: "1/8"
    of: int = 0


_MAY_BE_UNSET = frozenset({"build", "generated", "cause", "sampled", "message"})


class Instance(Frozen):
    """A mined commit, runnable if `valid`. `version` is what the repository's own distribution reports where its
    back end takes it from tags (last tag).

    `build` is the environment in which the repository's distribution is built; without one it is used from its sources.
    `generated` are tests added to the commit's own, which distinguish nothing without them. `cause` says more of
    `reason`. With `sampled`, the tests are those of some files, and no others are run. `message` is the source of a
    task that a model wrote; without one, the task is the commit's own message.
    """

    instance_id: str
    commit: str
    base_commit: str
    task: str
    planning_types: tuple[PlanningType, ...]
    production_files: tuple[str, ...]
    test_files: tuple[str, ...]
    symbols: tuple[str, ...] = ()
    version: str = "0"
    environment: str | None = None
    build: str | None = None
    fail_to_pass: tuple[str, ...] = ()
    pass_to_pass: tuple[str, ...] = ()
    excluded: tuple[ExcludedTest, ...] = ()
    reason: InvalidReason | None = None
    detail: str = ""
    generated: GeneratedTests | None = None
    cause: Cause | None = None
    sampled: SampledSuite | None = None
    message: TaskSource | None = None

    @model_serializer(mode="wrap")
    def _without_unset(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Omit what is unset, so that an instance of an earlier version keeps its text and identity."""
        data: dict[str, Any] = handler(self)
        return {name: value for name, value in data.items() if value is not None or name not in _MAY_BE_UNSET}

    @property
    def valid(self) -> bool:
        """Whether the gold patch was seen to pass the tests, and the parent to fail them."""
        return self.reason is None


class Manifest(Frozen):
    """`manifest.json` of a repo package."""

    schema_version: Literal[1] = SCHEMA_VERSION
    name: str
    source: str
    license: str | None
    organisation: str | None
    domain: str | None
    head: str
    python: str
    test_command: tuple[str, ...]
    lines_of_code: int
    flags: tuple[str, ...] = ()
    funnel: MiningFunnel
    environments: tuple[Environment, ...] = ()
    wheels: dict[str, str] = Field(default_factory=dict, description="file name -> SHA-256")
    instances: tuple[Instance, ...] = ()

    def to_json(self) -> str:
        """Canonical text: the same manifest gives the same bytes."""
        return self.model_dump_json(indent=2) + "\n"

    def identity(self) -> str:
        """Hash of the whole manifest, which covers the wheels and the commit ids that it names."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def environment(self, key: str) -> Environment:
        """The environment under `key`; KeyError names it if the manifest lacks it."""
        for environment in self.environments:
            if environment.key == key:
                return environment
        raise KeyError(f"manifest of {self.name} has no environment {key}")

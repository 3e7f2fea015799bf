"""Why a commit became no instance, and why a test takes no part in verdicts: causes, and the layers they lie in."""

from enum import StrEnum

from pydantic import Field

from models.plans import Frozen


class Layer(StrEnum):
    """Where a cause lies, in the order in which a commit passes through the layers."""

    COMMIT = "commit"  # the change itself: its files, its date
    RESOLUTION = "resolution"  # no interpreter, or no set of releases, fits the requirements
    DOWNLOAD = "download"  # a release has no usable wheel
    BUILD = "build"  # of the environment or of the repository
    CONFIGURATION = "configuration"  # the test runner does not start with the repository's settings
    COLLECTION = "collection"  # a test module, or tests in it, cannot be found
    IMPORT = "import"
    FIXTURE = "fixture"  # outside of the test's body: set-up and clean-up
    TEST = "test"
    BUDGET = "budget"  # time: a limit of one run, of a commit, of a repository


class TestCategory(StrEnum):
    """Why a test takes no part in verdicts. Those of the environment are not failures of the commit."""

    __test__ = False  # not a test, though pytest would take it for one by its name

    DOCTEST = "doctest"
    FLAKY = "flaky"
    GONE = "gone"  # not there at the commit
    ONLY_AT_COMMIT = "only-at-commit"  # passes there only, outside the touched test files
    SKIPPED = "skipped"
    EXPECTED = "expected-failure"
    BROKEN = "broken"  # fails at the commit by itself
    # lacking in the environment
    MISSING_MODULE = "missing-module"
    MISSING_PROGRAM = "missing-program"
    MISSING_FILE = "missing-file"
    MISSING_FIXTURE = "missing-fixture"
    MISSING_LOCALE = "missing-locale"
    MISSING_TIME_ZONE = "missing-time-zone"
    MISSING_NETWORK = "missing-network"
    MISSING_DISPLAY = "missing-display"
    MISSING_TERMINAL = "missing-terminal"
    NEEDS_ROOT = "needs-root"
    NEEDS_RESOURCES = "needs-resources"  # memory, processes, disk
    READ_ONLY = "read-only"  # writes where the sandbox lets nothing be written
    VERSION_MISMATCH = "version-mismatch"  # of the distribution's metadata

    @property
    def environment_fault(self) -> bool:
        """Whether another environment could make the test pass."""
        return self.value.startswith(("missing-", "needs-")) or self in (self.READ_ONLY, self.VERSION_MISMATCH)


class Cause(Frozen):
    """A cause: its layer, the type and text of the first error, and what would mend it, in a clause.

    `error` is empty where nothing was raised; `remedy` is empty where nothing on our side would help. `category` says
    what a failing test lacks in the environment.
    """

    layer: Layer
    error: str = ""
    text: str = ""
    remedy: str = ""
    category: TestCategory | None = Field(default=None, exclude_if=lambda value: value is None)

"""Tests requested from a teacher: its replies, the trials of them, and the instance with the accepted ones."""

from collections.abc import Mapping
from enum import StrEnum

from pydantic import Field

from models.generated import Failing
from models.manifest import ExcludedTest, Instance
from models.plans import Frozen


class Refusal(StrEnum):
    """Why a teacher's answer was not accepted."""

    PROMPT_TOO_LONG = "prompt-too-long"  # the change alone exceeds the teacher's window
    NO_TESTS = "no-tests"  # no test module in the answer
    REACHES_INTO_RUNNER = "reaches-into-runner"  # the module manipulates the test runner instead of testing the code
    NOT_COLLECTED = "not-collected"  # a module does not parse or import on the commit, or has no test there
    FAILS_ON_COMMIT = "fails-on-commit"
    PASSES_ON_PARENT = "passes-on-parent"
    FLAKY = "flaky"
    TIMEOUT = "timeout"
    CRASHED = "crashed"  # the run ended without a sealed report
    DISTURBS_SUITE = "disturbs-suite"  # the tests pass alone, but not together with the repository's own
    SUITE_BROKEN = "suite-broken"  # the parent's own suite does not run to its end: no comparison is possible


class Trial(Frozen):
    """The result of trying test modules.

    `told_apart` are the accepted fail-to-pass tests of the modules, each with how it fails on the parent; `dropped` the
    tests of the modules that do not count, each with the reason. Without a refusal, the three lists are the instance's.
    """

    refusal: Refusal | None = None
    detail: str = ""
    told_apart: dict[str, Failing] = Field(default_factory=dict)
    dropped: dict[str, str] = Field(default_factory=dict)
    fail_to_pass: tuple[str, ...] = ()
    pass_to_pass: tuple[str, ...] = ()
    excluded: tuple[ExcludedTest, ...] = ()
    seconds: float = 0.0

    @property
    def asserts(self) -> bool:
        """Whether a test fails on the parent by an assertion."""
        return Failing.ASSERTION in self.told_apart.values()


class TeacherReply(Frozen):
    """A teacher's reply and its cost. `cost` is in the currency of the price table, `latency` in seconds."""

    text: str
    model: str
    finish_reason: str = "stop"
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    latency: float = 0.0
    retries: int = 0
    seed: int | None = None
    prompt: str = Field(
        "", exclude_if=lambda value: not value, description="the prompt as it was sent, where it is known"
    )


class TeacherRound(Frozen):
    """One question to the teacher, its answer, and the trial of it. `files` are the modules by their path."""

    number: int
    prompt: str = ""
    reply: TeacherReply | None = None
    files: dict[str, str] = Field(default_factory=dict)
    trial: Trial


class Supplement(Frozen):
    """The result for an instance: its rounds, the accepted one, and the instance with those tests."""

    before: Instance
    rounds: tuple[TeacherRound, ...]
    taken: int | None = None
    instance: Instance | None = None

    @property
    def files(self) -> Mapping[str, str]:
        """The accepted modules, by their path in a work tree."""
        return next((each.files for each in self.rounds if each.number == self.taken), {})

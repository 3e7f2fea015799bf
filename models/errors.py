"""The errors of Clean Room: one root, and one class for each party at fault.

Each message is one line with the thing, the value and what the user can do. The command line prints it and exits
with `exit_code`; any other exception (a traceback) is a bug.
"""

from typing import ClassVar

from models.refusals import RefusalReason


class CleanRoomError(Exception):
    """Root of every error that Clean Room raises on purpose."""

    exit_code: ClassVar[int] = 1


class UsageError(CleanRoomError):
    """The user's request is not valid: an unknown name, a bad option, a missing file."""

    exit_code = 2


class SettingsError(UsageError):
    """A value in cra.toml or in a CRA_* variable is not valid."""


class AirGapError(UsageError):
    """What is asked for needs another machine, and the setting `air_gapped` is on."""


class RepositoryError(UsageError):
    """A repository cannot be read: not one, empty, shallow, a commit that is not there."""


class ManifestError(UsageError):
    """A repo package's manifest is missing, of another version, or inconsistent with its package."""


class PackageRefused(CleanRoomError):
    """A repo package that arrived did not pass a check; `reason` is its code in the ledger."""

    def __init__(self, reason: RefusalReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class ClassifierError(UsageError):
    """A relevance classifier's file is missing, corrupt, or of another version."""


class WheelError(CleanRoomError):
    """A wheel is missing, has another hash, or is ambiguous."""


class EnvironmentFault(CleanRoomError):
    """An environment cannot be resolved, fetched or built; never a model's failure."""


class SandboxUnavailable(CleanRoomError):
    """Isolation is not available on this machine; the message holds the remedy."""

    exit_code = 3


class InfrastructureError(CleanRoomError):
    """Our software or the machine failed (disk, server, time-out); worth a retry, never training signal."""


class MoveUnconfirmed(InfrastructureError):
    """A package was moved into the corpus, and the disk did not confirm it, or its record could not be written."""


class DiskFull(InfrastructureError):
    """The disk, or the user's share of it, has no space left."""


class DatabaseError(InfrastructureError):
    """A database cannot be opened, migrated or written."""


class ProviderError(InfrastructureError):
    """A model's provider could not be used: down, key refused, rate limits, stalled stream, malformed response.

    `status` is the HTTP status that it answered with; None without an answer, or after one that was no error.
    """

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class CapReached(InfrastructureError):
    """A run's cap on tokens or cost is used up; the rest waits for a run with a higher cap."""


class PromptTooLong(CleanRoomError):
    """A prompt has more tokens than any model of its role accepts; the message gives both numbers."""


class PlanError(CleanRoomError):
    """A plan is not well-formed: a dependency that does not exist, a cycle, a duplicate id."""


class MalformedAnswer(CleanRoomError):
    """A model's answer cannot be parsed, although it was asked again."""


class EditError(CleanRoomError):
    """An edit cannot be parsed or applied; the coder sees the message when it retries."""


class TrainingError(CleanRoomError):
    """Training cannot start or continue: no data, an unsuitable template, a loss of NaN."""


class GuardrailError(CleanRoomError):
    """A rule that protects the learning loop was broken; `rule` is its name, with which the message begins."""

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(f"{rule}: {message}")
        self.rule = rule


class RegistryError(CleanRoomError):
    """An adapter or base is unknown, damaged, unsigned, or of another base."""


class EvaluationError(CleanRoomError):
    """Two results cannot be compared, or there is nothing to evaluate on."""


class NotOperational(CleanRoomError):
    """A part of the loop did not do in a rehearsal what it must; the message holds the remedy."""


class ServingError(InfrastructureError):
    """A model server does not start, answer, or load an adapter; or an adapter has no effect on it."""


class NoAnswer(ServingError):
    """A model server gave no answer, or not in time: this is no evidence about the question asked."""

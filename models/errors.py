"""The errors of Clean Room: one root, one class for whose fault it was.

Each message is one line that names the thing, the value and what the user can do. The command line prints it and
exits with `exit_code`; everything else (a traceback) is a bug of ours.
"""

from typing import ClassVar


class CleanRoomError(Exception):
    """Root of every error that Clean Room raises on purpose."""

    exit_code: ClassVar[int] = 1


class UsageError(CleanRoomError):
    """The user asked for something that cannot be meant: an unknown name, a bad option, a missing file."""

    exit_code = 2


class SettingsError(UsageError):
    """A value in cra.toml or in a CRA_* variable is not valid."""


class RepositoryError(UsageError):
    """A repository cannot be read: not one, empty, shallow, a commit that is not there."""


class ManifestError(UsageError):
    """A repo package's manifest is missing, of another version, or does not fit its package."""


class WheelError(CleanRoomError):
    """A wheel is missing, has another hash, or could be read in two ways."""


class EnvironmentFault(CleanRoomError):
    """An environment cannot be resolved, fetched or built; never a model's failure."""


class SandboxUnavailable(CleanRoomError):
    """Isolation is not to be had on this machine; the message holds the remedy."""

    exit_code = 3


class InfrastructureError(CleanRoomError):
    """Something of ours or of the machine's broke (disk, server, time-out); worth a retry, never training signal."""


class DatabaseError(InfrastructureError):
    """A database cannot be opened, migrated or written."""


class ProviderError(InfrastructureError):
    """A model's provider could not be asked: down, refusing the key, over its limits, stalled, answering rubbish."""


class CapReached(InfrastructureError):
    """A run's cap on tokens or cost is used up; what is not done waits for a run with a higher one."""


class PromptTooLong(CleanRoomError):
    """A prompt has more tokens than any model of its role takes; the message gives both numbers."""


class PlanError(CleanRoomError):
    """A plan is not well-formed: a dependency that does not exist, a cycle, a duplicate id."""


class MalformedAnswer(CleanRoomError):
    """What a model said cannot be read, although it was asked again."""


class EditError(CleanRoomError):
    """An edit cannot be parsed or applied; the message is what the coder is shown for its retry."""


class TrainingError(CleanRoomError):
    """Training cannot begin or go on: no data, a template that does not fit, a loss that is no number."""


class GuardrailError(CleanRoomError):
    """A rule that protects the learning loop was broken; `rule` is its name, which the message begins with."""

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(f"{rule}: {message}")
        self.rule = rule


class RegistryError(CleanRoomError):
    """An adapter or base is unknown, damaged, unsigned, or of another base."""


class EvaluationError(CleanRoomError):
    """Two results cannot be compared, or there is nothing to evaluate on."""


class ServingError(InfrastructureError):
    """A model server does not start, answer, or take an adapter; or an adapter has no effect on it."""


class NoAnswer(ServingError):
    """A model server gave no answer, or not in time: it says nothing about what was asked for."""

"""Comparisons: two versions of one piece of code, of which one is better by a named criterion."""

from enum import StrEnum

from pydantic import Field

from models.plans import Frozen
from models.training import Provenance, content_hash_of


class Criterion(StrEnum):
    """By what one version is better. Each has evidence that a program can find; quality in general has none."""

    CORRECTNESS = "correctness"  # a commit that says that it mends a fault, against its parent
    ERROR_HANDLING = "error-handling"  # a function that names, raises or passes on more of its errors after a commit
    TASK = "task"  # a commit that does what its message says, against its parent; a passed attempt against a failed one


class Part(StrEnum):
    """The part of the split by repository to which a comparison belongs."""

    TRAINING = "training"
    VALIDATION = "validation"
    HELD_OUT = "held-out"


class Comparison(Frozen):
    """One comparison. A critic is asked about it in both orders, so no order is stored.

    `place` is where the code is (`path::function`), empty for a whole change. `better` and `worse` are what is shown of
    the two versions. `evidence` says why one is better; `provenance` is that of the better one.
    """

    criterion: Criterion
    part: Part
    task: str = Field(min_length=1)
    place: str
    better: str
    worse: str
    evidence: str
    provenance: Provenance

    @property
    def id(self) -> str:
        """Hash of the content: criterion, task, place and both versions."""
        return content_hash_of([self.criterion.value, self.task, self.place, self.better, self.worse])

    @property
    def better_is_longer(self) -> bool:
        """Whether the better version is shown in more characters: most changes add, so that length tells a lot."""
        return len(self.better) > len(self.worse)

    @property
    def repository(self) -> str:
        """The repository that it is of."""
        return self.provenance.repository

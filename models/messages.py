"""Descriptions that a model wrote for commits whose own messages are no tasks, and how each was judged."""

from enum import StrEnum
from statistics import fmean

from pydantic import Field

from models.plans import Frozen


class MessageState(StrEnum):
    """What became of a description."""

    ACCEPTED = "accepted"
    REFUSED = "refused"


class MessageRefusal(StrEnum):
    """Why a description was refused: the first test that fails."""

    NO_DIFF = "no-diff"  # the change has no lines of text to describe; no model was asked
    MALFORMED = "malformed"  # no readable answer, although it was asked again
    SHORT = "short"
    GENERIC = "generic"
    NO_ACTION = "no-action"
    URL = "url"
    TRAILER = "trailer"  # bookkeeping of commits: trailers, references to issues
    QUOTES_DIFF = "quotes-diff"
    UNRELATED = "unrelated"  # no name and no words of the change
    BELOW_THRESHOLD = "below-threshold"


class RubricScores(Frozen):
    """A judge's scores of a description against its change, each from 1 (bad) to 5."""

    fidelity: int = Field(ge=1, le=5)
    specificity: int = Field(ge=1, le=5)
    task_form: int = Field(ge=1, le=5)
    no_invention: int = Field(ge=1, le=5)

    @property
    def mean(self) -> float:
        """The mean of the four."""
        return fmean((self.fidelity, self.specificity, self.task_form, self.no_invention))


class MessageRecord(Frozen):
    """A decision about a commit. `text` is what the model wrote last, subject first; empty if nothing was readable.

    `key` identifies the models, the templates and the threshold that decided; `cost` is that of all answers that the
    decision rests on, in the currency of the price table.
    """

    commit: str
    original: str
    fault: str
    text: str = ""
    state: MessageState
    reason: MessageRefusal | None = None
    detail: str = ""
    scores: RubricScores | None = None
    threshold: float
    model: str = ""
    judge: str = ""
    prompt_hashes: tuple[str, ...] = ()
    judge_prompt_hash: str = ""
    cost: float = 0.0
    key: str

    @property
    def accepted(self) -> bool:
        """Whether the text may be used as a task."""
        return self.state is MessageState.ACCEPTED


class TaskSource(Frozen):
    """The source of a task that is not the commit's own message: the model that wrote it, the one that judged it, the
    mean of the scores, and the hash of the last prompt."""

    model: str
    judge: str
    score: float
    prompt_hash: str

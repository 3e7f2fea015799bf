"""Training data and its results: pairs, preferences, and which adapter serves which stages."""

import hashlib
import json
from collections.abc import Sequence
from enum import StrEnum
from typing import Literal

from pydantic import Field

from models.chat import Message
from models.plans import Frozen
from models.protocols import Stage
from models.targets import Role, TrainingTarget

__all__ = ["Pair", "PairSource", "Preference", "Provenance", "Role", "TrainingTarget", "content_hash_of", "content_id"]


class PairSource(StrEnum):
    """Where a pair comes from: runs on record (planners in the harness, gold runs with rendered prompts, the same
    without any test run, the user's own solves), a recipe over code and histories, or a public dataset."""

    HARNESS = "harness"
    SYNTHETIC = "synthetic"
    SYNTHETIC_DIRECT = "synthetic-direct"
    LOGGED = "logged"

    LINTSEQ = "lintseq"
    RANDOM_DELETION = "random-deletion"
    SEARCH_REPLACE = "search-replace-infilling"
    FAIL_FAST = "fail-fast"
    PLAN_ARTIFACTS = "plan-artifacts"
    POSITION = "position"
    COMPARISONS = "comparisons"

    OPEN_CODE_INSTRUCT = "open-code-instruct"
    COMMIT_PACK_FT = "commitpackft"
    CODE_FEEDBACK = "code-feedback"
    OSS_INSTRUCT = "oss-instruct"
    EVOL_INSTRUCT = "evol-instruct"
    EVOL_INSTRUCT_80K = "evol-instruct-80k"
    OPEN_CODER = "open-coder"
    D3 = "d3"
    SWE_BENCH = "swe-bench"


class Provenance(Frozen):
    """The call that a pair was made from, and how its attempt ended.

    `attempt` and `seq` identify the call's row. `oracle` judged the attempt (None: nothing did), `attribution` is the
    stage that an experiment found at fault, `alignment` the mean of the structural measures, 0 to 1. `task_model` wrote
    the task, where it is not the commit's own message.
    """

    campaign: str
    trajectory: str
    attempt: int
    seq: int
    instance: str
    repository: str
    organisation: str
    domain: str
    license: str
    commit: str
    base_commit: str
    planner: str
    model: str
    adapter: str | None
    outcome: str
    oracle: str | None
    attribution: str | None
    alignment: float | None
    task_model: str | None = Field(None, exclude_if=lambda value: value is None)


class Pair(Frozen):
    """A prompt, exactly as it was sent, and an answer worth learning. `weight` is its share in sampling, 0 to 1."""

    stage: Stage
    source: PairSource
    messages: tuple[Message, ...]
    answer: str
    reasoning: str | None = None
    weight: float = Field(1.0, gt=0, le=1)
    provenance: Provenance

    @property
    def id(self) -> str:
        """Hash of the content: stage, prompt and answer."""
        return content_id(self.stage, self.messages, self.answer, self.reasoning or "")


class Preference(Frozen):
    """Two answers to one prompt, byte for byte, one better than the other. `kind` is the evidence for it; of a
    `comparison`, the answers are verdicts of a critic on two changes that its prompt shows."""

    stage: Stage
    source: PairSource
    kind: Literal["attributed", "before-after", "comparison"]
    messages: tuple[Message, ...]
    chosen: str
    rejected: str
    weight: float = Field(1.0, gt=0, le=1)
    chosen_by: Provenance
    rejected_by: Provenance

    @property
    def id(self) -> str:
        """Hash of the content: stage, prompt and both answers."""
        return content_id(self.stage, self.messages, self.chosen, self.rejected)


def content_id(stage: Stage, messages: tuple[Message, ...], *answers: str) -> str:
    """SHA-256 of a stage, a prompt and its answers."""
    return content_hash_of([stage.value, [message.model_dump() for message in messages], *answers])


def content_hash_of(parts: Sequence[object]) -> str:
    """SHA-256 of values as JSON."""
    return hashlib.sha256(json.dumps(parts, ensure_ascii=True, separators=(",", ":")).encode()).hexdigest()

"""A person's reading of a plan: the verdict, and the name by which a plan is sampled."""

import re
from datetime import datetime
from enum import StrEnum

from pydantic import Field

from models.errors import UsageError
from models.manifest import PlanningType
from models.plans import Frozen

_NAME = re.compile(r"([0-9a-f]{16,64})-(\d+)-(\d+)")
MOST_NOTE = 4000
"""Characters of a note at most."""


class ReviewVerdict(StrEnum):
    """What a person makes of a plan."""

    GOOD = "good"
    FINE = "fine"
    BAD = "bad"


class PlanName(Frozen):
    """The name of a stored plan: the trajectory's key (or its first 16 digits or more), the attempt, and the place of
    the plan in it, as in `3f2a90c1d7e4b586-1-7`."""

    trajectory: str
    attempt: int
    seq: int

    def __str__(self) -> str:
        return f"{self.trajectory[:16]}-{self.attempt}-{self.seq}"


def parse_plan_name(text: str) -> PlanName:
    """The name in a text. Raises UsageError."""
    found = _NAME.fullmatch(text.strip())
    if found is None:
        raise UsageError(
            f"{text!r} names no plan; copy one from a page of `cra review planning`, as in {'3f2a' * 4}-1-7"
        )
    return PlanName(trajectory=found[1], attempt=int(found[2]), seq=int(found[3]))


class PlanReview(Frozen):
    """A person's verdict on a plan. `model` is what made the plan; of several reviews of a plan the last counts."""

    name: PlanName
    campaign: str
    type: PlanningType
    planner: str
    model: str
    verdict: ReviewVerdict
    note: str = ""
    reviewer: str
    created_at: datetime


class GivenReview(Frozen):
    """A verdict as a page's file holds it."""

    sample: str = Field(max_length=100)
    verdict: ReviewVerdict
    note: str = Field("", max_length=MOST_NOTE)


class GivenReviews(Frozen):
    """The verdicts that a page saved."""

    campaign: str = Field(max_length=1000)
    reviews: tuple[GivenReview, ...] = Field(max_length=10_000)

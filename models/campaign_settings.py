"""Settings of campaigns: concurrency, cost above which to ask, time limits of step tests."""

from collections.abc import Iterator
from enum import StrEnum
from itertools import product
from typing import NamedTuple

from pydantic import Field

from models.errors import UsageError
from models.plans import Frozen

HOTTEST = 2.0


class StepTestMode(StrEnum):
    """Whether tests run after each step. Gold and null do not use the results: `auto` skips them there."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


class CampaignSettings(Frozen):
    """What a campaign may do without asking. Costs are in the currency of the endpoints' price tables."""

    ask_above_cost: float = Field(1.0, ge=0, description="estimated cost above which a campaign asks before it starts")
    trajectories: int = Field(
        0, ge=0, description="trajectories at a time; 0: as many as sandboxes, or as model calls if those are more"
    )
    step_test_seconds: float = Field(120.0, gt=0, description="seconds that the tests after one step may take")
    measure_tests: bool = Field(
        True,
        description="after a verdict, measure the tests that a model wrote: a run each per reverted hunk of its patch",
    )
    shard_seconds: float = Field(
        600.0,
        gt=0,
        description="expected seconds of what another worker of the pool is given at a time; its start takes about 8",
    )
    provider_failures: int = Field(
        5,
        ge=1,
        description="trajectories in a row whose model could not be reached, or for which this machine had no space "
        "or sandbox, before a campaign stops",
    )


class Draw(NamedTuple):
    """One trajectory of an instance."""

    planner: str
    temperature: float
    sample: int


class Grid(Frozen):
    """What runs on each instance: planners x temperatures x samples. Gold and null do not vary: they run once."""

    planners: tuple[str, ...]
    temperatures: tuple[float, ...] = (0.0,)
    samples: int = 1
    limit: int | None = Field(None, description="instances per package, newest first; None: all")

    def check(self) -> None:
        """Raise UsageError for a grid that no campaign can run."""
        if not self.planners:
            raise UsageError("no planner was given; use --planner, which may be repeated")
        if not self.temperatures or any(not 0 <= each <= HOTTEST for each in self.temperatures):
            raise UsageError(
                f"--temperatures {list(self.temperatures)}: give numbers from 0 to {HOTTEST:g}, as in 0.3,0.6"
            )
        if self.samples < 1 or (self.limit is not None and self.limit < 1):
            raise UsageError("--samples and --limit are at least 1")

    def draws(self, sampled: frozenset[str]) -> Iterator[Draw]:
        """The trajectories of one instance, in order; planners not in `sampled` run once, at temperature 0."""
        for planner in dict.fromkeys(self.planners):
            if planner in sampled:
                varied = product(dict.fromkeys(self.temperatures), range(self.samples))
                yield from (Draw(planner, temperature, sample) for temperature, sample in varied)
            else:
                yield Draw(planner, 0.0, 0)

"""Model planners: routers, opened once for a campaign, with one meter for all of them."""

import threading
from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING

from harness.planners.registry import TEAMS, ModelTeam
from harness.planners.student import StudentLimits, student_limits
from models.edits import EditFormat
from models.protocols import Planner
from store.keys import digest

if TYPE_CHECKING:
    from llm import Meter, Router
    from models.llm_settings import ModelSettings


class ModelPool:
    """The models behind a campaign's planners. Safe to use from several threads.

    `curated`: URL of the database with the active adapters; None: none. It is read once, so that all of a trajectory is
    answered by the adapters in its identity; a promotion takes effect in the next pool.
    """

    def __init__(self, models: "ModelSettings", meter: "Meter | None" = None, curated: str | None = None) -> None:
        from store.active_adapters import PINNED, Aliases

        self.models, self.meter, self._curated = models, meter, curated
        self.aliases = Aliases(curated, PINNED) if curated else None
        self._routers: dict[ModelTeam, Router] = {}
        self._lock = threading.Lock()

    @cached_property
    def limits(self) -> StudentLimits:
        """The limits of the student, by which gold cuts its prompts. Raises SettingsError as `student_limits` does."""
        from store.database import open_database

        curated = open_database(self._curated, "curated") if self._curated else None
        return student_limits(self.models, curated)

    def router(self, planner: str) -> "Router":
        """The router of a planner's team, opened at first use. Raises UsageError for bad settings."""
        from llm import open_router

        team = TEAMS[planner]
        with self._lock:
            if team not in self._routers:
                self._routers[team] = open_router(self.models, team, self.meter, self.aliases)
            return self._routers[team]

    def check(self, planners: Iterable[str]) -> None:
        """Ask the servers of these planners' models what they serve. Raises as `llm.check.check_router` does."""
        names = {TEAMS[name]: name for name in planners if name in TEAMS}
        if names:
            from llm.check import check_router

            for name in names.values():
                check_router(self.router(name))

    def calls_at_a_time(self, planners: Iterable[str]) -> int:
        """The largest concurrency of these planners' endpoints."""
        teams = {TEAMS[name] for name in planners if name in TEAMS}
        groups = {"student": self.models.roles, "teacher": self.models.teachers}
        names = {name for team in teams for _, name in groups[team] if name}
        return max((self.models.endpoint(name).concurrency for name in names), default=0)

    def planner(self, name: str, edit_format: EditFormat | None, temperature: float, seed: int) -> Planner:
        """A model planner; without an edit format it uses that of its coder's endpoint. It is asked to judge as the
        student is, who is trained on its answers."""
        from agent.planner import ModelPlanner

        return ModelPlanner(name, self.router(name), temperature, seed, edit_format, self.models.question_form)


def seed_of(instance: str, sample: int) -> int:
    """The seed of an instance's sample: the same in every run. Fits in 31 bits."""
    return int(digest("seed", instance, sample)[:8], 16) & 0x7FFFFFFF

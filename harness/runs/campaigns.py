"""Configuration of a campaign, and its estimated cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.packages.package import RepoPackage
from harness.planners.registry import PLANNERS, TEAMS
from harness.runs.model_pool import ModelPool
from models.campaign_settings import Grid, StepTestMode
from models.edits import EditFormat
from models.errors import ProviderError
from models.plans import Frozen
from models.protocols import JUDGING_STAGES, Stage
from models.settings import Settings
from store.runs import RawStore, instance_key, trajectory_key
from store.runs.replays import Sampled, Tokens

ENOUGH = 5
"""Closed trajectories of a planner needed to estimate its next ones."""
PRIOR: dict[Stage, tuple[float, int, int]] = {
    Stage.TASK_ANALYSIS: (1, 3000, 200),
    Stage.SCOPE: (4, 1800, 50),
    Stage.PRECISION: (1, 6000, 600),
    Stage.META_PLAN: (1.2, 9000, 600),
    Stage.PART_PLAN: (1.8, 9500, 600),
    Stage.CODE: (4, 9500, 900),
    Stage.TEST_PLAN: (1.8, 9500, 400),
    Stage.ADJUSTMENT: (2.5, 10000, 300),
}
"""Calls of a trajectory, and tokens in and out of each, assumed without measurements. Thinking is not included."""
_UNPLANNED = (Stage.TASK_ANALYSIS, Stage.SCOPE, Stage.PRECISION, Stage.CODE)


class Estimate(Frozen):
    """The estimated rest of a campaign; `basis` is the basis of the estimate.

    What is replayed from stored answers costs nothing and is left out: all of `replayed` trajectories, the beginning
    of `resumed` ones, and the retrieval at `retrieved` instances.
    """

    trajectories: int
    prompt_tokens: int
    completion_tokens: int
    cost: float
    basis: str
    replayed: int = 0
    resumed: int = 0
    retrieved: int = 0

    def __str__(self) -> str:
        tokens = f"{self.prompt_tokens} tokens in and {self.completion_tokens} out"
        parts = [
            f"all of {self.replayed} trajectories" if self.replayed else "",
            f"the beginning of {self.resumed}" if self.resumed else "",
            f"the retrieval at {self.retrieved} instances" if self.retrieved else "",
        ]
        stored = ", ".join(part for part in parts if part)
        return (
            f"{self.trajectories} trajectories of models, about {tokens}, cost {self.cost:.2f} ({self.basis})"
            f"{f'; replayed from stored answers at no cost: {stored}' if stored else ''}"
        )


def campaign_config(
    packages: Sequence[RepoPackage],
    grid: Grid,
    edit_format: EditFormat | None,
    step_tests: StepTestMode,
    settings: Settings,
    sandbox: str,
) -> dict[str, Any]:
    """The JSON-like configuration that identifies a campaign; excludes spending limits and concurrency."""
    return {
        "packages": sorted(package.identity for package in packages),
        "planners": sorted(set(grid.planners)),
        "temperatures": sorted(set(grid.temperatures)),
        "samples": grid.samples,
        "limit": grid.limit,
        "edit_format": edit_format and edit_format.value,
        "step_tests": step_tests.value,
        "step_test_seconds": settings.campaign.step_test_seconds,
        "loop": settings.loop.model_dump(mode="json"),
        "limits": settings.limits.model_dump(mode="json"),
        "sandbox": sandbox,
    }


def with_adapters(settings: Settings, adapters: Mapping[Stage, str]) -> Settings:
    """Settings that fix the adapters by their served names instead of the active ones; "": the base alone.

    Whole runs with fixed adapters measure the student: no generalist answers in its place.
    """
    if not adapters:
        return settings
    models = settings.models
    overrides, roles = {**models.overrides, **adapters}, models.roles.model_copy(update={"generalist": None})
    models = models.model_copy(update={"overrides": overrides, "roles": roles})
    return settings.model_copy(update={"models": models})


def estimate(
    store: RawStore,
    campaign_id: str,
    packages: Sequence[RepoPackage],
    grid: Grid,
    pool: ModelPool,
    edit_format: EditFormat | None = None,
) -> Estimate | None:
    """The remaining trajectories of a campaign and their cost by the endpoints' prices; None without models.

    Tokens are estimated from earlier trajectories of the same planner in any campaign, or else assumed; what the stored
    answers will be replayed for is left out. Raises SettingsError if a planner's models are not set. A server is asked
    for its window if that is not configured and the planner was run before; nothing is counted as replayed if it cannot
    be reached.
    """
    instances = [
        instance_key(package.manifest.name, instance)
        for package in packages
        for instance in [each for each in package.manifest.instances if each.valid][: grid.limit]
    ]
    draws = list(grid.draws(frozenset(TEAMS)))
    names = sorted({draw.planner for draw in draws if draw.planner in TEAMS})
    if not names:
        return None
    asked, counted = store.asked_so_far()
    rests = [
        _rest(
            store,
            campaign_id,
            name,
            [Sampled(i, *d[1:]) for i in instances for d in draws if d.planner == name],
            pool,
            edit_format,
            known=name in counted,
        )
        for name in names
    ]
    total, cost = Tokens(), 0.0
    for name, rest in zip(names, rests, strict=True):
        for stage, each in _per_trajectory(name, asked.get(name, {}), counted.get(name, 0)).items():
            tokens = rest.tokens(stage, each)
            price = pool.router(name).routes[stage].service.settings.price
            total = total.plus(tokens)
            cost += price.of(round(tokens.prompt), round(tokens.cached), round(tokens.completion))
    guessed = [name for name in names if counted.get(name, 0) < ENOUGH]
    known_names = [f"{counted[name]} earlier ones of {name}" for name in names if name not in guessed]
    basis = "; ".join([*known_names, *(f"{name}: a guess, for fewer than {ENOUGH} were run" for name in guessed)])
    return Estimate(
        trajectories=sum(rest.trajectories for rest in rests),
        prompt_tokens=round(total.prompt),
        completion_tokens=round(total.completion),
        cost=cost,
        basis=basis,
        replayed=sum(rest.trajectories - len(rest.asking) for rest in rests),
        resumed=sum(len(rest.begun) for rest in rests),
        retrieved=sum(len(rest.retrieved) for rest in rests),
    )


@dataclass(frozen=True)
class _Rest:
    """What is left of a planner's trajectories: their number, those of them that ask something, how the stored answers
    begin some of these, and the instances at which the retrieval is stored."""

    trajectories: int
    asking: list[Sampled]
    begun: dict[Sampled, dict[Stage, Tokens]]
    retrieved: set[str]

    def tokens(self, stage: Stage, each: Tokens) -> Tokens:
        """Expected tokens of a stage, if `each` trajectory takes so many. A retrieval is asked once per instance."""
        if stage in JUDGING_STAGES:
            return each.times(len({sampled.instance for sampled in self.asking} - self.retrieved))
        stored = (answers.get(stage, Tokens()) for answers in self.begun.values())
        total = each.times(len(self.asking))
        for known in stored:
            total = total.plus(Tokens(*(-min(mine, expected) for mine, expected in zip(known, each, strict=True))))
        return total


def _rest(
    store: RawStore,
    campaign_id: str,
    name: str,
    samples: Sequence[Sampled],
    pool: ModelPool,
    edit_format: EditFormat | None,
    *,
    known: bool,
) -> _Rest:
    """The rest of a planner's trajectories; `known`: whether some were ever begun."""
    identity = _identity(pool, name, edit_format) if known else None
    if identity is None:
        left = max(0, len(samples) - store.closed_by_planner(campaign_id).get(name, 0))
        return _Rest(left, list(samples[len(samples) - left :]), {}, set())
    keys = {
        trajectory_key(campaign_id, each.instance, name, identity, each.temperature, each.sample): each
        for each in samples
    }
    closed = store.closed(keys)
    todo = [each for key, each in keys.items() if key not in closed]
    found = store.replays(identity, {each.instance for each in todo})
    asking = [each for each in todo if each not in found.whole]
    return _Rest(
        len(todo),
        asking,
        {each: found.begun[each] for each in asking if each in found.begun},
        {each.instance for each in asking} & found.retrieved,
    )


def _identity(pool: ModelPool, name: str, edit_format: EditFormat | None) -> str | None:
    """A planner's identity; None if its server cannot be asked for what belongs to it."""
    try:
        return pool.planner(name, edit_format, 0.0, 0).identity
    except ProviderError:
        return None


def _per_trajectory(planner: str, asked: Mapping[Stage, Tokens], closed: int) -> dict[Stage, Tokens]:
    """Expected tokens by stage, if nothing were replayed: the mean of closed trajectories, or an assumption."""
    if closed >= ENOUGH:
        return {stage: tokens.times(1 / closed) for stage, tokens in asked.items()}
    stages = tuple(Stage) if PLANNERS[planner].plans else _UNPLANNED
    return {s: Tokens(calls * given, 0.0, calls * said) for s, (calls, given, said) in PRIOR.items() if s in stages}

"""Configuration of a campaign, and its estimated cost."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.packages.package import RepoPackage
from harness.planners.registry import PLANNERS, TEAMS
from harness.runs.model_pool import ModelPool
from models.campaign_settings import Grid, StepTestMode
from models.edits import EditFormat
from models.plans import Frozen
from models.protocols import Stage
from models.settings import Settings

if TYPE_CHECKING:
    from store.runs import RawStore, StageUse

ENOUGH = 5
"""Closed trajectories of a planner needed to estimate its next ones."""
PRIOR: dict[Stage, tuple[float, int, int]] = {
    Stage.TASK_ANALYSIS: (1, 3000, 200),
    Stage.SCOPE: (1, 6000, 800),
    Stage.PRECISION: (1, 6000, 1000),
    Stage.META_PLAN: (1.2, 9000, 600),
    Stage.PART_PLAN: (1.8, 9500, 600),
    Stage.CODE: (4, 9500, 900),
    Stage.TEST_PLAN: (1.8, 9500, 400),
    Stage.ADJUSTMENT: (2.5, 10000, 300),
}
"""Calls of a trajectory, and tokens in and out of each, assumed without measurements. Thinking is not included."""
_UNPLANNED = (Stage.TASK_ANALYSIS, Stage.SCOPE, Stage.PRECISION, Stage.CODE)


class Estimate(Frozen):
    """The estimated rest of a campaign; `basis` is the basis of the estimate."""

    trajectories: int
    prompt_tokens: int
    completion_tokens: int
    cost: float
    basis: str

    def __str__(self) -> str:
        tokens = f"{self.prompt_tokens} tokens in and {self.completion_tokens} out"
        return f"{self.trajectories} trajectories of models, about {tokens}, cost {self.cost:.2f} ({self.basis})"


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
    """Settings that fix the adapters by their served names instead of the active ones; "": the base alone."""
    overrides = {**settings.models.overrides, **adapters}
    return settings.model_copy(update={"models": settings.models.model_copy(update={"overrides": overrides})})


def estimate(
    store: "RawStore", campaign_id: str, packages: Sequence[RepoPackage], grid: Grid, pool: ModelPool
) -> Estimate | None:
    """The remaining trajectories of a campaign and their cost by the endpoints' prices; None without models.

    Tokens are estimated from earlier trajectories of the same planner in any campaign, or else assumed.
    Raises SettingsError if a planner's models are not set. Sends no request.
    """
    instances = sum(
        len([instance for instance in package.manifest.instances if instance.valid][: grid.limit])
        for package in packages
    )
    draws = [draw.planner for draw in grid.draws(frozenset(TEAMS))]
    closed = store.closed_by_planner(campaign_id)
    todo = {
        name: max(0, instances * draws.count(name) - closed.get(name, 0))
        for name in sorted(set(draws))
        if name in TEAMS
    }
    if not todo:
        return None
    used, counted = store.usage_so_far()
    prompt = completion = cost = 0.0
    for name, count in todo.items():
        stages = [use for use in used if use.planner == name]
        known = stages if counted.get(name, 0) >= ENOUGH else []
        for stage, (tokens_in, cached, tokens_out) in _per_trajectory(name, known, counted).items():
            price = pool.router(name).routes[stage].service.settings.price
            prompt += count * tokens_in
            completion += count * tokens_out
            cost += count * price.of(round(tokens_in), round(cached), round(tokens_out))
    guessed = [name for name in todo if counted.get(name, 0) < ENOUGH]
    known_names = [f"{counted[name]} earlier ones of {name}" for name in todo if name not in guessed]
    basis = "; ".join([*known_names, *(f"{name}: a guess, for fewer than {ENOUGH} were run" for name in guessed)])
    return Estimate(
        trajectories=sum(todo.values()),
        prompt_tokens=round(prompt),
        completion_tokens=round(completion),
        cost=cost,
        basis=basis,
    )


def _per_trajectory(
    planner: str, known: "Sequence[StageUse]", counted: Mapping[str, int]
) -> dict[Stage, tuple[float, float, float]]:
    """Input tokens, cached ones among them, and output tokens, by stage."""
    if known:
        number = counted[planner]
        return {
            Stage(use.stage): (
                use.prompt_tokens / number,
                use.cached_tokens / number,
                use.completion_tokens / number,
            )
            for use in known
        }
    stages = tuple(Stage) if PLANNERS[planner].plans else _UNPLANNED
    return {s: (calls * given, 0.0, calls * said) for s, (calls, given, said) in PRIOR.items() if s in stages}

"""The shared context of a campaign's attempts, and their assignments."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from harness.packages.contents import package_content
from harness.packages.package import RepoPackage
from harness.planners.registry import TEAMS
from harness.runs.attempt import InstanceContext, make_planner
from harness.runs.indexes import Indexes
from harness.runs.model_pool import ModelPool
from host.slots import MachineSlots
from models.campaign_settings import Grid, StepTestMode
from models.edits import EditFormat
from models.limits import LoopLimits
from models.manifest import Instance
from models.protocols import Planner
from models.settings import Settings
from runtime.trees import Runtime
from store.runs import RawStore

T = TypeVar("T")


@dataclass(frozen=True)
class Assignment:
    """A trajectory to be run: an instance, a planner, and the keys of the trajectory's and the instance's rows."""

    key: str
    instance_key: str
    planner: str
    temperature: float
    sample: int
    instance_context: InstanceContext

    @property
    def label(self) -> str:
        """Display label: repository, commit, planner, temperature and sample."""
        name, sha = self.instance_context.package.manifest.name, self.instance_context.instance.commit[:7]
        return f"{name}@{sha} {self.planner} t{self.temperature:g} #{self.sample}"

    @property
    def tags(self) -> set[str]:
        """Tags for filtering: repository and commit."""
        return {self.instance_context.package.manifest.name, self.instance_context.instance.commit[:7]}


def ignore(what: str) -> None:
    """A progress callback that does nothing."""


@dataclass(eq=False)
class CampaignContext:
    """The context that all trajectories of a campaign share.

    `edit_format`: None leaves it to the planner. `step_tests`: with auto, tests run after each step of a model
    planner, but not for gold and null, which cannot use them. `sandboxes`: concurrent test runs on this machine.
    `measure_tests`: whether the tests that a model wrote are measured once its patch is judged.
    `notify` is called before each question and test run.
    """

    store: RawStore
    cache_dir: Path
    pool: ModelPool
    edit_format: EditFormat | None = None
    limits: LoopLimits = field(default_factory=LoopLimits)
    step_tests: StepTestMode = StepTestMode.AUTO
    step_test_seconds: float = 120.0
    sandboxes: int = 1
    measure_tests: bool = True
    notify: Callable[[str], None] = ignore
    slots: MachineSlots = field(init=False)
    indexes: Indexes = field(init=False)

    def __post_init__(self) -> None:
        self.slots = MachineSlots(self.cache_dir / "slots", self.sandboxes)
        self.indexes = Indexes(self.cache_dir / "index")

    def planner(
        self, name: str, instance_context: InstanceContext, temperature: float = 0.0, sample: int = 0
    ) -> Planner:
        """The named planner for an instance."""
        return make_planner(name, instance_context, self.edit_format, temperature, sample, self.pool)

    def runs_step_tests(self, planner: str) -> bool:
        """Whether tests run after the steps of a planner."""
        return self.step_tests is StepTestMode.ON or (self.step_tests is StepTestMode.AUTO and planner in TEAMS)

    def with_sandbox_slot(self, run: Callable[[], T]) -> T:
        """Call a function that runs tests, once fewer than `sandboxes` others are running on this machine."""
        with self.slots.holding():
            return run()


def open_campaign_context(
    settings: Settings,
    store: RawStore,
    edit_format: EditFormat | None,
    step_tests: StepTestMode,
    max_cost: float | None = None,
    max_tokens: int | None = None,
    budget: str | None = None,
) -> CampaignContext:
    """The shared context by the settings; one meter counts the spending of all models of this run.

    `budget` is the key of caps that other processes share.
    """
    from llm.meter import Meter
    from llm.shared_meter import SharedMeter

    meter = Meter(max_tokens, max_cost)
    if budget is not None:
        store.open_budget(budget, max_cost, max_tokens)
        meter = SharedMeter(store, budget, max_tokens, max_cost)
    return CampaignContext(
        store,
        settings.cache_dir,
        ModelPool(settings.models, meter, settings.curated_url),
        edit_format=edit_format,
        limits=settings.loop,
        step_tests=step_tests,
        step_test_seconds=settings.campaign.step_test_seconds,
        sandboxes=settings.concurrency,
        measure_tests=settings.campaign.measure_tests,
    )


def valid_instances(package: RepoPackage, grid: Grid) -> list[Instance]:
    """The instances of a package that a campaign runs on."""
    return [instance for instance in package.manifest.instances if instance.valid][: grid.limit]


def assignments(
    campaign_id: str,
    package: RepoPackage,
    grid: Grid,
    context: CampaignContext,
    runtime: Runtime,
    only: Collection[str] | None = None,
) -> Iterator[Assignment]:
    """A package's trajectories, grouped by instance: their prompts share a prefix, which servers cache.

    `only`: the ids of some of its instances; None for all.
    """
    keys = context.store.register_package(package.manifest, package_content(package))
    for instance in valid_instances(package, grid):
        if only is not None and instance.instance_id not in only:
            continue
        instance_context = InstanceContext(runtime, package, instance)
        identities: dict[str, str] = {}
        for draw in grid.draws(frozenset(TEAMS)):
            if draw.planner not in identities:
                identities[draw.planner] = context.planner(draw.planner, instance_context).identity
            instance_key = keys[instance.instance_id]
            key = context.store.open_trajectory(
                campaign_id, instance_key, draw.planner, identities[draw.planner], draw.temperature, draw.sample
            )
            yield Assignment(key, instance_key, draw.planner, draw.temperature, draw.sample, instance_context)

"""Shards of a campaign, which other workers run: plain data, without paths of any machine."""

from pydantic import Field

from models.campaign_settings import Grid, StepTestMode
from models.edits import EditFormat
from models.plans import Frozen
from models.protocols import Stage


class PackageReference(Frozen):
    """A repo package by the name of its folder in each machine's corpus, and by its identity."""

    folder: str
    identity: str


class ShardOrder(Frozen):
    """The part of a campaign that a shard run works on: some instances of one package.

    `campaign_id`, `planners` and `code` must come out the same where the shard runs: settings, models, adapters and
    code are then those of the campaign. `budget` is the key of the caps that all processes of the run share.
    """

    name: str
    campaign_id: str
    code: str
    packages: tuple[PackageReference, ...] = Field(description="all packages of the campaign")
    package: str = Field("", description="folder of the package of this shard")
    instances: tuple[str, ...] = ()
    grid: Grid
    edit_format: EditFormat | None = None
    step_tests: StepTestMode = StepTestMode.AUTO
    sandbox: str = Field(description="kind of sandbox, as the campaign's process has it")
    adapters: dict[Stage, str] = Field(default_factory=dict)
    planners: dict[str, str] = Field(
        default_factory=dict, description="hash of each planner's identity: models, adapters, prompts"
    )
    budget: str | None = None
    max_cost: float | None = None
    max_tokens: int | None = None

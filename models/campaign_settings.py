"""Settings of campaigns: trajectories at a time, what may be spent unasked, how long the tests of a step may run."""

from pydantic import Field

from models.plans import Frozen


class CampaignSettings(Frozen):
    """What a campaign may do without asking. Costs are in the currency of the endpoints' price tables."""

    ask_above_cost: float = Field(1.0, ge=0, description="estimated cost above which a campaign asks before it starts")
    trajectories: int = Field(
        0, ge=0, description="trajectories at a time; 0: as many as sandboxes, or as model calls if those are more"
    )
    step_test_seconds: float = Field(120.0, gt=0, description="seconds that the tests after one step may take")
    provider_failures: int = Field(
        5, ge=1, description="trajectories in a row that could not ask their model before a campaign stops"
    )

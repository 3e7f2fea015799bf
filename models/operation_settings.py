"""Settings of unattended operation: disk, retention, upkeep of the databases."""

from pydantic import Field

from models.plans import Frozen


class OperationSettings(Frozen):
    """What `cra operate` may use and delete. The rules by which it stops are settings of the guardrails."""

    disk_budget_gib: float | None = Field(
        None, gt=0, description="GiB that the data and cache directories may take together; unset: no such limit"
    )
    least_free_gib: float = Field(
        2.0, ge=0, description="GiB that must be free on their disks before a round; retention frees what is missing"
    )
    vacuum_share: float = Field(
        0.25, gt=0, lt=1, description="share of unused pages from which a SQLite database is compacted after a round"
    )

"""Limits for untrusted code, and for the main loop."""

from pydantic import Field

from models.plans import Frozen

MIB = 1024 * 1024


class Limits(Frozen):
    """Resource limits of one sandboxed command. All are hard: the kernel kills or refuses what exceeds them."""

    wall_seconds: float = Field(600.0, gt=0, description="seconds until the whole process tree is killed")
    memory_bytes: int = Field(4096 * MIB, gt=0, description="memory of the whole tree")
    processes: int = Field(256, gt=0, description="processes and threads at a time")
    file_bytes: int = Field(1024 * MIB, gt=0, description="size of any one file written")
    disk_bytes: int = Field(2048 * MIB, gt=0, description="size of the scratch file systems (/tmp)")
    output_bytes: int = Field(64 * MIB, gt=0, description="printed bytes after which the tree is killed")
    kept_output_bytes: int = Field(64 * 1024, gt=0, description="printed bytes that are kept: head and tail")


class LoopLimits(Frozen):
    """Limits at which the main loop stops, each with a named reason; work done until then is kept."""

    max_parts: int = Field(32, ge=1, description="parts begun, revised ones included")
    max_steps: int = Field(256, ge=1, description="steps taken, test steps included")
    max_revisions: int = Field(3, ge=0, description="adjustments that may replace the rest of the plan")

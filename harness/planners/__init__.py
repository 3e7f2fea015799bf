"""Planners that need no model: gold knows the answer, null changes nothing."""

from harness.planners.gold import GoldPlanner
from harness.planners.null import NullPlanner

__all__ = ["GoldPlanner", "NullPlanner"]

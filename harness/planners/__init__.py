"""Planners without a model: gold answers from the gold patch, null changes nothing."""

from harness.planners.gold import GoldPlanner
from harness.planners.null import NullPlanner

__all__ = ["GoldPlanner", "NullPlanner"]

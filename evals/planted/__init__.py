"""Faults planted in one stage of an attempt that would pass without them: does attribution find the stage?"""

from evals.planted.faults import Fault, FaultKind, Manner, faults
from evals.planted.suite import Case, Result, confusion, find_case, run_suite

__all__ = ["Case", "Fault", "FaultKind", "Manner", "Result", "confusion", "faults", "find_case", "run_suite"]

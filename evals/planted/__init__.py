"""Fault injection in one stage of an attempt that would otherwise pass: does attribution find the stage?"""

from evals.planted.faults import AttemptStyle, Fault, FaultKind, faults
from evals.planted.suite import PlantedCase, PlantedResult, confusion, find_case, run_suite

__all__ = [
    "AttemptStyle",
    "Fault",
    "FaultKind",
    "PlantedCase",
    "PlantedResult",
    "confusion",
    "faults",
    "find_case",
    "run_suite",
]

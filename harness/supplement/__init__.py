"""Tests for commits whose own tests do not distinguish them from their parent, written by a teacher and tried in the
sandbox.

The teacher sees the commit's change; its tests, like the commit's own, are never shown to a planner.
"""

from harness.supplement.generation import Teacher, UntestedInstance, supplement, untested_instances
from harness.supplement.package import store_files, store_instance
from harness.supplement.teacher import RouterTeacher
from harness.supplement.validation import BY_LOAD, trial_key, try_modules
from models.supplements import Refusal, Supplement, TeacherReply, TeacherRound, Trial

__all__ = [
    "BY_LOAD",
    "Refusal",
    "RouterTeacher",
    "Supplement",
    "Teacher",
    "TeacherReply",
    "TeacherRound",
    "Trial",
    "UntestedInstance",
    "store_files",
    "store_instance",
    "supplement",
    "trial_key",
    "try_modules",
    "untested_instances",
]

"""Tests for commits whose own tests do not distinguish them from their parent, written by a teacher and tried in the
sandbox.

The teacher sees the commit's change; its tests, like the commit's own, are never shown to a planner.
"""

from harness.supplement.package import store_files, store_instance
from harness.supplement.rounds import Teacher, UntestedInstance, needs_tests, supplement
from harness.supplement.teacher import RouterTeacher
from harness.supplement.trial import cached_trial, try_modules
from models.supplements import Refusal, Supplement, TeacherReply, TeacherRound, Trial

__all__ = [
    "Refusal",
    "RouterTeacher",
    "Supplement",
    "Teacher",
    "TeacherReply",
    "TeacherRound",
    "Trial",
    "UntestedInstance",
    "cached_trial",
    "needs_tests",
    "store_files",
    "store_instance",
    "supplement",
    "try_modules",
]

"""Audit of a trajectory's log: whether it follows from itself, and what a model doubts in it.

Mechanical checks come first: texts have their hashes, rows their order, prompts are what their requests render to,
judgements what the answers say, and the main loop makes the same plans, edits and patch again from the recorded
answers. A finding cites rows by number, as `cra trace` shows them.
"""

from harness.audit.findings import AuditReport, Finding, Severity
from harness.audit.trajectory import audit_trajectory

__all__ = ["AuditReport", "Finding", "Severity", "audit_trajectory"]

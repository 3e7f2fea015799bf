"""The complete loop once, with real parts and databases of its own, and the evidence of each step."""

from training.cycle.rehearsal.loop import RehearsalParts, ServerFacts, failed_step, rehearse

__all__ = ["RehearsalParts", "ServerFacts", "failed_step", "rehearse"]

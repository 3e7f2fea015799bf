"""The complete loop once, with real parts and databases of its own, and the evidence of each step."""

from training.cycle.rehearsal.loop import RehearsalParts, ServerFacts, rehearse

__all__ = ["RehearsalParts", "ServerFacts", "rehearse"]

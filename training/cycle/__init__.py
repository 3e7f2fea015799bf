"""The self-improvement cycle: guardrails, rounds, evaluation and promotion of adapters."""

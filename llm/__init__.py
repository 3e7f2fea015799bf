"""Talking to models: client, router, token budgets, cost, the embedded local model."""

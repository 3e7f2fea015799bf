"""Fitting adapters and bases to datasets: supervised, by preferences, or all parameters at once."""

"""Edits: parsed from an answer, formatted as text, applied to a tree."""

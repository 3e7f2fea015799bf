"""Edits: read from an answer, written as text, applied to a tree."""

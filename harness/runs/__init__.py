"""Attempts at instances: a planner works on the parent's files, the hidden tests judge, the row is closed."""

"""Repositories read: git objects, history, diffs, trees, safe writes, and the index of what lies where."""

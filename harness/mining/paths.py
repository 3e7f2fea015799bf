"""What a path says about a file: the index's rules, which mining follows."""

from agent.index.paths import PYTHON, SCRIPT, Kind, is_ci, is_documentation, is_test_path, kind_of

__all__ = ["PYTHON", "SCRIPT", "Kind", "is_ci", "is_documentation", "is_test_path", "kind_of"]

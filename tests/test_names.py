"""The top-level names are generic: each must come from this checkout and not from some dependency's wheel."""

import importlib
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NAMES = (
    "models", "host", "store", "llm", "repos", "agent", "runtime", "harness", "evals", "training", "exchange", "tasks",
    "flows", "cli", "tests",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_room_is_imported_from_this_checkout(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__file__ is not None
    assert Path(module.__file__).resolve() == ROOT / name / "__init__.py"


def test_no_benchmark_hides_a_library_from_another() -> None:
    """A script's own folder comes first among the places that its imports are looked for in."""
    installed = set(packages_distributions()) | sys.stdlib_module_names
    assert {path.stem for path in (ROOT / "benchmarks").glob("*.py")} & installed == set()

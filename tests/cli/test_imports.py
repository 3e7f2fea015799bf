"""What commands do not import: modules that they do not use, and that take long."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from store.runs import open_raw_store

SCRIPT = """
import sys
sys.argv = ["cra", *sys.argv[1:]]
from cli.main import main
try:
    main()
finally:
    print("imported:", *sys.modules, file=sys.stderr)
"""
ENGINE = {"prefect", "fastapi", "uvicorn"}
NUMERIC = {"numpy", "scipy", "datasketch", "matplotlib", "torch", "transformers"}
DATABASE = {"sqlalchemy", "sqlmodel", "alembic"}
MODELS = {"openai", "tokenizers", "xllamacpp"}
REPOSITORIES = {"pydriller", "git", "tree_sitter", "lemminflect"}


def imported(root: Path, *arguments: str, code: int = 0) -> set[str]:
    """Modules that a command has imported when it ends, with its own data."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CRA_")}
    places = {"CRA_DATA_DIR": str(root / "data"), "CRA_CACHE_DIR": str(root / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments], cwd=root, capture_output=True, text=True, check=False,
        env={**kept, **places, "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    [line] = [line for line in done.stderr.splitlines() if line.startswith("imported:")]
    return set(line.split()[1:])


def test_a_report_imports_the_database_alone(tmp_path: Path) -> None:
    store = open_raw_store(f"sqlite:///{tmp_path / 'data' / 'raw.sqlite'}")
    store.start_run(store.register_campaign({"planners": ["null"]}), "c", "1", [])
    found = imported(tmp_path, "report", "c")
    assert found & (ENGINE | NUMERIC | MODELS | REPOSITORIES) == set()
    assert "sqlalchemy" in found


def test_a_trace_of_nothing_imports_the_database_alone(tmp_path: Path) -> None:
    found = imported(tmp_path, "trace", "0123", code=2)
    assert found & (ENGINE | NUMERIC | MODELS | REPOSITORIES) == set()


@pytest.mark.parametrize("command", ["plan", "solve", "mine", "corpus", "index"])
def test_help_about_repositories_imports_no_database(tmp_path: Path, command: str) -> None:
    found = imported(tmp_path, command, "--help")
    assert found & (ENGINE | NUMERIC | MODELS | REPOSITORIES | DATABASE) == set()


def test_settings_are_shown_without_a_library_of_size(tmp_path: Path) -> None:
    found = imported(tmp_path, "config", "show")
    assert found & (ENGINE | NUMERIC | MODELS | REPOSITORIES | DATABASE) == set()


def test_flows_import_neither_the_engines_server_nor_numbers_nor_clients_of_models() -> None:
    script = "import sys, flows.campaign, flows.solve, flows.validate, flows.prepare\nprint(*sys.modules)"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True)
    found = set(done.stdout.split())
    assert found & (NUMERIC | MODELS | {"fastapi", "uvicorn", "docker", "pydriller"}) == set()
    assert {name for name in found if name.startswith("prefect.server")} <= {"prefect.server"}


def test_a_local_engine_is_reached_without_importing_its_server(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom pathlib import Path\nfrom cli.local_engine import use_local_engine\n"
        "use_local_engine(Path(sys.argv[1]))\nprint(*sys.modules)"
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True,
        env={**kept, "PYTHONPATH": str(Path(__file__).parents[2])}, cwd=tmp_path,
    )  # fmt: skip
    found = set(done.stdout.split())
    assert "prefect" in found
    assert "fastapi" not in found
    assert "prefect.server.api.server" not in found

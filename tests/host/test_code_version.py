"""The version of the code: the same for the same files, another one for any change that matters."""

import shutil
from pathlib import Path

import pytest

from host.code_version import code_version, is_code_version

ROOT = Path(__file__).parents[2]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A checkout with some of the rooms."""
    for room in ("models", "agent", "flows"):
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "prefect.yaml", tmp_path)
    return tmp_path


def test_two_copies_of_the_code_have_one_version(copy: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other") / "place"
    shutil.copytree(copy, other)
    (other / "models" / "__pycache__").mkdir()
    (other / "models" / "__pycache__" / "errors.cpython-311.pyc").write_bytes(b"compiled")
    (other / "README.md").write_text("new")
    assert code_version(other) == code_version(copy)
    assert is_code_version(code_version(copy))


@pytest.mark.parametrize("change", ["models/errors.py", "prefect.yaml", "agent/prompts"])
def test_a_change_to_code_prompts_or_deployments_is_another_version(copy: Path, change: str) -> None:
    before = code_version(copy)
    path = copy / change
    path = next(path.rglob("*.jinja")) if path.is_dir() else path
    path.write_text(path.read_text() + "\n")
    assert code_version(copy) != before


def test_a_renamed_file_is_another_version(copy: Path) -> None:
    before = code_version(copy)
    (copy / "models" / "errors.py").rename(copy / "models" / "faults.py")
    assert code_version(copy) != before


def test_the_list_of_deployments_counts_alike_in_a_wheel_and_in_a_checkout(copy: Path) -> None:
    before = code_version(copy)
    (copy / "prefect.yaml").rename(copy / "flows" / "prefect.yaml")
    assert code_version(copy) == before


@pytest.mark.parametrize("text", [None, "", "1.2", "0.1.0+short", "0.1.0+ABCDEF0123", "3f2a9c01d4"])
def test_versions_of_others_are_not_taken_for_ours(text: str | None) -> None:
    assert not is_code_version(text)

"""Several repositories in one `cra prepare`: what one of them brings about is not the end for the others."""

from contextlib import nullcontext
from pathlib import Path

import pytest

from cli import prepare as command
from flows import prepare as flow
from models.errors import RepositoryError


def fail(source: str, *_: object) -> str:
    """Stands for a preparation, which raises what the source is named after."""
    if source.endswith("refused"):
        raise RepositoryError(f"{source} is a shallow clone")
    if source.endswith("bug"):
        raise OverflowError("date value\nout of range")
    return source


@pytest.fixture(autouse=True)
def preparation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "flow_context", nullcontext)
    monkeypatch.setattr(command, "open_runtime", lambda *_: None)
    monkeypatch.setattr(flow, "prepare", fail)
    for name in ("first", "refused", "bug", "last"):
        (tmp_path / name).mkdir()


def test_a_fault_or_a_bug_of_one_repository_spares_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made, failures = command.run_prepare(["first", "refused", "bug", "last"], tmp_path / "corpus", 1, None)
    assert made == [str(tmp_path / "first"), str(tmp_path / "last")]
    assert set(failures) == {"refused", "bug"}
    assert "OverflowError" in failures["bug"]
    assert "\n" not in failures["bug"]
    assert "Traceback" in capsys.readouterr().err


def test_a_bug_that_a_single_repository_shows_is_not_hidden(tmp_path: Path) -> None:
    with pytest.raises(OverflowError):
        command.run_prepare(["bug"], tmp_path / "corpus", 1, None)

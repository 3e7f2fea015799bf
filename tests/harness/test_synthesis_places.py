"""Places that synthesis is given: copies of one repository, and what is none."""

from pathlib import Path

import pytest

from harness.synthesis.repository import check_places
from models.errors import ClassifierError, RepositoryError, UsageError
from repos.git import Git
from tests.support.direct_material import repository, run


@pytest.mark.parametrize("jobs", [1, 2])
def test_copies_of_a_repository_in_one_run_are_synthesized_once(tmp_path: Path, jobs: int) -> None:
    place = repository(tmp_path / "spans.git")
    other_spelling, copy = tmp_path / "cache" / ".." / "spans.git", repository(tmp_path / "renamed.git")
    (tmp_path / "cache").mkdir()
    report = run(tmp_path, place, other_spelling, copy, jobs=jobs)
    assert [(each.counts.commits, each.counts.done_before) for each in report.repositories] == [(3, 0), (0, 3), (0, 3)]
    assert report.total.held == 0


@pytest.mark.parametrize("url", ["https://reader:secret@host.org/spans.git", "git@host.org:team/spans.git"])
def test_a_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(UsageError) as refused:
        check_places([Path(url)])
    assert "URL" in str(refused.value)
    assert "secret" not in str(refused.value)


def test_a_repository_whose_head_names_no_branch_is_told_from_an_empty_one(tmp_path: Path) -> None:
    place = repository(tmp_path / "spans.git")
    Git(place).output("symbolic-ref", "HEAD", "refs/heads/gone")
    with pytest.raises(RepositoryError, match="symbolic-ref"):
        run(tmp_path, place)
    empty = tmp_path / "empty.git"
    empty.mkdir()
    Git(empty).output("init", "--quiet", "--bare")
    with pytest.raises(RepositoryError, match="no commits"):
        run(tmp_path, empty)


def test_a_classifier_that_cannot_be_read_ends_the_run_before_any_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "half.json").write_text('{"format": ')
    monkeypatch.setenv("CRA_RELEVANCE_FILE", str(tmp_path / "half.json"))
    with pytest.raises(ClassifierError, match=r"half\.json"):
        run(tmp_path, repository(tmp_path / "spans.git"))
    assert not (tmp_path / "raw.sqlite").exists()

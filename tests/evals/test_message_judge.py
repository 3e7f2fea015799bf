"""The figures about judges of descriptions, on small histories and with scripted judges."""

from pathlib import Path

import pytest

from benchmarks.message_judge import by_model, judged, lexical, print_judge, recalls
from evals.separation import separation
from harness.mining.regenerated import MessageLedger
from repos.git import Git
from repos.index import IndexCache
from tests.support.bad_server import ScriptedServer
from tests.support.direct_material import repository
from tests.support.message_material import SPEECHLESS, lexical_judge, model, models_of, run
from tests.support.mining_history import Entry

SUBJECTS = ("harbour tariff", "violin string", "glacier survey", "pepper harvest", "ticket queue", "comet orbit")
TOLD = [
    SPEECHLESS[0],
    *(
        Entry(
            f"Compute the {subject} by its {subject.split()[1]} number",
            {f"src/spans/{subject.split()[0]}.py": f"def {subject.replace(' ', '_')}():\n    return {place}\n"},
        )
        for place, subject in enumerate(SUBJECTS)
    ),
]
"""A history whose messages tell their changes apart by their words."""


def test_a_judge_that_compares_words_parts_messages_from_those_of_other_commits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    git = Git(repository(tmp_path / "spans.git", TOLD))
    with ScriptedServer(lexical_judge) as server:
        (tmp_path / "cra.toml").write_text(f'[models.endpoints.here]\nurl = "{server.url}"\nmodel = "scripted"\n')
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("CRA_DATA_DIR", str(tmp_path / "data"))
        found = [each for each in judged(git, by_model("here"), 20, 0) if each is not None]
        assert len(server.requests) == 2 * len(found) == 12
        assert list(judged(git, by_model("here"), 20, 0)) == found
        assert len(server.requests) == 12
    assert separation([each.own for each in found], [each.other for each in found]).auc > 0.9
    print_judge(found, 1)
    assert "6 commits, 1 unreadable" in capsys.readouterr().out


def test_without_a_model_no_message_is_judged_as_its_own_twice(tmp_path: Path) -> None:
    found = [each for each in judged(Git(repository(tmp_path / "spans.git")), lexical, 20, 1) if each is not None]
    assert len(found) == 3
    assert all(1 <= score <= 5 for each in found for score in (each.own, each.other))


def test_files_are_found_by_descriptions_where_messages_say_nothing(tmp_path: Path) -> None:
    place = repository(tmp_path / "spans.git", SPEECHLESS)
    ledger = MessageLedger.of(tmp_path / "data", Git(place))
    assert list(recalls(Git(place), ledger, IndexCache(tmp_path / "index"))) == []
    with ScriptedServer(model()) as server:
        run(tmp_path, place, models_of(server))
    found = list(recalls(Git(place), ledger, IndexCache(tmp_path / "index")))
    assert found == [(1.0, 1.0), (1.0, 1.0)]  # fewer than ten files: all are found by anything

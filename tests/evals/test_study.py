"""The study of scope on small real histories: what it makes, that it goes on, and what it refuses."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from agent.retrieve.relevance.classifier import in_force
from evals.classification import average_precision
from evals.stacking import StackRow, stacked
from evals.study.asked import Distribution, Offsets, fit_offsets, judged
from evals.study.files import read_rows
from evals.study.plan import (
    StudyRepositories,
    StudyRepository,
    StudySettings,
    check_apart,
    check_unseen,
    find_clones,
)
from evals.study.questions import StudyQuestion
from evals.study.run import Study
from evals.study.subsets import draw
from models.context import Relevance
from models.errors import EvaluationError, InfrastructureError, UsageError
from tests.support.mining_history import Entry, write_history
from tests.support.study_models import Counting, Remembering

SETTINGS = StudySettings(rows=(10, 10_000), seeds=(0, 1), commits=6, sample=2, curve_sample=1)


def repository(folder: Path, name: str, commits: int = 6) -> StudyRepository:
    """A history of modules that import each other; each commit changes one of them, and its subject names that."""
    modules = {f"src/{name}/part{n}.py": f"def part{n}():\n    return {n}\n" for n in range(6)}
    entries = [Entry("Begin", {**modules, f"src/{name}/__init__.py": f'"""{name}."""\n'})]
    for number in range(commits):
        path = f"src/{name}/part{number % 6}.py"
        text = f"from {name} import part{(number + 1) % 6}\n\n\ndef part{number % 6}():\n    return {number + 10}\n"
        entries.append(Entry(f"Return another number from part{number % 6} of {name}", {path: text}))
    git = write_history(folder / f"{name}.git", entries)
    return StudyRepository(name, git, git.resolve("HEAD"))


@pytest.fixture
def parts(tmp_path: Path) -> StudyRepositories:
    names = ("ant", "bee", "cow"), ("dog",), ("elk", "fox")
    return StudyRepositories(*(tuple(repository(tmp_path, name) for name in part) for part in names))


def study(
    out: Path, parts: StudyRepositories, models: tuple[Counting, ...] = (), learner: Remembering | None = None
) -> Study:
    return Study(out / "study", out / "cache", parts, SETTINGS, models, learner)


def test_a_study_measures_on_held_out_repositories_only(tmp_path: Path, parts: StudyRepositories) -> None:
    report = study(tmp_path, parts).run()
    assert {name for each in report.contenders for name in each.by_repository} == {"elk", "fox"}
    names = {"ranking", "first is relevant", "logistic", "logistic, tuned", "relevance"}
    assert {each.name for each in report.contenders} == names
    assert all(0 <= value <= 1 for each in report.contenders for value in each.means.values())
    assert {(each.seed, each.rows >= 10) for each in report.curve} == {(0, True), (1, True)}
    assert any("10000" in note for note in report.notes)
    assert json.loads((tmp_path / "study" / "study.json").read_text())["threshold"] == report.threshold


def test_the_same_repositories_give_the_same_bytes(tmp_path: Path, parts: StudyRepositories) -> None:
    for place in ("one", "other"):
        study(tmp_path / place, parts).run()
    one, other = ((tmp_path / place / "study" / "study.json").read_bytes() for place in ("one", "other"))
    assert one == other


def test_a_finished_study_is_not_replaced_by_another(tmp_path: Path, parts: StudyRepositories) -> None:
    study(tmp_path, parts, (Counting(),)).run()
    file = tmp_path / "study" / "study.json"
    kept = file.read_bytes()
    fewer = StudyRepositories(parts.training, parts.validation, parts.held_out[1:])
    settings = SETTINGS.model_copy(update={"rows": (10,), "seeds": (3,)})
    renamed = Counting()
    renamed.identity = "by another rank"
    others = [
        (
            Study(file.parent, tmp_path / "cache", parts, settings, (Counting(),)),
            "rows was 10,10000, is 10, seeds",
        ),
        (study(tmp_path, fewer, (Counting(),)), "held-out lacks elk"),
        (study(tmp_path, parts), "models asked were counting, are none"),
        (study(tmp_path, parts, (renamed,)), "counting is another model"),
        (study(tmp_path, parts, (Counting(),), Remembering()), "--train"),
    ]
    for other, difference in others:
        with pytest.raises(UsageError, match=difference) as refused:
            other.run()
        assert "\n" not in str(refused.value)
        assert "another --out" in str(refused.value)
        assert file.read_bytes() == kept
    again = Counting()
    study(tmp_path, parts, (again,)).run()
    assert (again.asked, file.read_bytes()) == (0, kept)
    file.unlink()
    assert others[1][0].run().configuration.repositories["held-out"].keys() == {"fox"}


def test_a_study_for_another_recall_is_another_and_too_small_a_sample_for_it_is_refused_before_a_model_is_asked(
    tmp_path: Path, parts: StudyRepositories
) -> None:
    study(tmp_path, parts, (Counting(),)).run()
    model, wanted = Counting(), SETTINGS.model_copy(update={"least_recall": 0.85, "validation_sample": 6})
    again = Study(tmp_path / "study", tmp_path / "cache", parts, wanted, (model,))
    with pytest.raises(UsageError, match=r"validation_sample was None, is 6, least_recall was None, is 0\.85"):
        again.run()
    with pytest.raises(EvaluationError, match=r"6 relevant candidates, and 15 are needed .* --validation-sample"):
        replace(again, out=tmp_path / "other").run()
    assert model.asked == 0
    half = wanted.model_copy(update={"least_recall": 0.5})
    report = replace(again, out=tmp_path / "other", settings=half).run()
    assert [(each.offsets.least, each.offsets.recall) for each in report.offsets] == [(0.5, 1.0)]
    assert model.asked == 6 + 4  # the validation repository's six, two of each held-out one


def test_a_study_that_holds_out_what_the_classifier_learned_from_is_refused(
    tmp_path: Path, parts: StudyRepositories
) -> None:
    learned, calibrated = in_force().file.trained_on[0], in_force().file.calibrated_on[0]
    for name in (learned, calibrated.replace(".", "_").upper()):
        seen = StudyRepositories(parts.training, parts.validation, (repository(tmp_path, name), *parts.held_out))
        with pytest.raises(UsageError, match=rf"classifier in force learned from {re.escape(name)}, .*--held-out"):
            study(tmp_path, seen).run()
    assert not (tmp_path / "study").exists()


def test_names_of_what_was_learned_from_are_compared_without_their_owners() -> None:
    check_unseen(["spans"], ["ant/spans-core", "span"], "ant-v1")
    for name in ("ant/Spans", "https://example.org/ant/spans.git", "spans"):
        with pytest.raises(UsageError, match="ant-v1 learned from spans"):
            check_unseen(["bee", "spans"], [name], "ant-v1")


@pytest.mark.slow
def test_a_file_of_a_million_lines_stops_no_study(tmp_path: Path, parts: StudyRepositories) -> None:
    large = "x = 1\n" * 1_000_000
    part = "src/cow/part0.py"
    entries = [
        Entry("Begin", {part: "def part0():\n    return 0\n", "src/cow/table.py": large}),
        Entry("Add a row to the table of cow", {"src/cow/table.py": large + "x = 2\n"}),
        Entry("Return another number from part0 of cow", {part: "def part0():\n    return 1\n"}),
    ]
    git = write_history(tmp_path / "large.git", entries)
    cow = StudyRepository("cow", git, git.resolve("HEAD"))
    study(tmp_path, StudyRepositories((*parts.training[:2], cow), parts.validation, parts.held_out)).run()
    [file] = (tmp_path / "study" / "questions").glob("cow-*")
    rows = read_rows(file, StudyQuestion)
    assert part in {candidate.path for row in rows for candidate in row.candidates}


def test_a_study_at_other_commits_is_another(tmp_path: Path, parts: StudyRepositories) -> None:
    study(tmp_path, parts).run()
    ant, *rest = parts.training
    moved = StudyRepository("ant", ant.git, ant.git.resolve("HEAD~1"))
    with pytest.raises(UsageError, match=f"ant was read at {ant.head[:10]}, is at {moved.head[:10]}"):
        study(tmp_path, StudyRepositories((moved, *rest), parts.validation, parts.held_out)).run()


def test_held_out_repositories_do_not_change_what_is_fitted(tmp_path: Path, parts: StudyRepositories) -> None:
    study(tmp_path / "one", parts).run()
    others = StudyRepositories(
        parts.training, parts.validation, (repository(tmp_path, "gnu"), repository(tmp_path, "hen"))
    )
    study(tmp_path / "other", others).run()
    one, other = (
        {file.name: file.read_bytes() for file in (tmp_path / place / "study" / "fits").iterdir()}
        for place in ("one", "other")
    )
    assert one == other


def test_a_stopped_study_asks_nothing_twice(tmp_path: Path, parts: StudyRepositories) -> None:
    first, second = Counting(most=3), Counting()
    with pytest.raises(KeyboardInterrupt):
        study(tmp_path, parts, (first,)).run()
    report = study(tmp_path, parts, (second,)).run()
    assert (first.asked, second.asked) == (3, 3)  # two questions of each of two held-out and one validation repository
    assert {"counting", "relevance + counting"} <= {each.name for each in report.sample}
    assert {each.reference for each in report.comparisons if "counting" in each.challenger} == {"relevance"}


def test_a_learner_is_trained_on_training_repositories_and_compared_with_its_base(
    tmp_path: Path, parts: StudyRepositories
) -> None:
    learner = Remembering()
    report = study(tmp_path, parts, (Counting(),), learner).run()
    points = [(each.rows, each.seed, each.questions) for each in report.curve if each.learner == learner.name]
    assert points[0] == (0, 0, 2)  # the base, asked one question of each held-out repository
    assert [seed for _, seed, _ in points[1:]] == [0, 1, 0]
    assert points[1][0] < points[-1][0]
    trained = [each for each in report.comparisons if each.challenger == learner.name]
    assert {each.reference for each in trained} == {"counting", "relevance"}
    assert f"relevance + {learner.name}" in {each.challenger for each in report.comparisons}
    assert {each.model for each in report.offsets} == {"counting", learner.name}


def test_offsets_undo_a_model_that_never_says_a_class(tmp_path: Path, parts: StudyRepositories) -> None:
    study(tmp_path, parts).run()
    file = next((tmp_path / "study" / "questions").glob("dog-*"))
    questions = {"dog": read_rows(file, StudyQuestion)}
    asked: dict[str, list[list[Distribution]]] = {
        "dog": [
            [(0.2, 0.1, 0.7) if c.relevance is Relevance.RELEVANT else (0.05, 0.05, 0.9) for c in q.candidates]
            for q in questions["dog"]
        ]
    }
    before = judged(asked, questions, Offsets(values=(0, 0, 0), balanced_accuracy=0, judgements=1))
    assert {each.given for each in before["dog"]} == {"irrelevant"}
    found = fit_offsets(asked, questions)
    after = judged(asked, questions, found)["dog"]
    assert all((each.given == "relevant") == (each.expected == "relevant") for each in after)
    assert found.values[0] > 0 == found.values[2]


def test_a_damaged_file_is_named(tmp_path: Path, parts: StudyRepositories) -> None:
    study(tmp_path, parts).run()
    file = next((tmp_path / "study" / "questions").glob("ant-*"))
    file.write_text('{"repository": 1}\n')
    with pytest.raises(EvaluationError, match=file.name):
        study(tmp_path, parts).run()


def test_overlapping_parts_are_refused(tmp_path: Path, parts: StudyRepositories) -> None:
    with pytest.raises(UsageError, match="elk is training and held-out"):
        check_apart(StudyRepositories((*parts.training, parts.held_out[0]), parts.validation, parts.held_out))
    twin = StudyRepository("other-name", parts.training[0].git, "x")
    with pytest.raises(UsageError, match="begin with the same commit"):
        check_apart(StudyRepositories(parts.training, parts.validation, (twin,)))
    with pytest.raises(UsageError, match="no validation repository"):
        check_apart(StudyRepositories(parts.training, (), parts.held_out))


def test_a_repository_without_questions_is_named_and_left_out(tmp_path: Path, parts: StudyRepositories) -> None:
    alone = repository(tmp_path, "yak", commits=0)
    report = study(tmp_path, StudyRepositories((*parts.training, alone), parts.validation, parts.held_out)).run()
    assert any("yak" in note for note in report.notes)
    with pytest.raises(EvaluationError, match="no validation repository has a commit"):
        study(tmp_path / "other", StudyRepositories(parts.training, (alone,), parts.held_out)).run()


def test_clones_are_found_by_name(tmp_path: Path, parts: StudyRepositories) -> None:
    assert find_clones(["ant"], [tmp_path]) == [("ant", tmp_path / "ant.git")]
    with pytest.raises(UsageError, match="'zebra'"):
        find_clones(["zebra"], [tmp_path])


def test_a_subset_is_of_whole_questions_and_depends_on_the_seed(tmp_path: Path, parts: StudyRepositories) -> None:
    study(tmp_path, parts).run()
    rows = [r for f in sorted((tmp_path / "study" / "questions").iterdir()) for r in read_rows(f, StudyQuestion)]
    one, other = draw(rows, 20, 0), draw(rows, 20, 1)
    assert sum(len(each.candidates) for each in one) >= 20
    assert one == draw(rows, 20, 0) != other


def test_stacking_adds_what_the_second_knows_and_never_fits_on_the_repository_it_predicts() -> None:
    rows = {
        name: [StackRow(0.5 + 0.1 * (n % 2), 0.9 if n % 3 == 0 else 0.1, n % 3 == 0) for n in range(12)]
        for name in "abc"
    }
    hits = [row.positive for row in rows["a"]]
    together = average_precision(stacked(rows)["a"], hits)
    alone = average_precision([row.first for row in rows["a"]], hits)
    assert together == 1.0
    assert alone is not None and alone < 1.0
    turned = {**rows, "a": [row._replace(positive=not row.positive) for row in rows["a"]]}
    assert stacked(turned)["a"] == stacked(rows)["a"]
    with pytest.raises(EvaluationError, match="at least two"):
        stacked({"a": rows["a"]})


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, parts: StudyRepositories) -> None:
    (tmp_path / "study").write_text("a file\n")
    with pytest.raises(InfrastructureError, match="questions/ant"):
        study(tmp_path, parts).run()

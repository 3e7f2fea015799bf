"""The relevance classifier's questions, fitting and figures."""

import multiprocessing
import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.retrieve.relevance.classifier import read_classifier, write_classifier
from agent.retrieve.relevance.features import OTHER_FEATURES, PRODUCTION_FEATURES, SYMBOL_FEATURES
from evals.relevance.evaluation import by_relevance, judged_candidates, judged_symbols, repository_figures
from evals.relevance.fitting import fit, probabilities
from evals.relevance.metrics import average_precision, calibration_error, class_figures, error_of, reliability
from evals.relevance.operating_point import primary_point, relevant_point
from evals.relevance.questions import LabelledQuestion, Rows, questions
from models.errors import UsageError
from models.relevance import FILE_CLASSES, SYMBOL_CLASSES, ClassifierFile
from repos.git import Git
from repos.index import IndexCache
from repos.index.parse import MAX_BYTES
from tests.support.index_material import repository

RELEVANT, SUPPORTING = FILE_CLASSES.index("relevant"), FILE_CLASSES.index("supporting")


def made_up(seed: int, features: tuple[str, ...], classes: int, rows: int) -> Rows:
    """Rows whose class follows the first feature, with noise; the last feature is constant."""
    random = np.random.default_rng(seed)
    table = random.normal(size=(rows, len(features)))
    table[:, -1] = 1.0
    limits = np.linspace(-0.5, 1.2, classes - 1)
    labels = (table[:, :1] + 0.4 * random.normal(size=(rows, 1)) > limits).sum(1)
    return Rows(table.astype(np.float32), labels.astype(np.int8))


def question(repository: str, seed: int) -> LabelledQuestion:
    production = made_up(seed, PRODUCTION_FEATURES, 3, 30)
    symbols = made_up(seed + 2, SYMBOL_FEATURES, 4, 40)
    paths = tuple(f"src/{number}.py" for number in range(30))
    changed = tuple(path for path, label in zip(paths, production.labels, strict=True) if label == RELEVANT)
    return LabelledQuestion(
        repository=repository,
        commit=f"{seed:040d}",
        production=production,
        other=made_up(seed + 1, OTHER_FEATURES, 3, 10),
        symbols=symbols,
        kept=np.ones(40, dtype=np.bool_),
        places=np.arange(1, 31, dtype=np.int16),
        changed=changed or paths[:1],
        ours=paths[:10],
        baseline=paths[-10:],
        paths=paths,
        files=30,
    )


def groups(names: str, start: int, each: int = 3) -> dict[str, list[LabelledQuestion]]:
    return {
        name: [question(name, start + 1000 * place + 10 * number) for number in range(each)]
        for place, name in enumerate(names)
    }


@pytest.fixture(scope="module")
def file() -> ClassifierFile:
    return fit(groups("abcd", 1), groups("xy", 50_000), lambda what: None)


def test_a_fit_finds_what_decides_and_is_calibrated(file: ClassifierFile) -> None:
    assert file.trained_on == tuple("abcd")
    assert file.calibrated_on == ("x", "y")
    seen = judged_candidates(file, [each for group in groups("xy", 50_000).values() for each in group]).figures()
    assert seen.recall >= 0.9
    figures = repository_figures(file, groups("z", 90_000, each=10)["z"])
    assert figures.candidates.accuracy > 0.4  # a point for recall; by chance it is a third
    assert figures.candidates.class_error < 0.15
    assert figures.classifier.recalls[2] > figures.ranking.recalls[2]


def test_the_point_of_relevant_files_finds_enough_of_them_in_the_mean_of_repositories() -> None:
    relevant = FILE_CLASSES.index("relevant")

    def judged(*chances: float) -> tuple[np.ndarray, np.ndarray]:
        rows = np.array([[1 - chance, 0.0, chance] for chance in chances])
        return rows, np.array([relevant] * (len(chances) - 1) + [0])

    even = [judged(0.2, 0.1, 0.05, 0.05), judged(0.1, 0.1)]
    assert relevant_point([even]) == pytest.approx(0.05)
    assert relevant_point([[judged(0.1, 0.1)] * 19, [judged(0.05, 0.05, 0.2)]]) == pytest.approx(0.05)
    assert relevant_point([]) == relevant_point([[judged(0.3)]]) == 0.5


def test_the_point_of_primary_symbols_prefers_finding_them() -> None:
    chances = np.array([0.9, 0.5, 0.5, 0.5, 0.1])
    assert primary_point(chances, np.array([True, True, False, False, False])) == pytest.approx(0.11)


def test_the_same_questions_give_the_same_bytes(file: ClassifierFile, tmp_path: Path) -> None:
    write_classifier(file, tmp_path / "one.json")
    write_classifier(fit(groups("abcd", 1), groups("xy", 50_000), lambda what: None), tmp_path / "two.json")
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
    assert read_classifier(tmp_path / "one.json").file == file


def test_weights_are_on_the_features_own_scale(file: ClassifierFile) -> None:
    rows = groups("z", 7)["z"][0].production.features.astype(np.float64)
    plain = probabilities(file.production, PRODUCTION_FEATURES, rows)
    assert plain.sum(1) == pytest.approx(1)
    order = plain[:, RELEVANT].argmax()
    assert rows[order, 0] > np.median(rows[:, 0])


def test_a_fit_without_enough_repositories_or_rows_is_refused() -> None:
    with pytest.raises(UsageError, match="3 repositories"):
        fit({**groups("abc", 1), "empty": []}, {}, lambda what: None)
    small = {name: [replace(found[0], production=found[0].other)] for name, found in groups("abcd", 1, each=1).items()}
    with pytest.raises(UsageError, match="40 rows are too few"):
        fit(small, {}, lambda what: None)


def test_a_class_that_never_occurs_is_never_likely() -> None:
    training = groups("abcd", 1)
    for group in training.values():
        for each in group:
            each.other.labels[each.other.labels == RELEVANT] = SUPPORTING
    file = fit(training, {}, lambda what: None)
    chances = probabilities(file.other, OTHER_FEATURES, training["a"][0].other.features.astype(np.float64))
    assert chances[:, RELEVANT].max() < 0.05


def test_the_order_by_relevance_has_each_candidate_once(file: ClassifierFile) -> None:
    asked = question("z", 3)
    assert sorted(by_relevance(file, asked)) == sorted(asked.paths)


# figures


def test_average_precision_is_the_mean_precision_at_each_hit() -> None:
    assert average_precision(np.array([0.9, 0.8, 0.7]), np.array([True, False, True])) == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision(np.array([0.9]), np.array([False])) == 0.0
    assert average_precision(np.array([]), np.array([], dtype=np.bool_)) == 0.0
    assert average_precision(np.array([0.5, 0.5]), np.array([True, False])) == 0.5


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1))
def test_average_precision_ignores_the_order_of_rows(rows: list[tuple[int, bool]]) -> None:
    shuffled = sorted(rows, key=lambda row: (row[1], row[0]))
    first, second = (
        average_precision(np.array([score for score, _ in some], float), np.array([hit for _, hit in some]))
        for some in (rows, shuffled)
    )
    assert first == pytest.approx(second)
    assert 0 <= first <= 1


def test_calibration_error_is_the_distance_of_prediction_and_truth() -> None:
    chances, happened = np.array([0.75, 0.75, 0.75, 0.75, 0.0, 0.0]), np.array([True, True, False, False, False, False])
    bins = reliability(chances, happened)
    assert [(each.predicted, each.observed, each.rows) for each in bins] == [(0.0, 0.0, 2), (0.75, 0.5, 4)]
    assert error_of(bins) == pytest.approx(0.25 * 4 / 6)
    assert error_of([]) == 0.0
    certain = np.eye(3)[[0, 1, 2]]
    assert calibration_error(certain, np.array([0, 1, 2])) == 0.0
    assert calibration_error(certain, np.array([1, 2, 0])) == 1.0


def test_figures_of_a_choice() -> None:
    chances = np.array([[0.2, 0.1, 0.7], [0.6, 0.2, 0.2], [0.1, 0.8, 0.1], [0.5, 0.1, 0.4]])
    figures = class_figures(chances, np.array([2, 0, 1, 0]), np.array([2, 0, 1, 2]))
    assert (figures.accuracy, figures.recall, figures.precision) == (0.75, 0.5, 1.0)
    assert figures.macro_f1 == pytest.approx((2 / 3 + 1 + 2 / 3) / 3)
    assert figures.average_precision == 1.0


# questions


def history(folder: Path) -> Git:
    one = "from app.two import half\n\n\ndef one(x):\n    return half(x)\n"
    return repository(
        folder,
        {"app/one.py": one, "app/two.py": "def half(x):\n    return x / 2\n", "app/three.py": "THREE = 3\n",
         "tests/test_one.py": "from app.one import one\n\n\ndef test_one():\n    assert one(2) == 1\n"},
        {"app/one.py": one.replace("half(x)\n", "half(x) + 1\n"),
         "tests/test_one.py": "from app.one import one\n\n\ndef test_one():\n    assert one(2) == 2\n"},
        {"app/three.py": "THREE = 4\n"},
        messages=("Begin the app with three files", "Let one count from one more", "Set three to four at last"),
    )  # fmt: skip


def ask(git: Git, folder: Path) -> list[LabelledQuestion]:
    return list(questions("app", git, 10, folder, IndexCache(folder / "index"), lambda done, total: None))


def test_a_commit_is_a_question_whose_answer_is_what_it_changes_and_needs(tmp_path: Path) -> None:
    latest, before = ask(history(tmp_path / "app.git"), tmp_path / "kept")
    assert (latest.changed, before.changed) == (("app/three.py",), ("app/one.py",))
    labels = dict(zip(before.paths, before.production.labels.tolist(), strict=True))
    assert labels == {"app/one.py": RELEVANT, "app/two.py": SUPPORTING, "app/three.py": 0}
    assert before.other.labels.tolist() == [SUPPORTING]
    assert sorted(before.places.tolist()) == [1, 2, 3]
    assert before.production.features.shape == (3, len(PRODUCTION_FEATURES))
    assert before.symbols.labels.tolist().count(SYMBOL_CLASSES.index("primary")) == 1
    assert before.kept.sum() == 2 + 1


def test_questions_that_were_asked_are_read_and_damaged_ones_are_asked_again(tmp_path: Path) -> None:
    git, kept = history(tmp_path / "app.git"), tmp_path / "kept"
    first = ask(git, kept)
    files = sorted(kept.glob("*.npz"))
    assert len(files) == 2
    stamps = [each.stat().st_mtime_ns for each in files]
    files[0].write_bytes(files[0].read_bytes()[:100])
    again = ask(git, kept)
    assert [each.stat().st_mtime_ns == stamp for each, stamp in zip(files, stamps, strict=True)] == [False, True]
    for one, other in zip(first, again, strict=True):
        assert (one.commit, one.paths, one.ours) == (other.commit, other.paths, other.ours)
        np.testing.assert_array_equal(one.symbols.features, other.symbols.features)
    assert len(list(kept.glob("*.part"))) == 0


def ask_and_be_killed(place: Path, folder: Path) -> None:
    """Ask in a process of its own, which is killed when one question is done."""

    def notify(done: int, total: int) -> None:
        if done == 1:
            os.kill(os.getpid(), signal.SIGKILL)

    list(questions("app", Git(place), 10, folder, IndexCache(folder / "index"), notify))


@pytest.mark.slow
def test_questions_of_a_fit_that_was_killed_are_not_asked_again(tmp_path: Path) -> None:
    git, kept = history(tmp_path / "app.git"), tmp_path / "kept"
    child = multiprocessing.get_context("spawn").Process(target=ask_and_be_killed, args=(tmp_path / "app.git", kept))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    [file] = kept.glob("*.npz")
    stamp = file.stat().st_mtime_ns
    found, undisturbed = ask(git, kept), ask(git, tmp_path / "other")
    assert file.stat().st_mtime_ns == stamp
    assert [each.commit for each in found] == [each.commit for each in undisturbed]
    for one, other in zip(found, undisturbed, strict=True):
        np.testing.assert_array_equal(one.production.features, other.production.features)
        np.testing.assert_array_equal(one.symbols.features, other.symbols.features)


@pytest.mark.slow
def test_a_file_over_the_index_limit_is_no_obstacle(tmp_path: Path) -> None:
    large = "x = 1\n" * (MAX_BYTES // 6 + 1)
    git = repository(
        tmp_path / "large.git",
        {"app/one.py": "def one():\n    return 1\n", "app/table.py": large},
        {"app/table.py": large + "x = 2\n"},
        {"app/one.py": "def one():\n    return 2\n"},
        messages=("Begin the app with a table", "Add a row to the table", "Return two from one at last"),
    )
    latest, *_ = ask(git, tmp_path / "kept")
    assert latest.changed == ("app/one.py",)
    assert "app/one.py" in latest.paths


def test_a_repository_of_one_commit_has_no_questions(tmp_path: Path) -> None:
    git = repository(tmp_path / "one.git", {"a.py": "A = 1\n"}, messages=("Begin with a single file",))
    assert ask(git, tmp_path / "kept") == []


def test_symbols_are_judged_in_files_that_gold_keeps_only(file: ClassifierFile) -> None:
    some = question("z", 3)
    some.kept[:30] = False
    assert len(judged_symbols(file, [some]).labels) == 10

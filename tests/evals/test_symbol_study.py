"""The study of precision on small real histories: its questions, what it measures, and that scope's keys stay."""

import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from cli.pages.study import study_page
from evals.study.asked import content, sampled
from evals.study.files import read_rows
from evals.study.kinds import PRECISION, SCOPE, StudyKind, symbols_by_rank
from evals.study.logistic import fit_logistic
from evals.study.plan import StudyRepositories, StudyRepository, StudySettings
from evals.study.questions import StudyCandidate, StudyQuestion
from evals.study.run import Study
from evals.study.subsets import draw, thinned
from evals.study.symbol_questions import SymbolQuestion, symbol_questions
from models.context import CandidateTier, Relevance
from models.errors import EvaluationError, UsageError
from models.settings import Settings
from models.targets import TrainingTarget
from tests.support.fitting_data import tiny_base
from tests.support.mining_history import Entry, write_history
from tests.support.study_models import Counting, Remembering

SETTINGS = StudySettings(rows=(10, 10_000), seeds=(0, 1), commits=6, sample=2, curve_sample=1)
FEWER = SETTINGS.model_copy(update={"negatives": 0.5})
RELEVANT, SUPPORTING, IRRELEVANT = Relevance.RELEVANT, Relevance.SUPPORTING, Relevance.IRRELEVANT


def module(n: int, value: int, called: str = "read") -> str:
    """Functions, one of which gives `value` by calling another, and a class."""
    return (
        f"LIMIT = {n}\n\n\ndef read(text):\n    return text\n\n\ndef write(text):\n    return text\n\n\n"
        f"def count{n}(text):\n    return len({called}(text)) + {value}\n\n\n"
        f"class Part{n}:\n    def begin(self):\n        return None\n\n    def end(self):\n        return None\n"
    )


def repository(folder: Path, name: str, commits: int = 6) -> StudyRepository:
    """A history of modules; each commit changes a function in two of them, and its subject names one."""
    paths = [f"src/{name}/part{n}.py" for n in range(6)]
    entries = [Entry("Begin", {path: module(n, 0) for n, path in enumerate(paths)})]
    for number in range(commits):
        first, second = number % 6, (number + 1) % 6
        changed = {paths[each]: module(each, number + 10, "write") for each in (first, second)}
        entries.append(Entry(f"Add {number} to what count{first} of {name} gives", changed))
    git = write_history(folder / f"{name}.git", entries)
    return StudyRepository(name, git, git.resolve("HEAD"))


@pytest.fixture
def parts(tmp_path: Path) -> StudyRepositories:
    names = ("ant", "bee", "cow"), ("dog",), ("elk", "fox")
    return StudyRepositories(*(tuple(repository(tmp_path, name) for name in part) for part in names))


def together_of(folder: Path, *names: str) -> list[SymbolQuestion]:
    """The questions that a study kept of some repositories."""
    files = [next((folder / "study" / "questions").glob(f"{name}-*")) for name in names]
    return [row for file in files for row in read_rows(file, SymbolQuestion)]


def study(
    out: Path,
    parts: StudyRepositories,
    models: tuple[Counting, ...] = (),
    learner: Remembering | None = None,
    kind: StudyKind = PRECISION,
) -> Study:
    return Study(out / "study", out / "cache", parts, SETTINGS, models, learner, kind=kind)


def test_a_question_is_of_a_file_that_changes_and_holds_all_its_symbols(tmp_path: Path) -> None:
    ant = repository(tmp_path, "ant", commits=1)
    found = list(symbol_questions(ant.git, "ant", 6, tmp_path / "cache"))
    assert {each.file.path for each in found} == {"src/ant/part0.py", "src/ant/part1.py"}
    assert len({each.subject for each in found}) == len(found) == 2
    first = next(each for each in found if each.file.path.endswith("part0.py"))
    classes = {each.name: each.relevance for each in first.candidates}
    assert classes == {
        "LIMIT": IRRELEVANT,
        "read": SUPPORTING,  # the changed line called it
        "write": SUPPORTING,  # and calls this one now
        "count0": RELEVANT,
        "Part0": IRRELEVANT,
        "Part0.begin": IRRELEVANT,
        "Part0.end": IRRELEVANT,
    }
    assert first.candidates[0].name == "count0"  # the task names it
    ranks = range(1, len(classes) + 1)
    assert [each.rank for each in first.candidates] == sorted(each.place for each in first.candidates) == list(ranks)
    assert [each.score for each in first.candidates] == sorted((each.score for each in first.candidates), reverse=True)
    assert first.candidates[0].score == 1
    assert all(each.estimate and each.tokens for each in first.candidates)
    assert [len(row) for row in first.features()] == [len(SymbolQuestion.FEATURES)] * len(classes)


def test_a_study_of_symbols_measures_on_held_out_repositories_only(tmp_path: Path, parts: StudyRepositories) -> None:
    for place in ("one", "other"):
        report = study(tmp_path / place, parts).run()
    assert {name for each in report.contenders for name in each.by_repository} == {"elk", "fox"}
    names = ["ranking", "first is relevant", "logistic", "logistic, tuned", "relevance"]
    assert [each.name for each in report.contenders] == names
    assert {each.judgements for each in report.contenders} == {2 * 12 * 7}  # two repositories, six commits, two files
    assert [(each.relevant, each.supporting) for each in report.repositories] == [(12, 22)] * 6
    assert all(0 <= value <= 1 for each in report.contenders for value in each.means.values())
    assert all(each.rows >= 10 for each in report.curve)
    one, other = ((tmp_path / place / "study" / "study.json").read_bytes() for place in ("one", "other"))
    assert one == other
    assert json.loads(one)["configuration"]["kind"] == "precision"


def test_the_page_names_the_classes_of_what_is_studied(tmp_path: Path, parts: StudyRepositories) -> None:
    pages = {kind.name: study_page(study(tmp_path / kind.name, parts, kind=kind).run()) for kind in (SCOPE, PRECISION)}
    assert "recall of primary" in pages["precision"]
    assert "recall of relevant" in pages["scope"]
    assert "primary" not in pages["scope"]


def test_a_finished_study_of_one_kind_is_not_replaced_by_the_other(tmp_path: Path, parts: StudyRepositories) -> None:
    file = tmp_path / "study" / "study.json"
    for first, second in ((SCOPE, PRECISION), (PRECISION, SCOPE)):
        study(tmp_path, parts, kind=first).run()
        kept = file.read_bytes()
        with pytest.raises(UsageError, match=f"was {first.name}, is {second.name}"):
            study(tmp_path, parts, kind=second).run()
        assert file.read_bytes() == kept
        assert ("kind" in json.loads(kept)["configuration"]) == (first is PRECISION)
        file.unlink()
    assert Counter(each.name.partition("-")[0] for each in (file.parent / "questions").iterdir()) == dict.fromkeys(
        ("ant", "bee", "cow", "dog", "elk", "fox"), 2
    )


def test_a_study_that_learned_from_whole_files_is_not_replaced_by_one_that_did_not(
    tmp_path: Path, parts: StudyRepositories
) -> None:
    study(tmp_path, parts).run()
    assert "negatives" not in (tmp_path / "study" / "study.json").read_text()
    with pytest.raises(UsageError, match=r"negatives was 1\.0, is 0\.5"):
        replace(study(tmp_path, parts), settings=FEWER).run()


def test_a_curve_learns_from_a_share_of_what_is_excluded(tmp_path: Path, parts: StudyRepositories) -> None:
    learner = Remembering()
    report = replace(study(tmp_path, parts, (Counting(),), learner), settings=FEWER).run()
    whole = together_of(tmp_path, "ant", "bee", "cow")
    all_of = sum(len(each.candidates) for each in whole)
    cases = sum(one.relevance is not IRRELEVANT for each in whole for one in each.candidates)
    trained = [rows for rows, _ in learner.learned]
    assert max(trained) == sum(len(each.indices) for each in thinned(whole, 0.5, 0))
    assert cases < max(trained) < all_of
    logistic = [(each.rows, each.macro_f1 is None) for each in report.curve if each.learner == "logistic"]
    assert logistic[-1] == (all_of, False)
    assert {unknown for _, unknown in logistic[:-1]} == {True}
    assert [each.rows for each in report.curve if each.learner == learner.name] == [0, *dict.fromkeys(trained)]
    assert report.configuration.settings.negatives == 0.5
    assert any(f"{max(trained)} judgements" in each for each in report.notes)
    assert "share of 0.5" in study_page(report)


def test_a_damaged_file_of_symbol_questions_is_named(tmp_path: Path, parts: StudyRepositories) -> None:
    study(tmp_path, parts).run()
    file = next((tmp_path / "study" / "questions").glob("ant-*"))
    [scope, *_] = SCOPE.make(parts.training[0].git, "ant", 1, tmp_path / "cache")
    file.write_text(scope.model_dump_json() + "\n")
    with pytest.raises(EvaluationError, match=file.name):
        study(tmp_path, parts).run()


def test_subsets_of_files_of_one_commit_are_different_fits_and_samples(tmp_path: Path) -> None:
    found = list(symbol_questions(repository(tmp_path, "ant", commits=1).git, "ant", 6, tmp_path / "cache"))
    assert found[0].commit == found[1].commit
    orders = [[each.subject for each in sampled({"ant": rows}, 2)["ant"]] for rows in (found, found[::-1])]
    assert orders[0] == orders[1]
    assert {each.subject for seed in range(8) for each in draw(found, 1, seed)} == {each.subject for each in found}


def test_subsets_have_all_that_is_not_excluded_and_a_share_of_the_rest_at_one_rate(tmp_path: Path) -> None:
    found = list(symbol_questions(repository(tmp_path, "ant").git, "ant", 6, tmp_path / "cache"))
    thin, other = thinned(found, 0.4, 0), thinned(found, 0.4, 1)
    assert thin == thinned(found, 0.4, 0)
    assert [each.taken for each in thin] != [each.taken for each in other]
    assert [each.subject for each in thin] == [each.subject for each in found]
    kept = Counter[bool]()
    for each, whole in zip(thin, found, strict=True):
        assert (each.candidates, each.features()) == (whole.candidates, whole.features())
        assert content(each) != content(whole)
        assert [one for one in each.learned_from if one.relevance is not IRRELEVANT] == [
            one for one in whole.candidates if one.relevance is not IRRELEVANT
        ]
        kept.update(
            number in each.indices for number, one in enumerate(whole.candidates) if one.relevance is IRRELEVANT
        )
    assert kept[True] and kept[False]
    assert thinned(found, 1, 0) == found
    subset = draw(thin, 12, 0)
    assert len(subset) > len(draw(found, 12, 0))
    fitted = fit_logistic(subset)
    assert fitted.rows == sum(len(each.learned_from) for each in subset)
    assert (
        fitted.means != fit_logistic([whole for whole in found if whole.subject in {s.subject for s in subset}]).means
    )


def test_a_learner_trains_on_the_symbols_that_were_drawn(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from training.pointwise.fitting import groups_of

    found = list(symbol_questions(repository(tmp_path, "ant").git, "ant", 6, tmp_path / "cache"))
    thin = thinned(found, 0.4, 0)
    trained = Counter(each.name for group in groups_of(thin, 0) for each in group.candidates)
    assert trained == Counter(each.name for question in thin for each in question.learned_from)


def test_models_are_asked_about_symbols_once_and_compared(tmp_path: Path, parts: StudyRepositories) -> None:
    first, second, learner = Counting(most=3), Counting(), Remembering()
    with pytest.raises(KeyboardInterrupt):
        study(tmp_path, parts, (first,)).run()
    report = study(tmp_path, parts, (second,), learner).run()
    assert (first.asked, second.asked) == (3, 3)  # two questions of each of two held-out and one validation repository
    trained = [each for each in report.comparisons if each.challenger == learner.name]
    assert {each.reference for each in trained} == {"counting", "relevance"}
    assert "class" not in "".join(each.ranked_by for each in report.sample if "counting" in each.name)


def test_symbols_are_classified_by_their_share_of_the_best_score() -> None:
    def candidates(scores: list[float]) -> list[StudyCandidate]:
        shared = {"path": "a.py", "tier": CandidateTier.LEXICAL, "reason": "", "kind": "method"}
        return [
            StudyCandidate(rank=rank, score=score, relevance=IRRELEVANT, **shared)
            for rank, score in enumerate(scores, 1)
        ]

    assert symbols_by_rank(candidates([1.0, 0.5, 0.1])) == [
        (RELEVANT, 0.625),
        (SUPPORTING, 0.3125),
        (IRRELEVANT, 0.0625),
    ]
    assert symbols_by_rank(candidates([0.0, 0.0])) == [(IRRELEVANT, 0.0), (IRRELEVANT, 0.0)]
    counts = Counter(each for each, _ in symbols_by_rank(candidates([1.0] * 20)))
    assert counts == {RELEVANT: 6, SUPPORTING: 8, IRRELEVANT: 6}


def test_what_was_kept_of_a_study_of_scope_is_found_again() -> None:
    candidate = StudyCandidate(
        path="src/a.py", rank=1, score=0.5, tier=CandidateTier.MENTIONED, reason="named", kind="production",
        symbols="run", relevance=RELEVANT,
    )  # fmt: skip
    question = StudyQuestion(repository="ant", commit="c" * 40, task="Stop the run", candidates=(candidate,))
    assert question.model_dump_json() == (
        f'{{"repository":"ant","commit":"{"c" * 40}","task":"Stop the run","candidates":[{{"path":"src/a.py","rank":1,'
        '"score":0.5,"tier":"mentioned","reason":"named","kind":"production","symbols":"run","relevance":"relevant",'
        '"estimate":null}]}'
    )
    assert content(question) == "ce987729e39fd85863ec9f533a9187b7"


@pytest.mark.slow
def test_a_base_and_its_adapter_are_asked_about_symbols(tmp_path: Path, parts: StudyRepositories) -> None:
    from training.pointwise.learner import PointwiseLearner
    from training.pointwise.model import PointwiseModel
    from training.pointwise.prompt import candidate_prompt

    base = tiny_base(tmp_path / "base")
    settings = Settings(data_dir=tmp_path / "data", cache_dir=tmp_path / "cache")
    model = PointwiseModel(settings, base, target=TrainingTarget.PRECISION)
    learner = PointwiseLearner(settings, base, TrainingTarget.PRECISION)
    assert model.identity != PointwiseModel(settings, base).identity
    assert learner.identity != PointwiseLearner(settings, base).identity
    wanted = SETTINGS.model_copy(update={"rows": (20,), "seeds": (0,), "sample": 1})
    whole = Study(tmp_path / "study", tmp_path / "cache", parts, wanted, (model,), learner, kind=PRECISION)
    report = whole.run()
    assert [each.model for each in report.offsets] == [base.name, learner.name]
    assert [each.rows for each in report.curve if each.learner == learner.name] == [0, 21]
    assert {each.judgements for each in report.sample} == {2 * 7}
    [question, *_] = read_rows(next((tmp_path / "study" / "questions").glob("elk-*")), SymbolQuestion)
    texts = [candidate_prompt(question, each)[0].content for each in question.candidates]
    assert len(set(texts)) == 7
    likelihoods = [re.search(r"rank \d+ of 7, (.*) change(?::|$)", text, re.MULTILINE) for text in texts]
    assert all(likelihoods) and len({found[1] for found in likelihoods if found}) > 1
    assert all(f"rank {each.place} of 7" in text for each, text in zip(question.candidates, texts, strict=True))

"""The relevance classifier as a gate's contender: an item's commit is ranked again, its files or symbols read off."""

from pathlib import Path

import pytest

from agent.prompts import render
from agent.retrieve import estimate_symbols, file_outlines
from agent.retrieve.judgements import write_precision, write_scope
from agent.retrieve.ranking import rank
from agent.retrieve.relevance.classifier import in_force
from agent.retrieve.relevance.freezing import frozen_estimates
from agent.retrieve.retrieval import JUDGED
from evals.against_classifier import contest, contested, require_contest
from evals.shown import shown_symbols
from evals.thresholds import Rules
from harness.packages.gold_patch import read_gold_patch
from harness.packages.package import RepoPackage
from harness.planners.gold_judgements import GoldJudge
from models.context import Candidate, Relevance
from models.errors import EvaluationError
from models.evaluation import (
    ClassJudgement,
    Evaluation,
    EvaluationItem,
    EvaluationSet,
    GateReport,
    GateVerdict,
    ItemScore,
    Subject,
)
from models.judging import AnswerForm
from models.protocols import Request, Stage, Task
from models.settings import Settings
from models.training import TrainingTarget
from repos.index import IndexCache, build_index
from repos.sources import GitSource
from training.cycle.classifier import (
    RankedItems,
    RankedPrecision,
    RankedScope,
    RelevanceContender,
    gated_by_classifier,
)
from training.cycle.context import open_context


def item_of(package: RepoPackage, cache: Path) -> tuple[EvaluationItem, tuple[Candidate, ...]]:
    instance = next(each for each in package.manifest.instances if each.valid)
    index = build_index(GitSource(package.git, instance.base_commit), IndexCache(cache))
    candidates = tuple(rank(instance.task, index)[:JUDGED])
    judged = GoldJudge(read_gold_patch(package.git, instance.commit, instance.base_commit)).scope(candidates).files
    task = Task(text=instance.task, repository=package.manifest.name, base=instance.base_commit)
    request = Request(stage=Stage.SCOPE, task=task, candidates=candidates, answers=AnswerForm.LETTERS)
    item = EvaluationItem(
        id="1" * 64, stage=Stage.SCOPE, repository=package.manifest.name, instance="i", commit=instance.commit,
        messages=render(request, 100_000, len), expected=write_scope(judged, AnswerForm.LETTERS), answer_tokens=100,
    )  # fmt: skip
    return item, candidates


def items_of(package: RepoPackage, folder: Path) -> RankedItems:
    return RankedItems(lambda: [package.directory], folder / "index")


def precision_item(package: RepoPackage, cache: Path, form: AnswerForm) -> EvaluationItem:
    """The first instance's question about the symbols of the files that gold keeps."""
    instance = next(each for each in package.manifest.instances if each.valid)
    index = build_index(GitSource(package.git, instance.base_commit), IndexCache(cache))
    judge = GoldJudge(read_gold_patch(package.git, instance.commit, instance.base_commit))
    candidates = rank(instance.task, index)[:JUDGED]
    classes = judge.scope(candidates).files
    kept = [(each, classes[each.path]) for each in candidates if classes[each.path] is not Relevance.IRRELEVANT]
    estimates = estimate_symbols(instance.task, index, [each for each, _ in kept])
    outlines = tuple(file_outlines(index, kept, estimates, len))
    task = Task(text=instance.task, repository=package.manifest.name, base=instance.base_commit)
    request = Request(stage=Stage.PRECISION, task=task, outlines=outlines, answers=form)
    return EvaluationItem(
        id="2" * 64, stage=Stage.PRECISION, repository=package.manifest.name, instance="i", commit=instance.commit,
        messages=render(request, 100_000, len), expected=write_precision(judge.precision(outlines).symbols, form),
        answer_tokens=100,
    )  # fmt: skip


def test_it_judges_each_file_with_the_probability_of_its_ranking(sample: RepoPackage, tmp_path: Path) -> None:
    item, candidates = item_of(sample, tmp_path / "index")
    judged = RankedScope(RelevanceContender(), items_of(sample, tmp_path)).judge(item)
    assert "relevant" in {each.expected for each in judged}
    assert [each.probability for each in judged] == [c.estimate and c.estimate.relevant for c in candidates]
    assert None not in {each.probability for each in judged}
    assert all((each.given == "relevant") == ((each.probability or 0) >= 0.5) for each in judged)


@pytest.mark.parametrize("form", AnswerForm)
def test_it_judges_each_symbol_with_the_probability_of_the_classifier(
    sample: RepoPackage, tmp_path: Path, form: AnswerForm
) -> None:
    item, items = precision_item(sample, tmp_path / "index", form), items_of(sample, tmp_path)
    judged = RankedPrecision(items).judge(item)
    shown = shown_symbols(item)
    known = frozen_estimates(*items.find(item), [path for path, _ in shown]).symbols
    assert [each.probability for each in judged] == [known[path][name].primary for path, name in shown]
    assert {each.expected for each in judged} >= {"primary", "excluded"}
    least = in_force().point.primary
    assert all((each.given == "primary") == ((each.probability or 0) >= least) for each in judged)
    with pytest.raises(EvaluationError, match="judges files"):
        RankedScope(RelevanceContender(), items).judge(item)


def test_an_adapter_of_precision_must_beat_the_classifier(sample: RepoPackage, tmp_path: Path) -> None:
    item = precision_item(sample, tmp_path / "index", AnswerForm.PATHS)
    contender, subject = RankedPrecision(items_of(sample, tmp_path)), Subject(name="precision-v1", base="b")
    promoted = GateReport(
        target=TrainingTarget.PRECISION, champion=subject, challenger=subject, set_id="s",
        verdict=GateVerdict.PROMOTE, reason="better", tests=(),
    )  # fmt: skip
    names = [f"repository {number}" for number in range(8)]
    judged = contender.judge(item)

    def answers(right: bool) -> tuple[ClassJudgement, ...]:
        chances = [0.05 + 0.9 * ((each.expected == "primary") == right) for each in judged]
        return tuple(each.model_copy(update={"probability": p}) for each, p in zip(judged, chances, strict=True))

    def evaluation(right: bool) -> Evaluation:
        scores = [ItemScore(item=n, repository=n, seed=0, scores={}, judgements=answers(right)) for n in names]
        return Evaluation(
            set_id="s", target=TrainingTarget.PRECISION, subject=subject, settings={}, scores=tuple(scores), seconds=0.0
        )

    items = EvaluationSet(
        target=TrainingTarget.PRECISION,
        repositories=tuple(names),
        items=tuple(item.model_copy(update={"id": name}) for name in names),
    )
    for right in (False, True):  # the classifier is right about all of this small item, so that nothing beats it
        report = gated_by_classifier(promoted, evaluation(right), items, contender, Rules())
        assert report.verdict is GateVerdict.INCONCLUSIVE and report.contest is not None
        assert (report.contest.classifier, report.contest.repositories, report.contest.alone) == ("relevance", 8, 1.0)
        assert report.contest.adapter == 1.0 if right else (report.contest.adapter or 1.0) < 0.5
    won = contest(evaluation(True), "relevance", dict.fromkeys(names, answers(False)), Rules())
    assert won.holds and require_contest(promoted, won).verdict is GateVerdict.PROMOTE


def test_every_target_with_classes_has_the_classifier_as_a_contender(tmp_path: Path) -> None:
    context = open_context(Settings(data_dir=tmp_path / "data", cache_dir=tmp_path / "cache"))
    contested_targets = {target for target in TrainingTarget if contested(target)}
    assert set(context.classifiers) == contested_targets == {TrainingTarget.SCOPE, TrainingTarget.PRECISION}
    assert {each.identity for each in context.classifiers.values()} == {in_force().content}


def test_an_item_whose_package_is_not_here_is_refused(sample: RepoPackage, tmp_path: Path) -> None:
    item, _ = item_of(sample, tmp_path / "index")
    with pytest.raises(EvaluationError, match="prepare it again"):
        RankedScope(RelevanceContender(), RankedItems(list, tmp_path / "index")).judge(item)

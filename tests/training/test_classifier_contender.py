"""The relevance classifier as a gate's contender: an item's commit is ranked again, its files read off."""

from pathlib import Path

import pytest

from agent.prompts import render
from agent.retrieve.judgements import write_scope
from agent.retrieve.ranking import rank
from agent.retrieve.retrieval import JUDGED
from harness.packages.gold_patch import read_gold_patch
from harness.packages.package import RepoPackage
from harness.planners.gold_judgements import GoldJudge
from models.context import Candidate
from models.errors import EvaluationError
from models.evaluation import EvaluationItem
from models.judging import AnswerForm
from models.protocols import Request, Stage, Task
from repos.index import IndexCache, build_index
from repos.sources import GitSource
from training.cycle.classifier import RankedScope, RelevanceContender


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


def test_it_judges_each_file_with_the_probability_of_its_ranking(sample: RepoPackage, tmp_path: Path) -> None:
    item, candidates = item_of(sample, tmp_path / "index")
    judged = RankedScope(RelevanceContender(), lambda: [sample.directory], tmp_path / "index").judge(item)
    assert "relevant" in {each.expected for each in judged}
    assert [each.probability for each in judged] == [c.estimate and c.estimate.relevant for c in candidates]
    assert None not in {each.probability for each in judged}
    assert all((each.given == "relevant") == ((each.probability or 0) >= 0.5) for each in judged)


def test_an_item_whose_package_is_not_here_is_refused(sample: RepoPackage, tmp_path: Path) -> None:
    item, _ = item_of(sample, tmp_path / "index")
    with pytest.raises(EvaluationError, match="prepare it again"):
        RankedScope(RelevanceContender(), list, tmp_path / "index").judge(item)

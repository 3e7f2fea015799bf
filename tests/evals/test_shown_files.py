"""The files that a frozen question of scope shows are read off the prompt, past whatever the task's text looks like."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.prompts import render
from agent.retrieve.judgements import write_scope
from evals.shown import shown_files
from models.context import Candidate, CandidateTier, Relevance
from models.errors import EvaluationError
from models.evaluation import EvaluationItem
from models.judging import AnswerForm
from models.protocols import Request, Stage, Task

MISLEADING = "Fix it\n\n# Candidate files 1 to 2 of 2\n\n## 1. wrong.py\n\n## 2. also/wrong.py"


def item(paths: list[str], form: AnswerForm, task: str, judged: int | None = None) -> EvaluationItem:
    candidates = tuple(
        Candidate(path=path, score=0.1, tier=CandidateTier.LEXICAL, reason="words", outline="def f(): ...\n## x")
        for path in paths
    )
    asked = Task(text=task, repository="r", base="0")
    messages = render(Request(stage=Stage.SCOPE, task=asked, candidates=candidates, answers=form), 100_000, len)
    expected = write_scope(dict.fromkeys(paths[:judged], Relevance.IRRELEVANT), form)
    return EvaluationItem(
        id="0" * 64, stage=Stage.SCOPE, repository="r", instance="i", commit="c", messages=messages,
        expected=expected, answer_tokens=100,
    )  # fmt: skip


@pytest.mark.parametrize("form", AnswerForm)
@settings(deadline=None, max_examples=30)
@given(paths=st.lists(st.from_regex(r"[a-z]{1,8}(/[a-z_]{1,8}){0,2}\.py", fullmatch=True), min_size=1, unique=True))
def test_the_files_of_a_prompt_are_found_in_its_order(form: AnswerForm, paths: list[str]) -> None:
    assert shown_files(item(paths, form, MISLEADING)) == paths


def test_a_prompt_of_other_files_than_gold_judged_is_refused() -> None:
    with pytest.raises(EvaluationError, match="gold judged 1"):
        shown_files(item(["a.py", "b.py"], AnswerForm.LETTERS, MISLEADING, judged=1))

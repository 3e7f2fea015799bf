"""What a frozen question of scope or precision shows is read off its prompt, whatever the task's text looks like."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.prompts import render
from agent.retrieve.judgements import write_precision, write_scope
from evals.shown import shown_files, shown_symbols
from models.context import Candidate, CandidateTier, FileOutline, Relevance, SymbolOutline, SymbolUse
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


NAMES = st.from_regex(r"[A-Za-z_]{1,8}(\.[a-z_]{1,8})?(#2)?", fullmatch=True)
PATHS = st.from_regex(r"[a-z]{1,8}(/[a-z_() ]{1,8}){0,2}\.py", fullmatch=True)
NUMBERED = f"{MISLEADING}\n\n# Symbols\n\n## wrong.py (relevant; rank 1)\n\n1. `wrong` (function)\n  f"


def of_symbols(files: dict[str, list[str]], form: AnswerForm) -> EvaluationItem:
    outlines = tuple(
        FileOutline(
            path=path,
            relevance=Relevance.SUPPORTING,
            symbols=tuple(SymbolOutline(name=name, kind="function", signature="2. `x` (", doc="# S") for name in names),
        )
        for path, names in files.items()
    )
    asked = Task(text=NUMBERED, repository="r", base="0")
    messages = render(Request(stage=Stage.PRECISION, task=asked, outlines=outlines, answers=form), 100_000, len)
    judged = {path: dict.fromkeys(names, SymbolUse.EXCLUDED) for path, names in files.items()}
    return EvaluationItem(
        id="0" * 64, stage=Stage.PRECISION, repository="r", instance="i", commit="c", messages=messages,
        expected=write_precision(judged, form), answer_tokens=100,
    )  # fmt: skip


@pytest.mark.parametrize("form", AnswerForm)
@settings(deadline=None, max_examples=30)
@given(
    files=st.dictionaries(PATHS, st.lists(NAMES, min_size=1, max_size=4, unique=True), min_size=1, max_size=3),
)
def test_the_symbols_of_a_prompt_are_found_in_its_order(form: AnswerForm, files: dict[str, list[str]]) -> None:
    assert shown_symbols(of_symbols(files, form)) == [(path, name) for path, names in files.items() for name in names]


def test_symbols_are_not_looked_for_in_a_question_of_files() -> None:
    with pytest.raises(EvaluationError, match="shows no symbols"):
        shown_symbols(item(["a.py"], AnswerForm.PATHS, MISLEADING))
    with pytest.raises(EvaluationError, match="shows no files"):
        shown_files(of_symbols({"a.py": ["f"]}, AnswerForm.PATHS))

"""Questions of scope and precision: how many items each holds, which are asked about, and what is said of them."""

import re
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from agent.prompts import render
from agent.retrieve.batches import MOST_BATCHES, MOST_ITEMS, file_questions, symbol_questions
from models.context import (
    Candidate,
    CandidateTier,
    FileOutline,
    Relevance,
    RelevanceEstimate,
    SymbolOutline,
)
from models.edits import EditFormat
from models.judging import AnswerForm, QuestionForm, Slice
from models.protocols import Answer, Request, Stage, Task


@dataclass
class Asked:
    """A planner of which only the form of questions and the windows matter."""

    question_form: QuestionForm = field(default_factory=QuestionForm)
    prompt: int = 8000
    output: int = 2000
    name: str = "asked"
    identity: str = "asked"
    edit_format: EditFormat = EditFormat.SEARCH_REPLACE
    judges: bool = True
    guides_ranking: bool = False
    falls_back: bool = False
    plans: bool = False

    def max_prompt_tokens(self, stage: Stage) -> int:
        return self.prompt

    def max_output_tokens(self, stage: Stage) -> int:
        return self.output

    def count(self, text: str) -> int:
        return len(text)

    def answer(self, request: Request) -> Answer:
        raise AssertionError("nothing is asked here")


def candidates(count: int) -> list[Candidate]:
    return [
        Candidate(path=f"f{n}.py", score=1 / n, tier=CandidateTier.LEXICAL, reason="words", rank=n)
        for n in range(1, count + 1)
    ]


def outlines(*sizes: int) -> list[FileOutline]:
    return [
        FileOutline(
            path=f"f{number}.py",
            relevance=Relevance.RELEVANT,
            symbols=tuple(
                SymbolOutline(name=f"s{place}", kind="function", signature="def s()", rank=size - place)
                for place in range(size)
            ),
            total_symbols=size,
        )
        for number, size in enumerate(sizes)
    ]


@given(st.integers(0, 40), st.sampled_from([0, 1, 6, 7]), st.sampled_from(AnswerForm), st.integers(200, 9000))
def test_questions_show_all_candidates_once_in_order_and_say_which(
    count: int, at_once: int, form: AnswerForm, prompt: int
) -> None:
    planner = Asked(QuestionForm(answers=form, files=at_once), prompt=prompt)
    files = candidates(count)
    asked = list(file_questions("task", files, planner))
    shown = [candidate for batch, _ in asked for candidate in batch]
    assert shown == files[: len(shown)]
    assert len(shown) == count or (len(asked) == MOST_BATCHES and not at_once)
    first = 1
    for batch, place in asked:
        assert place == Slice(first=first, last=first + len(batch) - 1, total=count)
        assert 0 < len(batch) <= (at_once or count)
        first += len(batch)


def test_one_at_a_time_is_limited_by_items_and_takes_the_best_symbols_of_each_file() -> None:
    planner = Asked(QuestionForm(symbols=1))
    asked = list(symbol_questions("task", outlines(50, 50), planner))
    assert len(asked) == MOST_ITEMS
    ranks = [outline.symbols[0].rank for batch, _ in asked for outline in batch]
    assert max(ranks) == MOST_ITEMS // 2
    assert {place.total for _, place in asked} == {MOST_ITEMS}


def test_a_question_of_symbols_names_each_file_once() -> None:
    planner = Asked(QuestionForm(symbols=4))
    batches = [batch for batch, _ in symbol_questions("task", outlines(3, 3), planner)]
    assert [[(o.path, len(o.symbols)) for o in batch] for batch in batches] == [
        [("f0.py", 3), ("f1.py", 1)],
        [("f1.py", 2)],
    ]


def test_what_comes_before_a_candidate_is_the_same_for_all_questions_of_a_task() -> None:
    """A server that keeps prefixes computes the task once, however many questions follow."""
    task = Task(text="Make `area` reject negative sides", repository="r", base="0")
    planner = Asked(QuestionForm(answers=AnswerForm.LETTERS, files=1))
    prompts = [
        render(
            Request(stage=Stage.SCOPE, task=task, candidates=tuple(batch), answers=AnswerForm.LETTERS, shown=place),
            8000,
            len,
        )
        for batch, place in file_questions(task.text, candidates(3), planner)
    ]
    assert len({system.content for system, _ in prompts}) == 1
    heads = {user.content.partition("# Candidate")[0] for _, user in prompts}
    assert len(heads) == 1 and task.text in heads.pop()
    assert all(f"{n} of 3" in user.content for n, (_, user) in enumerate(prompts, start=1))


WORDS = ("very unlikely to", "unlikely to", "may", "likely to", "very likely to")


def likelihood(candidate: Candidate) -> int:
    """The place of a candidate's likelihood of change among the words for it, as a prompt has it."""
    task = Task(text="do it", repository="r", base="0")
    _, user = render(Request(stage=Stage.SCOPE, task=task, candidates=(candidate,)), 8000, len)
    [word] = re.findall(
        r"^(?:Rank \d+, )?((?:very )?(?:un)?likely to|may) change[;,]", user.content, re.MULTILINE | re.I
    )
    return WORDS.index(word.lower())


@given(st.floats(0, 1), st.floats(0, 1), st.integers(0, 50))
def test_a_likelier_file_is_never_called_less_likely(one: float, other: float, rank: int) -> None:
    found = []
    for chance in sorted((one, other)):
        ranked = Candidate(path="a", score=chance, tier=CandidateTier.LEXICAL, reason="", rank=rank)
        estimate = RelevanceEstimate(relevant=chance, supporting=0)
        assert likelihood(ranked.model_copy(update={"score": 0, "estimate": estimate})) == likelihood(ranked)
        found.append(likelihood(ranked))
    assert found == sorted(found)


def symbol_likelihood(likelihood: float | None) -> str | None:
    """What the prompt of precision says of a symbol's likelihood of change."""
    symbol = SymbolOutline(name="area", kind="function", signature="def area(side)", rank=1, likelihood=likelihood)
    file = FileOutline(path="a.py", relevance=Relevance.RELEVANT, symbols=(symbol,), score=0.5, total_symbols=9)
    task = Task(text="do it", repository="r", base="0")
    _, user = render(Request(stage=Stage.PRECISION, task=task, outlines=(file,)), 8000, len)
    found = re.search(r"^- `area` \(.*rank 1 of 9(?:, (.*) change)?\)$", user.content, re.MULTILINE)
    assert found
    return found[1]


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_likelier_symbol_is_never_called_less_likely(one: float, other: float) -> None:
    found = [symbol_likelihood(each) for each in sorted((one, other))]
    assert [WORDS.index(each or "") for each in found] == sorted(WORDS.index(each or "") for each in found)
    assert symbol_likelihood(None) is None

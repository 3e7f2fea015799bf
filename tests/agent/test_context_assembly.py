"""Context packages: which form each file has, who gives way when the budget is short, and what never vanishes."""

import pytest

from agent.retrieve.assembly import FRAME, assemble
from agent.retrieve.outlines import file_outlines
from agent.retrieve.scope import default_scope
from agent.retrieve.thresholds import IN_USE, ContextThresholds
from agent.retrieve.unjudged import judge_symbols
from models.context import (
    Candidate,
    CandidateTier,
    ContextPackage,
    Relevance,
    RelevanceEstimate,
    SymbolJudgement,
    SymbolUse,
)
from models.relevance import SymbolEstimate
from models.tokens import estimate_tokens
from repos.index import RepositoryIndex
from tests.support.index_material import indexed

BODY = "".join(f"    step_{line} = value + {line}\n" for line in range(80))
LONG = "".join(f"def work_{name}(value):\n{BODY}    return value\n\n\n" for name in "abcd")
FILES = {"src/shop/first.py": LONG, "src/shop/second.py": LONG, "src/shop/third.py": LONG}
FIRST, SECOND, THIRD = FILES
AMPLE = 100_000


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> RepositoryIndex:
    return indexed(tmp_path_factory.mktemp("long"), FILES)


def candidate(path: str, relevant: float = 0.5, supporting: float = 0.0) -> Candidate:
    estimate = RelevanceEstimate(relevant=relevant, supporting=supporting)
    return Candidate(path=path, score=0.5, tier=CandidateTier.LEXICAL, reason="", estimate=estimate, rank=1)


def judged(path: str, **uses: SymbolUse) -> list[SymbolJudgement]:
    return [SymbolJudgement(path=path, symbol=f"work_{name}", use=use) for name, use in uses.items()]


def packed(
    index: RepositoryIndex, relevances: dict[str, Relevance], symbols: list[SymbolJudgement], budget: int
) -> ContextPackage:
    files = [(candidate(path), relevance) for path, relevance in relevances.items()]
    package = assemble(index, files, symbols, budget, estimate_tokens)
    assert package.tokens == sum(file.tokens for file in package.files) <= budget
    return package


def test_without_any_file_the_package_is_empty(index: RepositoryIndex) -> None:
    assert packed(index, {}, [], AMPLE).files == ()


def test_a_relevant_file_shows_the_bodies_that_matter_and_the_heads_of_the_others(index: RepositoryIndex) -> None:
    symbols = judged(FIRST, a=SymbolUse.PRIMARY, b=SymbolUse.EXCLUDED)
    (file,) = packed(index, {FIRST: Relevance.RELEVANT}, symbols, AMPLE).files
    assert "def work_b(value):" in file.text
    assert file.text.count("step_79 = value + 79") == 1
    assert not file.whole


def test_a_first_file_gives_way_so_that_a_later_one_is_shown_at_all(index: RepositoryIndex) -> None:
    symbols = [
        *judged(FIRST, a=SymbolUse.PRIMARY, b=SymbolUse.SUPPORTING, c=SymbolUse.SUPPORTING),
        *judged(SECOND, a=SymbolUse.PRIMARY),
        *judged(THIRD, a=SymbolUse.TYPE_CONTEXT),
    ]
    alone = packed(index, {FIRST: Relevance.RELEVANT}, symbols, AMPLE)
    relevances = {FIRST: Relevance.RELEVANT, SECOND: Relevance.RELEVANT, THIRD: Relevance.SUPPORTING}
    package = packed(index, relevances, symbols, alone.tokens)
    assert [file.path for file in package.files] == [FIRST, SECOND, THIRD]
    assert package.files[0].tokens < alone.tokens


def test_what_does_not_fit_in_its_briefest_form_is_left_out_with_the_room_there_was(index: RepositoryIndex) -> None:
    symbols = judged(FIRST, a=SymbolUse.PRIMARY)
    package = packed(index, {FIRST: Relevance.RELEVANT}, symbols, FRAME)
    assert package.files == ()
    assert [left.path for left in package.left_out] == [FIRST]
    assert str(FRAME) in package.left_out[0].reason


def test_a_file_of_which_a_judge_excludes_every_symbol_is_left_out(index: RepositoryIndex) -> None:
    package = packed(index, {FIRST: Relevance.SUPPORTING}, judged(FIRST, a=SymbolUse.EXCLUDED), AMPLE)
    assert package.files == ()


def test_the_classifier_leaves_the_heads_of_the_likeliest_symbols_of_every_file(index: RepositoryIndex) -> None:
    chances = {"a": 0.001, "b": 0.003, "c": 0.002, "d": 0.0}
    estimates = {
        FIRST: {
            f"work_{name}": SymbolEstimate(primary=chance, supporting=0, type_context=0)
            for name, chance in chances.items()
        }
    }
    symbols = judge_symbols(estimates, ContextThresholds(heads=2))
    assert [each.symbol for each in symbols] == ["work_b", "work_c", "work_a", "work_d"]
    assert [each.use for each in symbols] == [SymbolUse.TYPE_CONTEXT] * 2 + [SymbolUse.EXCLUDED] * 2
    (file,) = packed(index, {FIRST: Relevance.SUPPORTING}, symbols, AMPLE).files
    assert "def work_b(value):" in file.text
    assert "def work_a(value):" not in file.text


def test_an_outline_says_how_likely_each_symbol_is_to_change_if_its_file_does(index: RepositoryIndex) -> None:
    chances = {"work_a": 0.06, "work_b": 0.3, "work_c": 0.0}
    estimates = {
        FIRST: {name: SymbolEstimate(primary=each, supporting=0, type_context=0) for name, each in chances.items()}
    }
    likely = candidate(FIRST, 0.2)
    [outline] = file_outlines(index, [(likely, Relevance.RELEVANT)], estimates, len)
    found = {each.name: (each.rank, each.likelihood) for each in outline.symbols}
    assert found["work_a"] == (2, pytest.approx(0.3))
    assert found["work_b"] == (1, 1.0)  # above the chance of its file: it can be no more than certain
    assert found["work_c"] == (3, 0.0)
    assert found["work_d"] == (0, None)
    unknown = likely.model_copy(update={"estimate": None})
    [outline] = file_outlines(index, [(unknown, Relevance.RELEVANT)], estimates, len)
    assert {each.likelihood for each in outline.symbols} == {None}


@pytest.mark.parametrize(
    ("primary", "use"),
    [(0.5, SymbolUse.PRIMARY), (0.2, SymbolUse.SUPPORTING), (0.1, SymbolUse.TYPE_CONTEXT), (0.0, SymbolUse.EXCLUDED)],
)
def test_a_symbols_use_follows_from_its_worth(primary: float, use: SymbolUse) -> None:
    least = ContextThresholds(primary=0.4, whole=0.2, head=0.1, heads=0)
    estimate = SymbolEstimate(primary=primary, supporting=0, type_context=0)
    assert [each.use for each in judge_symbols({FIRST: {"work_a": estimate}}, least)] == [use]


def test_likely_files_are_relevant_and_less_likely_ones_supporting_as_far_as_they_are_shown() -> None:
    candidates = [candidate(f"{place}.py", chance) for place, chance in enumerate((0.01, 0.4, 0.3, 0.05, 0.04))]
    least = ContextThresholds(relevant=0.3, kept=0.02, shown=4)
    found = [each.relevance for each in default_scope(candidates, least)]
    assert found == [
        Relevance.IRRELEVANT, Relevance.RELEVANT, Relevance.RELEVANT, Relevance.SUPPORTING, Relevance.SUPPORTING,
    ]  # fmt: skip
    fewer = default_scope(candidates, ContextThresholds(relevant=0.3, kept=0.02, shown=3))
    assert [each.relevance for each in fewer[3:]] == [Relevance.SUPPORTING, Relevance.IRRELEVANT]


def test_no_file_that_the_classifier_keeps_can_vanish_for_want_of_symbols() -> None:
    assert IN_USE.heads >= 1


def test_where_no_file_matters_the_package_is_empty(index: RepositoryIndex) -> None:
    package = packed(index, {FIRST: Relevance.IRRELEVANT}, [], AMPLE)
    assert (package.files, package.left_out, package.tokens) == ((), (), 0)

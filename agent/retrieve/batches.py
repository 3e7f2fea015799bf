"""Files and symbols cut into questions that fit a stage's window, in the form that a planner is asked in."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

from models.context import Candidate, FileOutline, SymbolOutline
from models.judging import AnswerForm, Slice
from models.protocols import Planner, Stage

T = TypeVar("T")
OutlinedSymbol = tuple[FileOutline, SymbolOutline]
"""A symbol with the outline of its file."""

MOST_BATCHES = 4
"""Most questions of a retrieval stage that hold as many items as fit, retries not counted; items after them keep their
rank."""
MOST_ITEMS = 60
"""Most items of a stage whose questions hold a set number of items: there are as many questions as these take."""
EVIDENCE = 16
"""Tokens by which a file's number, rank and likelihood lengthen what is shown of it."""
SYMBOL_EVIDENCE = 24
"""The same of a symbol, which has its file's number of symbols as well."""
SPACING = 8
"""Tokens that an item of an answer may have in addition to its words: optional white space."""
FRAMING = 0.25
"""Share of a prompt reserved for what is no item: instructions, in planning and coding also plan, step and failure."""


def file_questions(
    task: str, candidates: Sequence[Candidate], planner: Planner
) -> Iterator[tuple[list[Candidate], Slice]]:
    """The candidates of each question of scope about a task's text, best first, with their places among all."""
    numbered = planner.question_form.answers is AnswerForm.LETTERS

    def answered(candidate: Candidate) -> str:
        return '"10": "S", ' if numbered else f'"{candidate.path}": "supporting"'

    def shown(candidate: Candidate) -> str:
        return f"{candidate.path} {candidate.reason}\n{candidate.outline}"

    budget = _budget(task, planner, Stage.SCOPE)
    return _questions(candidates, _Measure(planner.count, shown, answered), budget, planner.question_form.files)


def symbol_questions(
    task: str, outlines: Sequence[FileOutline], planner: Planner
) -> Iterator[tuple[list[FileOutline], Slice]]:
    """The outlines of each question of precision, with only its symbols, and the symbols' places among all.

    Where a question holds a set number of symbols, those of the best rank in their files are asked about.
    """
    numbered = planner.question_form.answers is AnswerForm.LETTERS
    at_once = planner.question_form.symbols
    symbols = [(outline, symbol) for outline in outlines for symbol in outline.symbols]
    if at_once:
        symbols = _likeliest(symbols)

    def answered(item: OutlinedSymbol) -> str:
        return '"100": "S", ' if numbered else f'"{item[0].path}" "{item[1].name}": "type_context"'

    budget = _budget(task, planner, Stage.PRECISION)
    measure = _Measure(planner.count, _shown_symbol, answered, SYMBOL_EVIDENCE)
    for batch, place in _questions(symbols, measure, budget, at_once):
        yield _regrouped(batch), place


def _likeliest(symbols: Sequence[OutlinedSymbol]) -> list[OutlinedSymbol]:
    """At most `MOST_ITEMS` symbols, those of the best ranks in their files; in their order."""
    order = sorted(range(len(symbols)), key=lambda number: (symbols[number][1].rank, number))
    return [symbols[number] for number in sorted(order[:MOST_ITEMS])]


@dataclass(frozen=True)
class _Measure(Generic[T]):
    """How an item is counted: the text that shows it, the longest judgement of it, and the tokens of its evidence."""

    count: Callable[[str], int]
    shown: Callable[[T], str]
    answered: Callable[[T], str]
    evidence: int = EVIDENCE

    def tokens(self, item: T) -> tuple[int, int]:
        """Tokens of an item in a question and in its answer."""
        return self.count(self.shown(item)) + self.evidence, self.count(self.answered(item)) + SPACING


def _budget(task: str, planner: Planner, stage: Stage) -> tuple[int, int]:
    """Tokens that all items of a question may have there and in its answer."""
    most_shown = int(planner.max_prompt_tokens(stage) * (1 - FRAMING)) - planner.count(task)
    return most_shown, int(planner.max_output_tokens(stage) * (1 - FRAMING))


def _questions(
    items: Sequence[T], measure: _Measure[T], budget: tuple[int, int], at_once: int
) -> Iterator[tuple[list[T], Slice]]:
    """Batches with their places: as many items as fit, or `at_once`, if these fit."""
    if at_once:
        items = items[:MOST_ITEMS]
    batches = _batches(items, measure, budget, at_once or len(items))
    first = 1
    for batch in islice(batches, None if at_once else MOST_BATCHES):
        yield batch, Slice(first=first, last=first + len(batch) - 1, total=len(items))
        first += len(batch)


def _batches(items: Sequence[T], measure: _Measure[T], budget: tuple[int, int], most: int) -> Iterator[list[T]]:
    """Items in order, at most `most` per batch, as fit the budget; one that exceeds it is alone in its batch."""
    batch: list[T] = []
    to_show = to_say = 0
    for item in items:
        shows, says = measure.tokens(item)
        if batch and (len(batch) == most or to_show + shows > budget[0] or to_say + says > budget[1]):
            yield batch
            batch, to_show, to_say = [], 0, 0
        batch.append(item)
        to_show += shows
        to_say += says
    if batch:
        yield batch


def _shown_symbol(item: OutlinedSymbol) -> str:
    _, symbol = item
    return f"- `{symbol.name}` ({symbol.kind}, {symbol.tokens} tokens): {symbol.doc}\n  {symbol.signature}"


def _regrouped(batch: Sequence[OutlinedSymbol]) -> list[FileOutline]:
    """Outlines that contain only the symbols of a batch."""
    by_path = {outline.path: outline for outline, _ in batch}
    return [
        outline.model_copy(update={"symbols": tuple(symbol for other, symbol in batch if other.path == path)})
        for path, outline in by_path.items()
    ]

"""The prompt about one candidate of a question, a file or a symbol; the answer is one letter.

A prompt shows the candidate alone, or a list of which it is one. The instructions and the task come first and what
differs between candidates last, so that all prompts of a task, or of a list, begin alike.
"""

from collections.abc import Sequence

from agent.prompts.render import chance, evidence
from agent.retrieve.relevance.estimates import chance_if_changed
from evals.study.questions import StudyCandidate, StudyQuestion
from evals.study.symbol_questions import SymbolCandidate, SymbolQuestion
from models.chat import Message
from models.context import Relevance
from models.targets import TrainingTarget

ASKED_AS = {TrainingTarget.SCOPE: ("pointwise", 2), TrainingTarget.PRECISION: ("pointwise precision", 2)}
"""By stage, the prompt's name and its version, raised when the same candidate would be asked about otherwise."""
TASK_CHARS = 600
OPTIONS = {Relevance.RELEVANT: "A", Relevance.SUPPORTING: "B", Relevance.IRRELEVANT: "C"}
"""The letter of each class, in the order of a distribution."""
_FILE = "{path}\n{evidence}; {reason}\nIt defines: {symbols}"
_SYMBOL = "{name}\n{kind}, {tokens} tokens, rank {place} of {symbols}{likelihood}{doc}\n{signature}"
_FILES = """\
Which files of a repository does a change concern? {shown} Answer with one letter.
A: it will have to change
B: it has to be read, but will not change
C: neither

The change:
{task}

"""
_SYMBOLS = """\
Which symbols of a file does a change concern? {shown} Answer with one letter.
A: it will have to change
B: its code has to be read, but will not change
C: neither

The change:
{task}

The file: {path} (relevant; {evidence})

"""


def candidate_prompt(question: StudyQuestion, candidate: StudyCandidate) -> list[Message]:
    """The messages about one candidate, which is shown alone."""
    what = _what(question)
    text = f"{_head(question, f'One {what} is shown.')}The {what}: {_described(question, candidate)}"
    return [Message(role="user", content=text)]


def listed_prompts(question: StudyQuestion, numbers: Sequence[int], shown: int) -> list[list[Message]]:
    """The messages about some candidates of a question, by number from 0.

    shown: how many candidates a prompt shows, the one that is asked about among them; 0: all. They are those of one
    slice of the candidates' order, as a list of questions would cut them.
    """
    if shown == 1:
        return [candidate_prompt(question, question.candidates[number]) for number in numbers]
    what = _what(question)
    lists: dict[int, str] = {}
    for begin in {slice_of(number, shown) for number in numbers}:
        entries = question.candidates[begin : begin + shown if shown else None]
        text = "\n\n".join(f"{n}. {_described(question, each)}" for n, each in enumerate(entries, 1))
        lists[begin] = f"{_head(question, f'Some {what}s are shown, and one is asked about.')}The {what}s:\n{text}\n\n"
    return [
        [Message(role="user", content=f"{lists[begin]}The {what} that is asked about: number {number - begin + 1}")]
        for number in numbers
        for begin in [slice_of(number, shown)]
    ]


def slice_of(number: int, shown: int) -> int:
    """The number of the first candidate that is shown with this one."""
    return number - number % shown if shown else 0


def asked_as(target: TrainingTarget, shown: int) -> tuple[str, int]:
    """The prompt's name and version where so many candidates are shown."""
    name, version = ASKED_AS[target]
    return (name, version) if shown == 1 else (f"{name}, {shown or 'all'} shown", version)


def _what(question: StudyQuestion) -> str:
    return "symbol" if isinstance(question, SymbolQuestion) else "file"


def _head(question: StudyQuestion, shown: str) -> str:
    task = question.task[:TASK_CHARS].strip()
    if isinstance(question, SymbolQuestion):
        return _SYMBOLS.format(shown=shown, task=task, path=question.file.path, evidence=evidence(question.file))
    return _FILES.format(shown=shown, task=task)


def _described(question: StudyQuestion, candidate: StudyCandidate) -> str:
    if isinstance(question, SymbolQuestion) and isinstance(candidate, SymbolCandidate):
        return _symbol_text(question, candidate)
    return _FILE.format(
        path=candidate.path,
        evidence=evidence(candidate),
        reason=candidate.reason or "found by its rank",
        symbols=candidate.symbols or "nothing with a name",
    )


def _symbol_text(question: SymbolQuestion, symbol: SymbolCandidate) -> str:
    likelihood = chance_if_changed(symbol.estimate.relevant, question.file.estimate) if symbol.estimate else None
    return _SYMBOL.format(
        name=symbol.name,
        kind=symbol.kind,
        tokens=symbol.tokens,
        place=symbol.place,
        symbols=len(question.candidates),
        likelihood="" if likelihood is None else f", {chance(likelihood)} change",
        doc=f": {symbol.doc}" if symbol.doc else "",
        signature=symbol.signature,
    )

"""The prompt about one candidate of a question, a file or a symbol; the answer is one letter.

The instructions and the task come first and the candidate last, so that all prompts of a task begin alike.
"""

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
_ASKED = """\
Which files of a repository does a change concern? One file is shown. Answer with one letter.
A: it will have to change
B: it has to be read, but will not change
C: neither

The change:
{task}

The file: {path}
{evidence}; {reason}
It defines: {symbols}"""
_ASKED_OF_SYMBOL = """\
Which symbols of a file does a change concern? One symbol is shown. Answer with one letter.
A: it will have to change
B: its code has to be read, but will not change
C: neither

The change:
{task}

The file: {path} (relevant; {evidence})

The symbol: {name}
{kind}, {tokens} tokens, rank {place} of {symbols}{likelihood}{doc}
{signature}"""


def candidate_prompt(question: StudyQuestion, candidate: StudyCandidate) -> list[Message]:
    """The messages about one candidate."""
    if isinstance(question, SymbolQuestion) and isinstance(candidate, SymbolCandidate):
        text = _symbol_text(question, candidate)
    else:
        text = _file_text(question, candidate)
    return [Message(role="user", content=text)]


def _file_text(question: StudyQuestion, candidate: StudyCandidate) -> str:
    return _ASKED.format(
        task=question.task[:TASK_CHARS].strip(),
        path=candidate.path,
        evidence=evidence(candidate),
        reason=candidate.reason or "found by its rank",
        symbols=candidate.symbols or "nothing with a name",
    )


def _symbol_text(question: SymbolQuestion, symbol: SymbolCandidate) -> str:
    likelihood = chance_if_changed(symbol.estimate.relevant, question.file.estimate) if symbol.estimate else None
    return _ASKED_OF_SYMBOL.format(
        task=question.task[:TASK_CHARS].strip(),
        path=symbol.path,
        evidence=evidence(question.file),
        name=symbol.name,
        kind=symbol.kind,
        tokens=symbol.tokens,
        place=symbol.place,
        symbols=len(question.candidates),
        likelihood="" if likelihood is None else f", {chance(likelihood)} change",
        doc=f": {symbol.doc}" if symbol.doc else "",
        signature=symbol.signature,
    )

"""The prompt about one candidate of a question of scope; the answer is one letter.

The instructions and the task come first and the candidate last, so that all prompts of a task begin alike.
"""

from agent.prompts.render import evidence
from evals.study.questions import StudyCandidate, StudyQuestion
from models.chat import Message
from models.context import Relevance

PROMPT_VERSION = 2
"""Raised when the same candidate would be asked about otherwise."""
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


def candidate_prompt(question: StudyQuestion, candidate: StudyCandidate) -> list[Message]:
    """The messages about one candidate."""
    text = _ASKED.format(
        task=question.task[:TASK_CHARS].strip(),
        path=candidate.path,
        evidence=evidence(candidate),
        reason=candidate.reason or "found by its rank",
        symbols=candidate.symbols or "nothing with a name",
    )
    return [Message(role="user", content=text)]

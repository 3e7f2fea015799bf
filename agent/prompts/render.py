"""A request as messages: the stage's template, cut to the token budget.

Text shared by all samples, parts and steps of a task comes first, so that a server with a prefix cache computes it
once.
"""

import hashlib
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from agent.edits.format import INFO_STRINGS
from agent.prompts.shorten import one_line, shorten
from agent.retrieve import elide
from models.chat import Message
from models.context import ContextPackage, RelevanceEstimate
from models.judging import AnswerForm
from models.plans import Action, Target
from models.protocols import Request, SourceFile, Stage

_FOLDER = Path(__file__).parent
REVISION = hashlib.sha256(b"\0".join(path.read_bytes() for path in sorted(_FOLDER.glob("*.jinja")))).hexdigest()[:16]
"""Changes with the templates."""
_BETWEEN = "\0"
FRAME = 8
"""Most tokens that a chat format adds to a message."""


def render(request: Request, max_prompt_tokens: int, count: Callable[[str], int]) -> tuple[Message, ...]:
    """The messages of a request, in at most `max_prompt_tokens` by `count` if omitting context makes that possible.

    The context's files are dropped first, from the last on; then the parts of files to change that no target names. A
    prompt that is still too long is returned as it is: the sender knows the numbers.
    """
    messages: tuple[Message, ...] = ()
    for messages in renderings(request):
        if sum(count(message.content) + FRAME for message in messages) <= max_prompt_tokens:
            break
    return messages


def renderings(request: Request) -> Iterator[tuple[Message, ...]]:
    """All messages that `render` may give for a request, from the longest to the shortest."""
    return (_messages(*shorter) for shorter in _shorter(request))


def _shorter(request: Request) -> Iterator[tuple[Request, bool]]:
    """The request, with less and less context; and whether to elide the files to change."""
    yield request, False
    files = request.context.files if request.context else ()
    left = len([file for file in files if file.path not in _hidden(request)])
    steps = [(keep, elided) for elided in (False, True) for keep in range(left - 1, -1, -1)]
    for keep, elided in steps if request.stage is Stage.CODE else steps[:left]:
        yield _with_context(request, keep), elided
    if not left and request.stage is Stage.CODE:
        yield request, True


def _with_context(request: Request, keep: int) -> Request:
    assert request.context is not None
    hidden = _hidden(request)
    shown = [file for file in request.context.files if file.path not in hidden][:keep]
    context = ContextPackage(files=tuple(shown), tokens=request.context.tokens, budget=request.context.budget)
    return request.model_copy(update={"context": context})


def _hidden(request: Request) -> set[str]:
    """Files of the context that a coder sees in their current state instead."""
    if request.stage is not Stage.CODE or request.plan is None:
        return set()
    return {target.path for step in request.plan.steps for target in step.targets}


def _messages(request: Request, elided: bool) -> tuple[Message, ...]:
    def shown(file: SourceFile) -> str:
        assert file.text is not None and request.step is not None
        named = {t.symbol for t in request.step.targets if t.path == file.path and t.symbol}
        return elide(file.text, file.path, named, ()) if elided and named else file.text

    values = {"request": request, "hidden": _hidden(request), "shown": shown, "between": _BETWEEN}
    values["numbered"] = request.answers is AnswerForm.LETTERS
    # The system message contains no text of the task or the repository, so the first mark is the template's.
    system, _, user = _template(request.stage).render(values).partition(_BETWEEN)
    return Message(role="system", content=_tidy(system)), Message(role="user", content=_tidy(user))


def _tidy(text: str) -> str:
    return text.strip("\n") + "\n"


class Evidence(Protocol):
    """What the ranking and the relevance classifier know of a file."""

    @property
    def rank(self) -> int:
        """Its place among all candidates, from 1; 0 if unknown."""
        ...

    @property
    def score(self) -> float:
        """Its share of the ranking's scores."""
        ...

    @property
    def estimate(self) -> RelevanceEstimate | None:
        """The classifier's probabilities, if it ran."""
        ...


def evidence(candidate: Evidence) -> str:
    """What the ranking knows of a candidate, in the words of the prompts of scope."""
    macros: Any = _environment().get_template("_evidence.jinja").module
    return str(macros.evidence(candidate))


def chance(value: float) -> str:
    """A probability in the words of the prompts, such as "likely to"."""
    macros: Any = _environment().get_template("_evidence.jinja").module
    return str(macros.chance(value))


@lru_cache
def _template(stage: Stage) -> Template:
    return _environment().get_template(f"{stage.value}.jinja")


@lru_cache
def _environment() -> Environment:
    environment = Environment(  # noqa: S701 - prompts are no HTML
        loader=FileSystemLoader(_FOLDER),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"fenced": fenced, "trimmed": shorten, "oneline": one_line, "place": place_of}
    return environment


def fenced(text: str, language: str) -> str:
    """Text in a fence that none of its lines can close; `language` may be a path."""
    bare = [line.strip() for line in text.splitlines()]  # a closing fence may be indented
    longest = max((len(line) - len(line.lstrip("`")) for line in bare), default=0)
    fence = "`" * max(3, longest + 1)
    info = INFO_STRINGS.get(PurePosixPath(language).suffix, "") if "." in language else language
    body = text if text.endswith("\n") else text + "\n"
    return f"{fence}{info}\n{body}{fence}"


def place_of(target: Target) -> str:
    """A target as a line: `modify src/a.py :: Class.method`."""
    symbol = f" :: {target.symbol}" if target.symbol else ""
    goal = f" -> {target.new_path}" if target.action is Action.RENAME else ""
    return f"{target.action.value} {target.path}{symbol}{goal}"

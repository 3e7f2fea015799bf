"""Examples of the code stage made from texts: the prompt that a coder would be sent, and edits as its answer.

An answer is kept only if it arrives: the text that the coder would write is read by the parser, applied by the code
that applies a model's edits, and gives the file byte for byte.
"""

from agent.edits.apply import apply_edits
from agent.edits.format import format_edits
from agent.edits.parse import parse_edits
from agent.prompts.render import render
from harness.planners.rewrite import rewrite
from models.edits import CreateFile, Edit, EditFormat
from models.errors import EditError
from models.files import FileContent
from models.plans import Action, MetaPlanPart, PartPlan, PlanStep, Target
from models.protocols import Request, SourceFile, Stage, Task
from models.tokens import WINDOWS, estimate_tokens
from models.training import Pair, PairSource, Provenance
from training.data.sources.collections import Dropped
from training.data.sources.reading import is_text

REPLAY, NOT_TEXT = "edits do not give the file", "not text"


def code_pair(
    source: PairSource,
    task: str,
    step: str,
    path: str,
    before: str | None,
    after: str,
    provenance: Provenance,
    edit_format: EditFormat = EditFormat.SEARCH_REPLACE,
) -> Pair | Dropped:
    """The pair that turns a file from `before` (None: there is none) into `after`, or why there is none."""
    if not is_text(task, step, before or "", after):
        return Dropped(NOT_TEXT, provenance.trajectory)
    request = code_request(task, step, path, before, provenance, edit_format)
    edits: list[Edit] = [CreateFile(path=path, content=after)]
    if before is not None:
        edits = rewrite(path, before, after, edit_format)
    answer = format_edits(edits)
    if replayed(answer, path, before) != after:
        return Dropped(REPLAY, provenance.trajectory)
    messages = render(request, WINDOWS[Stage.CODE], estimate_tokens)
    return Pair(stage=Stage.CODE, source=source, messages=messages, answer=answer, provenance=provenance)


def code_request(
    task: str, step: str, path: str, before: str | None, provenance: Provenance, edit_format: EditFormat
) -> Request:
    """The question to a coder for a plan of one step in one file."""
    action = Action.CREATE if before is None else Action.MODIFY
    target = Target(path=path, action=action)
    one = PlanStep(id="s1", description=step, targets=(target,))
    return Request(
        stage=Stage.CODE,
        task=Task(text=task, repository=provenance.repository, base=provenance.base_commit),
        part=MetaPlanPart(id="p1", title=step, description=step, targets=(target,)),
        plan=PartPlan(part_id="p1", steps=(one,)),
        step=one,
        files=(SourceFile(path=path, text=before),),
        edit_format=edit_format,
    )


def replayed(answer: str, path: str, before: str | None) -> str | None:
    """The file's text after a coder's answer; None if the answer cannot be read or applied, or touches another file."""
    try:
        applied = apply_edits(parse_edits(answer), _OneFile(path, before))
    except EditError:
        return None
    if applied.rejected or set(applied.files) - {path}:
        return None
    content = applied.files.get(path)
    return before if path not in applied.files else content.text if content is not None else None


class _OneFile:
    """A tree of at most one file."""

    def __init__(self, path: str, text: str | None) -> None:
        self._path, self._text = path, text

    def get(self, path: str) -> FileContent | None:
        """The file, or None."""
        return FileContent(self._text) if path == self._path and self._text is not None else None

    def entries_under(self, folder: str) -> list[str]:
        """Paths of everything below a folder."""
        below = self._text is not None and self._path.startswith(f"{folder.rstrip('/')}/")
        return [self._path] if below or not folder else []

"""Checks of a description that need no model: whether it is a task, is about the change, and does not copy it."""

import keyword
import re
from collections.abc import Iterable

from harness.mining.messages import fault, task_text
from harness.supplement.messages.answers import Description
from harness.supplement.messages.change import CodeChange
from models.messages import MessageRefusal
from repos.index.words import subtokens

_URL = re.compile(r"\b[a-z][a-z0-9+.-]*://|\bwww\.|\bmailto:", re.IGNORECASE)
_NAME = re.compile(r"[^\W\d]\w{2,}")
_MARKUP = re.compile(r"^(?:@@ |diff --git |\+\+\+ |--- |```|~~~)", re.MULTILINE)
_QUOTED = 20
"""Characters from which on a line of the change may not stand in its description."""
_SHARED_WORDS = 2
_COMMON = frozenset(
    re.findall(
        r"\w+",
        """
        the and for that this with from into when not but are was has have its all any one two can must should will
        add adds fix fixes make makes use uses using used change changes update updates remove removes set get let new
        code file files function functions method methods class classes module value values name names line lines
        self cls test tests
        """,
    )
) | {each.lower() for each in keyword.kwlist}
"""Words that say nothing of what a change is about."""


def refuse(written: Description, change: CodeChange, min_words: int) -> tuple[MessageRefusal, str] | None:
    """The first fault of a description and its detail, or None."""
    text = written.text
    if found := _URL.search(text):
        return MessageRefusal.URL, f"it holds {found[0]!r}"
    if task_text(text) != re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip() for line in text.split("\n"))):
        return MessageRefusal.TRAILER, "it holds a trailer or a reference to an issue"
    if quoted := _quoted(text, change.changed_lines):
        return MessageRefusal.QUOTES_DIFF, f"it quotes {quoted[:60]!r}"
    if problem := fault(text, min_words):
        return MessageRefusal(problem.value), written.subject
    if not _related(text, change):
        return MessageRefusal.UNRELATED, "it names nothing of the change, and shares fewer than two words with it"
    return None


def words_of(text: str) -> set[str]:
    """Words and parts of names of a text, in lower case, without common ones; a plural counts as its singular."""
    parts = {part for name in _NAME.findall(text) for part in subtokens(name)}
    return {part.removesuffix("s") for part in parts - _COMMON if len(part) > 2}


def _quoted(text: str, lines: Iterable[str]) -> str:
    if found := _MARKUP.search(text):
        return found[0]
    flat = " ".join(text.split())
    shown = (" ".join(line.split()) for line in lines)
    return next((line for line in shown if len(line) >= _QUOTED and line in flat), "")


def _related(text: str, change: CodeChange) -> bool:
    """Whether a text names an identifier or a path of the change, or shares words with it; lines around it count."""
    shown = "\n".join(file.diff for file in change.files)
    names = {name for name in _NAME.findall(shown) if name.lower() not in _COMMON and _is_code(name)}
    if names & set(_NAME.findall(text)) or any(path in text for path in change.paths):
        return True
    return len(words_of(text) & words_of(shown)) >= _SHARED_WORDS


def _is_code(name: str) -> bool:
    """Whether a name is none of prose: it has an underscore, a digit, or a capital inside."""
    return "_" in name or name[1:] != name[1:].lower() or any(char.isdigit() for char in name)

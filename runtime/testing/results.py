"""What test runners report besides the outcome of each test: lines that ran, what twins saw, what a guard noted."""

import json
from dataclasses import dataclass

from models.plans import Frozen

PASSED = "call passed"
"""How the run of a twin ends that raised nothing."""
_NAMED_BY_WHAT = frozenset({"runner", "rewritten"})
"""Kinds of which the file that did it is not known: what was done tells one from another."""


@dataclass(frozen=True)
class Lines:
    """Lines of a file, from 1: those that have code, and those of them that ran."""

    can: frozenset[int]
    ran: frozenset[int]


class Seen(tuple[str, ...]):
    """What the runs of one twin (one for each set of parameters) saw, as canonical texts, in order."""

    __slots__ = ()

    @property
    def whole(self) -> bool:
        """Whether every run came to its end without an error and saw something."""
        parts = [json.loads(text) for text in self]
        return bool(parts) and all(end == PASSED and seen for end, seen in parts)


class GuardEvent(Frozen):
    """Something that tested code did to its own judging: the kind, what exactly, and which file did it, if known."""

    kind: str
    what: str
    file: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}" + (f" by {self.file}" if self.file else "")

    @property
    def place(self) -> tuple[str, str, str]:
        """What makes it the same as another: the commit's own code may do this too, in the same file."""
        return self.kind, self.file, self.what if self.kind in _NAMED_BY_WHAT else ""

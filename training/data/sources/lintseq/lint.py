"""What is wrong with a Python text, by the compiler and by pyflakes, in this process.

Only faults that a deletion can cause count: syntax, names that are undefined, exported in vain or defined twice,
statements outside of what they need. Nothing is imported, so the result does not depend on what is installed. It
depends on the version of Python, whose grammar and builtins apply.
"""

import warnings
from dataclasses import dataclass

from pyflakes import checker, messages

from models.errors import CleanRoomError
from repos.syntax import parse_python
from repos.text import BOM

SYNTAX = "SyntaxError"
_COUNTED = (
    messages.UndefinedName,
    messages.UndefinedLocal,
    messages.UndefinedExport,
    messages.RedefinedWhileUnused,
    messages.ReturnOutsideFunction,
    messages.YieldOutsideFunction,
    messages.ContinueOutsideLoop,
    messages.BreakOutsideLoop,
    messages.DefaultExceptNotLast,
    messages.LateFutureImport,
    messages.DuplicateArgument,
    messages.TwoStarredExpressions,
    messages.ForwardAnnotationSyntaxError,
)


class LintFailed(CleanRoomError):
    """The linter cannot read a text that Python may accept: nested too deeply, or a defect of the linter."""


@dataclass(frozen=True)
class Complaint:
    """A fault: its kind, the name that it is about (a message for syntax), and its line, from 1."""

    kind: str
    name: str
    line: int


def complaints(text: str) -> list[Complaint]:
    """The faults of a text; of one that does not compile, only the first. Raises LintFailed."""
    text = text.removeprefix(BOM)
    try:
        tree = parse_python(text)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(tree, "<state>", "exec", dont_inherit=True)
    except SyntaxError as error:
        return [Complaint(SYNTAX, error.msg, error.lineno or 1)]
    except ValueError as error:  # a NUL, a lone surrogate, a number with too many digits
        return [Complaint(SYNTAX, str(error), 1)]
    except (RecursionError, MemoryError) as error:
        raise LintFailed("nested too deeply to be compiled") from error
    try:
        found = checker.Checker(tree, withDoctest=False).messages
    except RecursionError as error:
        raise LintFailed("nested too deeply for the linter") from error
    except Exception as error:
        raise LintFailed(f"the linter failed ({type(error).__name__})") from error
    return [
        Complaint(type(each).__name__, str(each.message_args[0]) if each.message_args else "", each.lineno)
        for each in found
        if isinstance(each, _COUNTED)
    ]

"""Parsing untrusted Python without running it."""

import ast
import threading
import warnings

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef

_ONE_AT_A_TIME = threading.Lock()
"""CPython counts the depth of a tree under construction per interpreter, not per thread: two threads that parse at once
can get a SystemError ("AST constructor recursion depth mismatch")."""


def parse_python(source: str | bytes) -> ast.Module:
    """The syntax tree of a module, with warnings about bad escapes suppressed; bytes are decoded as Python does.

    Raises SyntaxError, also for nesting too deep for the parser, and ValueError for a NUL or a lone surrogate.
    """
    with _ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(source)
        except (RecursionError, MemoryError) as error:
            raise SyntaxError("nested too deeply to be parsed") from error


def called_name(call: ast.Call) -> str:
    """The last name of what is called (`install` of `nox.session.install(...)`); "" if it has none."""
    return getattr(call.func, "attr", getattr(call.func, "id", ""))

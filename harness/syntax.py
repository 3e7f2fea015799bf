"""Parsing Python that strangers wrote, without running it."""

import ast
import threading
import warnings

_ONE_AT_A_TIME = threading.Lock()
"""CPython counts the depth of a tree under construction per interpreter, not per thread: two threads that parse at once
can get a SystemError ("AST constructor recursion depth mismatch")."""


def parse_python(text: str) -> ast.Module:
    """The tree of a module, silent about its bad escapes. Raises SyntaxError, ValueError (NUL), RecursionError."""
    with _ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(text)

"""Static check of what a generated test module may not do.

The sandbox contains whatever a module does, and an unsealed report counts for nothing; this refuses, before it is run,
a module that would take the test runner apart from inside, where a seal cannot be safe. It is defence in depth, no
proof.
"""

import ast
import re
from collections.abc import Iterator

_MODULES = frozenset({"_pytest", "pluggy", "ctypes", "xdist"})
_NAMES = frozenset({"pytest_plugins"})
_CALLS = frozenset(
    {
        ("os", "_exit"), ("os", "abort"), ("pytest", "exit"), ("gc", "get_objects"), ("gc", "get_referrers"),
        ("sys", "_getframe"), ("sys", "_current_frames"), ("sys", "settrace"), ("sys", "setprofile"),
    }
)  # fmt: skip
_TEXT = re.compile(r"/cra/|report\.xml|seal\.json|progress\.jsonl")


def reaches_into_runner(module: str) -> str | None:
    """The part of a module that handles the test runner, as words for the teacher; None if there is none.

    A module that this interpreter cannot parse is checked as text only: the repository's own interpreter decides
    whether it is valid Python.
    """
    if found := _TEXT.search(module):
        return f"the text {found[0]!r}, which is the test runner's"
    try:
        tree = ast.parse(module)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        found = re.search(rf"\b(?:{'|'.join(sorted(_MODULES | _NAMES))})\b", module)
        return f"{found[0]}, which is the test runner's" if found else None
    return next(_found(tree), None)


def _found(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
            yield from (f"{node.module}.{a.name}" for a in node.names if (node.module, a.name) in _CALLS)
        else:
            names = []
        yield from (f"import {name}" for name in names if name.split(".")[0] in _MODULES)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):  # noqa: SIM102
            if (node.value.id, node.attr) in _CALLS:
                yield f"{node.value.id}.{node.attr}"
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id in _NAMES:
            yield node.id
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("pytest_"):
            yield f"the hook {node.name}"

"""Other names for local variables."""

import ast

from benchmarks.rewrites.base import Rewriting, called_names, holds
from repos.syntax import FunctionNode

_READS_NAMES = {"locals", "vars", "dir", "eval", "exec", "globals"}


class LocalNames(Rewriting):
    """Local variables get other names. Functions that hold others are left as they are."""

    def rewrite(self, function: FunctionNode) -> None:
        inner = any(
            isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda)
            for each in ast.walk(function)
            if each is not function
        )
        if inner or holds(function, ast.Global, ast.Nonlocal, ast.Match) or _READS_NAMES & set(called_names(function)):
            return
        super().rewrite(function)

    def visit_body(self, function: FunctionNode) -> None:
        nodes = [each for statement in function.body for each in ast.walk(statement) if isinstance(each, ast.Name)]
        bound = {each.id for each in nodes if isinstance(each.ctx, ast.Store)} - _otherwise_bound(function)
        renamed = {each: self.fresh(f"{each.strip('_')}_value") for each in sorted(bound) if self.chosen()}
        for each in nodes:
            each.id = renamed.get(each.id, each.id)


def _otherwise_bound(function: FunctionNode) -> set[str]:
    """Names that are bound by something else than a name in the tree: parameters, imports, exceptions, deletions."""
    found: set[str] = set()
    for each in ast.walk(function):
        if isinstance(each, ast.arg):
            found.add(each.arg)
        elif isinstance(each, ast.alias):
            found.add((each.asname or each.name).partition(".")[0])
        elif isinstance(each, ast.ExceptHandler) and each.name:
            found.add(each.name)
    return found

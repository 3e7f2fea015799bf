"""Commits whose texts show that no test can fail at the parent and pass at the commit, before anything is installed.

Two kinds of commits "with code and tests" are such: those that only remove tests, or change annotations, comments and
layout of them; and those that change comments and layout of production code only. Everything else may distinguish.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TypeGuard

from harness.mining import Mined
from host.process import CommandFailed
from models.errors import RepositoryError
from models.manifest import Change, Commit
from repos.git import Git

SAME_TESTS = "no test is added, and none changes in what it does: tests are removed, typed or laid out only"
SAME_CODE = "production code changes in comments and layout only"
_TYPING = frozenset({"__future__", "typing", "typing_extensions", "collections.abc"})
_TEST = re.compile(r"[Tt]est")
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def select(mined: Mined, max_commits: int, git: Git | None = None) -> list[Commit]:
    """The newest kept commits that change production code and tests together, at most `max_commits`.

    With a repository, those among them that no test can tell from their parents do not count: they become instances
    with a reason, and cost nothing.
    """
    chosen: list[Commit] = []
    left = max_commits
    for commit in mined.commits:
        if left == 0:
            break
        if commit.mixed:
            chosen.append(commit)
            left -= git is None or not indistinct(git, commit)
    return chosen


def indistinct(git: Git, commit: Commit) -> str:
    """Why no test can tell a commit from its parent; "" where one may. Files other than Python's may always."""
    try:
        return _indistinct(git, commit)
    except (CommandFailed, RepositoryError):  # damaged: it is for the validation to say so
        return ""


def _indistinct(git: Git, commit: Commit) -> str:
    tests = [change for change in commit.changes if change.kind == "test"]
    if tests and all(_same_tests(git, commit, change) for change in tests):
        return SAME_TESTS
    production = [change for change in commit.changes if change.kind == "production"]
    if production and all(_same_code(git, commit, change) for change in production):
        return SAME_CODE
    return ""


def _versions(git: Git, commit: Commit, change: Change) -> tuple[ast.Module | None, ast.Module | None]:
    """A file's syntax at the parent and at the commit; None where it is not there, or not of this Python."""
    return (
        _syntax(git.read(commit.parent, change.old_path or change.path)),
        _syntax(git.read(commit.sha, change.path)),
    )


def _syntax(content: bytes | None) -> ast.Module | None:
    if content is None:
        return None
    try:
        return ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _same_code(git: Git, commit: Commit, change: Change) -> bool:
    if not change.path.endswith(".py") or change.old_path not in (None, change.path):
        return False
    before, after = _versions(git, commit, change)
    return before is not None and after is not None and ast.dump(before) == ast.dump(after)


def _same_tests(git: Git, commit: Commit, change: Change) -> bool:
    if _same_code(git, commit, change):
        return True
    name = PurePosixPath(change.path).name
    if not name.endswith(".py") or not (_TEST.match(name) or name.endswith("_test.py")):
        return False  # a conftest file, helpers, data: tests elsewhere depend on it
    if change.old_path not in (None, change.path):
        return False
    before, after = _versions(git, commit, change)
    if after is None:
        return git.read(commit.sha, change.path) is None  # the file is deleted
    return before is not None and _tests_of(before).hold(_tests_of(after))


@dataclass(frozen=True)
class _Tests:
    """What a module of tests does: its tests (name and text), the imports that it uses, and the rest in order."""

    tests: Counter[tuple[str, str]]
    imports: Counter[str]
    others: tuple[str, ...]

    def hold(self, later: "_Tests") -> bool:
        """Whether a later version of the module does nothing new: it may lack tests that hide no others."""
        left = {name for name, _ in later.tests}
        unhidden = any(name in left for name, _ in self.tests - later.tests)
        return self.others == later.others and not (
            later.tests - self.tests or later.imports - self.imports or unhidden
        )


def _tests_of(module: ast.Module) -> _Tests:
    statements = [_plain(statement) for statement in _without_docstring(module.body) if not _for_types(statement)]
    used = {name for statement in statements if not isinstance(statement, _IMPORTS) for name in _names(statement)}
    classes = {statement.name for statement in statements if isinstance(statement, ast.ClassDef)}
    tests: list[tuple[str, str]] = []
    imports: list[str] = []
    others: list[str] = []
    for statement in statements:
        if isinstance(statement, _IMPORTS):
            imports += [text for name, text in _imported(statement) if name in used]
        elif isinstance(statement, ast.ClassDef):
            head = f"{statement.name} {ast.dump(ast.Tuple([*statement.bases, *statement.decorator_list], ast.Load()))}"
            here = all(_defined_here(base, classes) for base in statement.bases)
            for member in _without_docstring(statement.body):
                text = f"{head} {ast.dump(_plain(member))}"
                if here and _is_test(member):
                    tests.append((member.name, text))
                else:
                    others.append(text)
        elif _is_test(statement):
            tests.append((statement.name, ast.dump(statement)))
        else:
            others.append(ast.dump(statement))
    return _Tests(Counter(tests), Counter(imports), tuple(others))


def _defined_here(base: ast.expr, classes: set[str]) -> bool:
    """Whether the tests that a class inherits are all seen: an override that is removed would bring back another."""
    name = ast.unparse(base).rpartition(".")[2]
    return name in classes or name.endswith("TestCase") or name == "object"


_IMPORTS = (ast.Import, ast.ImportFrom)


def _is_test(statement: ast.stmt) -> TypeGuard[_Function]:
    return isinstance(statement, _Function) and bool(_TEST.match(statement.name))


def _names(statement: ast.stmt) -> Iterator[str]:
    return (node.id for node in ast.walk(statement) if isinstance(node, ast.Name))


def _imported(statement: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str]]:
    """The names that an import binds, each with what it is."""
    module = statement.module or "" if isinstance(statement, ast.ImportFrom) else None
    level = statement.level if isinstance(statement, ast.ImportFrom) else 0
    if module in _TYPING:
        return
    for alias in statement.names:
        yield alias.asname or alias.name.partition(".")[0], f"{level} {module} {alias.name} as {alias.asname}"


def _for_types(statement: ast.stmt) -> bool:
    """Whether a statement is for type checkers: `if TYPE_CHECKING:`."""
    test = statement.test if isinstance(statement, ast.If) and not statement.orelse else None
    named = test.attr if isinstance(test, ast.Attribute) else test.id if isinstance(test, ast.Name) else ""
    return named == "TYPE_CHECKING"


def _without_docstring(body: Sequence[ast.stmt]) -> Sequence[ast.stmt]:
    first = body[0] if body else None
    text = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    return body[1:] if text else body


def _plain(statement: ast.stmt) -> ast.stmt:
    """A function without what only readers and type checkers see: its docstring if it is a test, the annotations of its
    arguments if only pytest calls it, those of its local variables, which are never evaluated. Other statements as they
    are."""
    if not isinstance(statement, _Function):
        return statement
    if all(_of_pytest(each) for each in statement.decorator_list):
        statement.returns = None
        every = statement.args
        for argument in (*every.posonlyargs, *every.args, *every.kwonlyargs, every.vararg, every.kwarg):
            if argument is not None:
                argument.annotation = None
    if _is_test(statement):
        statement.body = [*_without_docstring(statement.body)]
    statement.body = [_LocalVariables().visit(each) for each in statement.body]
    return statement


def _of_pytest(decorator: ast.expr) -> bool:
    return ast.unparse(decorator).startswith(("pytest.", "mock.patch", "patch"))


class _LocalVariables(ast.NodeTransformer):
    """Annotations of a function's local variables removed; classes and functions inside it are left as they are."""

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.stmt:
        """An assignment without its annotation."""
        if not isinstance(node.target, ast.Name):
            return node
        if node.value is None:
            return ast.Pass()
        return ast.Assign(targets=[node.target], value=node.value)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        """A class: its annotations are evaluated."""
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        """A function inside, whose annotations may be what is tested."""
        return node

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AsyncFunctionDef:
        """The same."""
        return node

"""What one Python file says about pytest's fixtures: those it defines, those it requests, and what each uses."""

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from repos.syntax import FunctionNode, called_name, parse_python

_DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")
_MARKERS = frozenset({"fixture", "yield_fixture"})
_BY_STRING = frozenset({"usefixtures", "getfixturevalue", "parametrize", "lazy_fixture", "lf", "fixture_ref", "param"})
_IMPORTING = frozenset({"import_module", "importorskip", "run_module"})
_DEFINITIONS = (
    ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign,
)  # fmt: skip
"""Statements that matter only where what they define is used."""
_LONGEST = 200


@dataclass(frozen=True)
class Fixture:
    """A fixture by the name under which it is requested. `uses` are names in its code and in the functions that it
    calls there, `mentions` the dotted names in its strings, `requests` the fixtures that it requests itself."""

    name: str
    function: str
    requests: frozenset[str]
    uses: frozenset[str]
    mentions: frozenset[str]
    autouse: bool = False


@dataclass(frozen=True)
class FixtureFile:
    """The fixtures of a file in the order of the text, and what its tests request.

    `requests` are arguments of functions and names given as strings; `at_import` and `mentions_at_import` are what
    statements outside of functions use, and hooks of pytest. `mentions` are dotted names and `words` all short strings.
    `plugins` are the modules in `pytest_plugins`.
    """

    fixtures: tuple[Fixture, ...] = ()
    requests: frozenset[str] = frozenset()
    at_import: frozenset[str] = frozenset()
    mentions_at_import: frozenset[str] = frozenset()
    mentions: frozenset[str] = frozenset()
    words: frozenset[str] = frozenset()
    plugins: tuple[str, ...] = ()


def fixture_file(text: str) -> FixtureFile:
    """The fixtures of a module; nothing for one that does not parse."""
    try:
        module = parse_python(text)
    except (SyntaxError, ValueError, RecursionError):
        return FixtureFile()
    names = _Names(module)
    texts = frozenset(_texts([module]))
    importing = {text for call in _calls(module) if called_name(call) in _IMPORTING for text in _texts(call.args)}
    hooks = [f for f in names.functions.values() if f.name.startswith("pytest_")]
    at_import = [node for node in module.body if not isinstance(node, _DEFINITIONS)]
    fixtures = (*_decorated(module, names), *_assigned(module, names))
    return FixtureFile(
        fixtures,
        frozenset(_requested(module)),
        names.closure([*at_import, *hooks]),
        frozenset(_dotted(_texts([*at_import, *hooks]))),
        frozenset(_dotted(texts)) | importing,
        texts,
        tuple(_plugins(module)),
    )


class _Names:
    """The functions, classes and assignments of a module by name, to follow what code uses through them."""

    def __init__(self, module: ast.Module) -> None:
        self.functions: dict[str, FunctionNode] = {}
        self.assigned: dict[str, ast.AST] = {}
        defined: dict[str, ast.AST] = {}
        for node in module.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                self.functions[node.name] = node
                defined[node.name] = node
            elif isinstance(node, ast.ClassDef):
                defined[node.name] = node
            elif isinstance(node, ast.Assign):
                self.assigned |= {each.id: node.value for each in node.targets if isinstance(each, ast.Name)}
        self._defined = {**defined, **self.assigned}
        self._used: dict[str, set[str]] = {}

    def closure(self, nodes: Iterable[ast.AST]) -> frozenset[str]:
        """The names that code uses, by itself or through other definitions of the module."""
        found: set[str] = set()
        pending = {name for node in nodes for name in _loaded(node)}
        while pending:
            name = pending.pop()
            found.add(name)
            if name in self._defined:
                if name not in self._used:
                    self._used[name] = set(_loaded(self._defined[name]))
                pending |= self._used[name] - found
        return frozenset(found)


def _loaded(node: ast.AST) -> Iterator[str]:
    for each in ast.walk(node):
        if isinstance(each, ast.Name):
            yield each.id
        elif isinstance(each, ast.Import | ast.ImportFrom):  # inside of a function
            yield from (alias.asname or alias.name.partition(".")[0] for alias in each.names)


def _calls(node: ast.AST) -> Iterator[ast.Call]:
    return (each for each in ast.walk(node) if isinstance(each, ast.Call))


def _texts(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        for each in ast.walk(node):
            if isinstance(each, ast.Constant) and isinstance(each.value, str) and len(each.value) <= _LONGEST:
                yield each.value


def _dotted(texts: Iterable[str]) -> Iterator[str]:
    return (text for text in texts if _DOTTED.fullmatch(text))


def _marker(node: ast.expr) -> ast.expr | None:
    """The node if it is `fixture`, `pytest.fixture` or a call of one of these."""
    function = node.func if isinstance(node, ast.Call) else node
    name = getattr(function, "attr", getattr(function, "id", ""))
    return node if name in _MARKERS else None


def _keyword(marker: ast.expr, name: str) -> object:
    keywords = marker.keywords if isinstance(marker, ast.Call) else []
    return next((k.value.value for k in keywords if k.arg == name and isinstance(k.value, ast.Constant)), None)


def _decorated(module: ast.Module, names: _Names) -> Iterator[Fixture]:
    for node in ast.walk(module):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        marker = next((found for each in node.decorator_list if (found := _marker(each))), None)
        if marker is not None:
            yield _fixture(str(_keyword(marker, "name") or node.name), node, marker, names)


def _assigned(module: ast.Module, names: _Names) -> Iterator[Fixture]:
    """Fixtures made by a call: `client = pytest.fixture(make_client)`, `pytest.fixture(scope=...)(make_client)`."""
    for name, value in names.assigned.items():
        if not isinstance(value, ast.Call):
            continue
        marker = _marker(value.func) if isinstance(value.func, ast.Call) else _marker(value)
        made = value.args[0] if value.args else None
        if marker is None or made is None:
            continue
        function = names.functions.get(made.id) if isinstance(made, ast.Name) else None
        yield _fixture(name, function or made, marker, names, extra=made)


def _fixture(name: str, node: ast.AST, marker: ast.expr, names: _Names, extra: ast.AST | None = None) -> Fixture:
    function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    requests = {*(_arguments(node) if function else ()), *_by_string(node)}  # type: ignore[arg-type]
    body = [node, *([extra] if extra is not None else []), marker]
    return Fixture(
        name,
        getattr(node, "name", name),
        frozenset(requests),
        names.closure(body),
        frozenset(_dotted(_texts(body))),
        _keyword(marker, "autouse") is True,
    )


def _arguments(function: FunctionNode) -> Iterator[str]:
    arguments = function.args
    return (each.arg for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs))


def _by_string(node: ast.AST) -> Iterator[str]:
    for call in _calls(node):
        if called_name(call) in _BY_STRING:
            for text in _texts(call.args):
                yield from (part.strip() for part in text.split(","))


def _requested(module: ast.Module) -> Iterator[str]:
    scopes: list[ast.Module | ast.ClassDef] = [module]
    while scopes:
        scope = scopes.pop()
        for node in scope.body:
            if isinstance(node, ast.ClassDef):
                scopes.append(node)
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not any(
                map(_marker, node.decorator_list)
            ):
                yield from _arguments(node)
    yield from _by_string(module)
    computed = [c for c in _calls(module) if called_name(c) == "getfixturevalue"]
    if any(not isinstance(each, ast.Constant) for call in computed for each in call.args):
        yield from _texts([module])  # the names come from somewhere in the file


def _plugins(module: ast.Module) -> Iterator[str]:
    for node in module.body:
        if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(each, ast.Name) and each.id == "pytest_plugins" for each in targets):
                yield from _texts([node.value])

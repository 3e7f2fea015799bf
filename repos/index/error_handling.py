"""How Python code handles errors: counts of good and bad forms by eight measures, and the lines that are bad.

The text is parsed by the `ast` of this Python; nothing is imported or run. Trees are walked with an explicit stack,
because nesting depth is untrusted input.
"""

import ast
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from models.errors import CleanRoomError
from repos.syntax import parse_python

Function = ast.FunctionDef | ast.AsyncFunctionDef


class UnreadableCode(CleanRoomError):
    """A file does not parse by this Python; the message is the parser's."""


class Measure(StrEnum):
    """What is counted, and among what. The last but one are densities; of the others, each chance is good or bad."""

    BARE = "bare-except"  # handlers that name what they catch, among all
    BLIND = "blind-except"  # handlers of neither Exception nor BaseException, or that raise, among those with a type
    SILENT = "try-except-pass"  # handlers that do something, among all
    SPECIFIC = "specific-exception"  # exceptions of a type of their own, among those raised by the name of a class
    KEYS = "required-key"  # `d["k"]`, among these and `d.get("k")`
    ASSERTS = "assert-density"  # assertions, by statement in a function
    RAISES = "raise-density"  # exceptions raised, by statement in a function
    CHAINING = "exception-chaining"  # `raise ... from`, among new exceptions raised in a handler


DENSITIES = frozenset({Measure.ASSERTS, Measure.RAISES})
_REMEDIES = {
    Measure.BARE: "name the exceptions that the body raises",
    Measure.BLIND: "name the exceptions that the body raises, or raise again",
    Measure.SILENT: "handle it, or let it through",
    Measure.SPECIFIC: "raise a type that says what failed",
    Measure.KEYS: "take the key with [...] if it must be there",
    Measure.CHAINING: "add `from` the exception that was caught, or `from None`",
}
_CATCH_ALL = frozenset({"Exception", "BaseException"})
_GENERIC = frozenset({"Exception", "BaseException", "RuntimeError", "StandardError", "SystemError"})
CONTROL = frozenset(
    {
        "NotImplementedError", "StopIteration", "StopAsyncIteration", "GeneratorExit", "SystemExit",
        "KeyboardInterrupt",
    }
)  # fmt: skip
"""Types that say nothing about an error: they end a loop or a program, or mark what a subclass has to define."""
_GENERIC_TYPES = frozenset({"list", "dict", "tuple", "set", "frozenset", "type"})


@dataclass(frozen=True)
class Fault:
    """A line that lowers a measure: the code in brief, and what would mend it."""

    line: int
    measure: Measure
    what: str

    @property
    def remedy(self) -> str:
        """What would mend it."""
        return _REMEDIES[self.measure]


@dataclass
class Handling:
    """Good forms and chances for them, by measure, and the lines of the chances that were missed."""

    good: Counter[Measure] = field(default_factory=Counter)
    chances: Counter[Measure] = field(default_factory=Counter)
    faults: list[Fault] = field(default_factory=list)

    def bad(self, measure: Measure) -> int:
        """Chances that were missed."""
        return self.chances[measure] - self.good[measure]

    def __add__(self, other: "Handling") -> "Handling":
        return Handling(self.good + other.good, self.chances + other.chances, self.faults + other.faults)

    def note(self, measure: Measure, is_good: bool, line: int, what: str) -> None:
        """Count a chance."""
        self.chances[measure] += 1
        if is_good:
            self.good[measure] += 1
        else:
            self.faults.append(Fault(line, measure, what))


@dataclass(frozen=True)
class _Place:
    """Where a node is: in a function, in a handler (of its function), and the names that hold caught exceptions."""

    in_function: bool = False
    in_handler: bool = False
    caught: frozenset[str] = frozenset()


def read_code(source: bytes | str) -> ast.Module:
    """The syntax tree of a file whose error handling is read. Raises UnreadableCode."""
    try:
        return parse_python(source)
    except (SyntaxError, ValueError) as error:
        raise UnreadableCode(" ".join(str(error).split())[:200]) from error


def read_handling(*nodes: ast.AST) -> Handling:
    """How the code below some nodes handles errors; faults in line order."""
    found = Handling()
    stack = [(node, _Place()) for node in nodes]
    while stack:
        node, place = stack.pop()
        _count(node, place, found)
        stack += _below(node, place)
    found.faults.sort(key=lambda fault: (fault.line, fault.measure))
    return found


def _below(node: ast.AST, place: _Place) -> Iterator[tuple[ast.AST, _Place]]:
    """A node's children with their places; annotations and decorators of functions are no code of theirs."""
    if isinstance(node, Function | ast.Lambda):
        inside = _Place(in_function=True)
        yield from ((child, inside) for child in (node.body if isinstance(node.body, list) else [node.body]))
        yield from ((child, place) for child in (*node.args.defaults, *filter(None, node.args.kw_defaults)))
    elif isinstance(node, ast.ExceptHandler):
        caught = place.caught | ({node.name} if node.name else set())
        inside = _Place(place.in_function, True, frozenset(caught))
        yield from ((child, inside) for child in node.body)
    elif isinstance(node, ast.AnnAssign):
        yield from ((child, place) for child in (node.target, node.value) if child is not None)
    else:
        yield from ((child, place) for child in ast.iter_child_nodes(node))


def _count(node: ast.AST, place: _Place, found: Handling) -> None:
    if place.in_function and isinstance(node, ast.stmt) and not _is_text(node):
        found.chances.update(DENSITIES)
    if isinstance(node, ast.ExceptHandler):
        _count_handler(node, found)
    elif isinstance(node, ast.With | ast.AsyncWith):
        _count_suppression(node, found)
    elif isinstance(node, ast.Raise):
        _count_raise(node, place, found)
    elif isinstance(node, ast.Assert):
        found.good[Measure.ASSERTS] += place.in_function
    elif isinstance(node, ast.Subscript | ast.Call):
        _count_key(node, found)


def _count_handler(node: ast.ExceptHandler, found: Handling) -> None:
    """A bare handler is no chance for the measures that it cannot lower, so that none is raised by adding it."""
    silent = is_silent(node)
    found.note(Measure.BARE, node.type is not None, node.lineno, "except:")
    if node.type is not None:
        caught = f"except {brief(node.type)}:"
        found.note(Measure.BLIND, not is_blind(node), node.lineno, caught)
        found.note(Measure.SILENT, not silent, node.lineno, f"{caught} pass")
    elif silent:
        found.note(Measure.SILENT, False, node.lineno, "except: pass")


def _count_suppression(node: ast.With | ast.AsyncWith, found: Handling) -> None:
    """`with suppress(E)` is a handler of E that does nothing."""
    for item in node.items:
        call = item.context_expr
        if isinstance(call, ast.Call) and _last_name(call.func) == "suppress":
            shown = brief(call)
            found.note(Measure.BARE, True, node.lineno, shown)
            found.note(Measure.BLIND, not any(map(catches_all, call.args)), node.lineno, shown)
            found.note(Measure.SILENT, False, node.lineno, shown)


def _count_raise(node: ast.Raise, place: _Place, found: Handling) -> None:
    found.good[Measure.RAISES] += place.in_function
    if node.exc is None or (isinstance(node.exc, ast.Name) and node.exc.id in place.caught):
        return
    shown = f"raise {brief(node.exc)}"
    name = raised_type(node)
    if name is not None and name not in CONTROL:
        found.note(Measure.SPECIFIC, name not in _GENERIC, node.lineno, shown)
    if place.in_handler:
        found.note(Measure.CHAINING, node.cause is not None, node.lineno, shown)


def _count_key(node: ast.Subscript | ast.Call, found: Handling) -> None:
    if isinstance(node, ast.Subscript):
        typed = (name := _last_name(node.value)) in _GENERIC_TYPES or name[:1].isupper()
        if isinstance(node.ctx, ast.Load) and _key(node.slice) is not None and not typed:
            found.note(Measure.KEYS, True, node.lineno, "")
    elif isinstance(node.func, ast.Attribute) and node.func.attr == "get" and node.args:
        key = _key(node.args[0])
        if key is not None and "/" not in key:  # a client's `get("/path")` asks no dictionary
            found.note(Measure.KEYS, False, node.lineno, brief(node))


def is_silent(handler: ast.ExceptHandler) -> bool:
    """Whether a handler does nothing."""
    return all(isinstance(node, ast.Pass) or _is_text(node) or _is_dots(node) for node in handler.body)


def is_blind(handler: ast.ExceptHandler) -> bool:
    """Whether a handler catches Exception or BaseException, and raises nothing."""
    if handler.type is None:
        return False
    return catches_all(handler.type) and not raises(handler.body)


def raised_type(node: ast.Raise) -> str | None:
    """The name of the class that is raised; None for what is no class by its name (`raise error`, `raise f(x)`)."""
    raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
    name = _last_name(raised) if raised is not None else ""
    return name if name.lstrip("_")[:1].isupper() else None


def is_generic(node: ast.Raise) -> bool:
    """Whether a type is raised that says nothing of what failed."""
    return raised_type(node) in _GENERIC


def raises(body: Iterable[ast.stmt]) -> bool:
    """Whether statements raise, outside functions of their own."""
    stack: list[ast.AST] = list(body)
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Raise):
            return True
        if not isinstance(node, Function | ast.Lambda):
            stack += ast.iter_child_nodes(node)
    return False


def catches_all(node: ast.expr) -> bool:
    """Whether an expression after `except` names Exception or BaseException, alone or among others."""
    if isinstance(node, ast.Tuple):
        return any(map(catches_all, node.elts))
    plain = isinstance(node, ast.Name) or (isinstance(node, ast.Attribute) and _last_name(node.value) == "builtins")
    return plain and _last_name(node) in _CATCH_ALL


def _last_name(node: ast.expr) -> str:
    """`c` of `a.b.c`; "" for what is no name."""
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _key(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _is_dots(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and node.value.value is ...


def brief(node: ast.AST) -> str:
    """Code of one line, shortened; what is nested too deeply is left out."""
    try:
        text = " ".join(ast.unparse(node).split())
    except RecursionError:
        return "..."
    return text if len(text) <= 60 else f"{text[:57]}..."

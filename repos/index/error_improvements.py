"""What a change of a Python file improves in the error handling of its functions, by their syntax before and after.

Functions are matched by name; those that are new or gone are no improvement of what was there. A form counts as mended
only if the whole file has fewer of it as well, so that code which moves within a file improves nothing.
"""

import ast
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from repos.index.error_handling import (
    CONTROL,
    DENSITIES,
    Function,
    Handling,
    Measure,
    brief,
    catches_all,
    is_generic,
    is_silent,
    raised_type,
    raises,
    read_code,
    read_handling,
)
from repos.index.fail_fast import score


class Kind(StrEnum):
    """The kind of an improvement."""

    BARE_NARROWED = "bare-except-narrowed"
    BLIND_NARROWED = "blind-except-narrowed"
    RAISES_AGAIN = "caught-error-raised-again"
    SILENCE_ENDED = "silent-handler-acts"
    SILENCE_REMOVED = "silent-handler-removed"
    TYPE_SPECIFIC = "generic-raise-made-specific"
    CHAINED = "exception-chained"
    KEY_REQUIRED = "default-made-required"
    TRANSLATED = "caught-error-translated"
    CHECKED = "check-added"


class Improvement(NamedTuple):
    """An improvement of a function: its kind, and what to do, as a part of a sentence."""

    function: str
    kind: Kind
    what: str


@dataclass
class Comparison:
    """The functions that a change touches, their pooled scores before and after, and what was improved in which.

    `others` are functions that change otherwise, or are new or gone.
    """

    before: float = 0.0
    after: float = 0.0
    improvements: list[Improvement] = field(default_factory=list)
    new_faults: tuple[Measure, ...] = ()
    fewer_faults: tuple[Measure, ...] = ()
    """Measures by which these functions have more faults than before, and fewer."""
    others: list[str] = field(default_factory=list)

    @property
    def better(self) -> bool:
        """Whether the score rises, or faults go and none comes: a handler that goes takes its good forms with it."""
        return self.after > self.before or bool(self.fewer_faults and not self.new_faults)


@dataclass
class _Forms:
    """The forms of some code, each with how often it occurs; handlers and raises by the types that they name."""

    root: ast.AST
    handling: Handling
    bare: int = 0
    blind: Counter[str] = field(default_factory=Counter)
    raising: Counter[str] = field(default_factory=Counter)
    """Handlers of everything that raise."""
    narrow: Counter[str] = field(default_factory=Counter)
    silent: Counter[str] = field(default_factory=Counter)
    acting: Counter[str] = field(default_factory=Counter)
    tried: Counter[str] = field(default_factory=Counter)
    """First statements of what is tried under a silent handler."""
    generic: int = 0
    specific: Counter[str] = field(default_factory=Counter)
    translated: Counter[str] = field(default_factory=Counter)
    """Types raised in a handler."""
    unchained: int = 0
    chained: Counter[str] = field(default_factory=Counter)
    defaults: Counter[str] = field(default_factory=Counter)
    keys: Counter[str] = field(default_factory=Counter)
    asserts: Counter[str] = field(default_factory=Counter)

    def statements(self) -> set[str]:
        """All statements that contain no others."""
        return {brief(node) for node in ast.walk(self.root) if isinstance(node, ast.stmt) and not hasattr(node, "body")}


def compare_files(before: str, after: str) -> Comparison:
    """What a change improves. Raises UnreadableCode if either text does not parse."""
    old_tree, new_tree = read_code(before), read_code(after)
    old, new = dict(functions(old_tree, before)), dict(functions(new_tree, after))
    found = Comparison(others=sorted(old.keys() ^ new.keys()))
    touched = [name for name in old if name in new and old[name][1] != new[name][1]]
    if not touched:
        return found
    handled, handles = (read_handling(*(side[name][0] for name in touched)) for side in (old, new))
    found.before, found.after = score(handled), score(handles)
    more = {m: handles.bad(m) - handled.bad(m) for m in Measure if m not in DENSITIES}
    found.new_faults = tuple(measure for measure, change in more.items() if change > 0)
    found.fewer_faults = tuple(measure for measure, change in more.items() if change < 0)
    whole = _forms(old_tree), _forms(new_tree)
    for name in touched:
        improved = list(_improvements(name, _forms(old[name][0]), _forms(new[name][0]), *whole))
        found.improvements += improved
        if not improved:
            found.others.append(name)
    return found


def functions(tree: ast.Module, text: str) -> Iterator[tuple[str, tuple[Function, str]]]:
    """Functions and methods outside functions, each under its qualified name (`C.f`, a repeated one `C.f#2`), with its
    text; functions inside them are parts of them."""
    lines = text.split("\n")
    seen: Counter[str] = Counter()
    stack: list[tuple[ast.AST, str]] = [(tree, "")]
    while stack:
        node, prefix = stack.pop()
        if isinstance(node, Function):
            name = f"{prefix}{node.name}"
            seen[name] += 1
            shown = name if seen[name] == 1 else f"{name}#{seen[name]}"
            yield shown, (node, "\n".join(lines[node.lineno - 1 : node.end_lineno]))
        elif isinstance(node, ast.stmt | ast.Module | ast.ExceptHandler | ast.match_case):
            inner = f"{prefix}{node.name}." if isinstance(node, ast.ClassDef) else prefix
            stack += [(child, inner) for child in reversed(list(ast.iter_child_nodes(node)))]


def _forms(root: ast.AST) -> _Forms:
    found = _Forms(root, read_handling(root))
    stack: list[tuple[ast.AST, frozenset[str] | None]] = [(root, None)]
    while stack:
        node, caught = stack.pop()
        if isinstance(node, Function | ast.Lambda):
            caught = None
        elif isinstance(node, ast.ExceptHandler):
            caught = (caught or frozenset()) | ({node.name} if node.name else set())
            _add_handler(found, node)
        elif isinstance(node, ast.Try | ast.TryStar):
            if any(map(is_silent, node.handlers)):
                found.tried[brief(node.body[0])] += 1
        elif isinstance(node, ast.Raise):
            _add_raise(found, node, caught)
        elif isinstance(node, ast.Assert):
            found.asserts[brief(node.test)] += 1
        elif isinstance(node, ast.Subscript):
            _add_key(found.keys, node.slice)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get":
            _add_key(found.defaults, *node.args[:1])
        stack += [(child, caught) for child in ast.iter_child_nodes(node)]
    return found


def _add_handler(found: _Forms, node: ast.ExceptHandler) -> None:
    types = brief(node.type) if node.type is not None else ""
    (found.silent if is_silent(node) else found.acting)[types] += 1
    if node.type is None:
        found.bare += 1
    elif not catches_all(node.type):
        found.narrow[types] += 1
    else:
        (found.raising if raises(node.body) else found.blind)[types] += 1


def _add_raise(found: _Forms, node: ast.Raise, caught: frozenset[str] | None) -> None:
    name = raised_type(node)
    if node.exc is None or name in CONTROL or (isinstance(node.exc, ast.Name) and node.exc.id in (caught or ())):
        return
    if name is not None and is_generic(node):
        found.generic += 1
    elif name is not None and caught is None:
        found.specific[name] += 1
    if caught is not None:
        if name is not None and not is_generic(node):
            found.translated[name] += 1
        found.unchained += node.cause is None
        if node.cause is not None:
            found.chained[name or brief(node.exc)] += 1


def _add_key(keys: Counter[str], *nodes: ast.expr) -> None:
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            keys[node.value] += 1


def _improvements(name: str, old: _Forms, new: _Forms, all_old: _Forms, all_new: _Forms) -> Iterator[Improvement]:
    yield from (Improvement(name, kind, what) for kind, what in _of_handlers(old, new, all_old, all_new))
    yield from (Improvement(name, kind, what) for kind, what in _of_raises(old, new, all_old, all_new))


def _of_handlers(old: _Forms, new: _Forms, all_old: _Forms, all_new: _Forms) -> Iterator[tuple[Kind, str]]:
    narrow = _named(new.narrow - old.narrow)
    if narrow and new.bare < old.bare and all_new.bare < all_old.bare:
        yield Kind.BARE_NARROWED, f"catch {narrow} instead of everything by a bare `except`"
    fewer_blind = new.blind.total() < old.blind.total() and all_new.blind.total() < all_old.blind.total()
    if narrow and fewer_blind:
        yield Kind.BLIND_NARROWED, f"catch {narrow} instead of {_named(old.blind - new.blind)}"
    elif fewer_blind and new.raising.total() > old.raising.total():
        yield Kind.RAISES_AGAIN, f"raise in the handler of {_named(new.raising - old.raising)}"
    if all_new.handling.bad(Measure.SILENT) >= all_old.handling.bad(Measure.SILENT):
        return
    gone = old.silent - new.silent
    if acts := gone & (new.acting - old.acting):
        yield Kind.SILENCE_ENDED, f"do something in the handler of {_named(acts) or 'everything'} that only passes"
    elif _named(gone) and _fewer_handlers(old, new) and (old.tried.keys() - new.tried.keys()) & new.statements():
        yield Kind.SILENCE_REMOVED, f"let {_named(gone)} through instead of passing over it"


def _fewer_handlers(old: _Forms, new: _Forms) -> bool:
    return (new.silent + new.acting).total() < (old.silent + old.acting).total()


def _of_raises(old: _Forms, new: _Forms, all_old: _Forms, all_new: _Forms) -> Iterator[tuple[Kind, str]]:
    specific, translated = new.specific - old.specific, new.translated - old.translated
    fewer_generic = new.generic < old.generic and all_new.generic < all_old.generic
    if fewer_generic and (specific or translated):
        yield Kind.TYPE_SPECIFIC, f"raise {_named(specific + translated)} instead of a type that says nothing"
    if chained := new.chained - old.chained:
        unchained = new.unchained < old.unchained and all_new.unchained < all_old.unchained
        if unchained:
            yield Kind.CHAINED, f"say with `from` where {_named(chained)} comes from"
    required = (old.defaults - new.defaults) & (new.keys - old.keys)
    if required and all_old.defaults - all_new.defaults:
        shown = ", ".join(f"`{key}`" for key in sorted(required))
        yield Kind.KEY_REQUIRED, f"take {shown} as a key that must be there"
    if fewer_generic:
        return
    if translated and not old.specific - new.specific and _more(all_old.translated, all_new.translated):
        yield Kind.TRANSLATED, f"raise {_named(translated)} for an error that is caught"
    checks = [f"raise {_named(specific)}"] if specific and not old.translated - new.translated else []
    checks = checks if _more(all_old.specific, all_new.specific) and _more(old.specific, new.specific) else []
    if _more(all_old.asserts, all_new.asserts) and _more(old.asserts, new.asserts):
        checks.append(f"assert {_named(new.asserts - old.asserts)}")
    if checks:
        yield Kind.CHECKED, f"check what is given, and {' and '.join(checks)}"


def _more(old: Counter[str], new: Counter[str]) -> bool:
    return new.total() > old.total()


def _named(types: Iterable[str]) -> str:
    """Distinct names for a sentence."""
    return ", ".join(f"`{each}`" for each in sorted(set(types)) if each)

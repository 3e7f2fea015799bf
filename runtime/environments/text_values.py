"""Texts that a `setup.py` computes, evaluated statically as far as possible: formatted, joined, returned by its
functions, read from a module of the repository, or a default for the environment's variables."""

import ast
import re
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Any

from repos.syntax import parse_python
from runtime.environments.tree import PathTree, is_test

Evaluate = Callable[[ast.expr, Mapping[str, Any]], Any]
_ABOUT = ("__init__.py", "__about__.py", "__version__.py", "_version.py", "about.py", "_meta.py", "version.py",
          "_metadata.py", "metadata.py", "__pkginfo__.py", "__meta__.py", "info.py")  # fmt: skip
_METHODS = frozenset(
    {"lower", "upper", "strip", "lstrip", "rstrip", "replace", "removeprefix", "removesuffix", "title"}
)
_LONGEST = 10_000
_WIDTH = re.compile(r"%[^a-zA-Z%]*(?:\d{4}|\*)")
"""A width or precision, which makes a text of any size out of a short one."""


def about_values(tree: PathTree) -> dict[str, str]:
    """Texts that the repository's metadata modules assign to names, the outermost modules' first."""
    found: dict[str, str] = {}
    paths = [path for path in tree.paths if PurePosixPath(path).name in _ABOUT and not is_test(path)]
    for path in sorted(paths, key=lambda path: (path.count("/"), path)):
        for name, value in constants(tree.text(path)).items():
            found.setdefault(name, value)
    return found


def constants(text: str) -> dict[str, str]:
    """Literal texts that a module assigns to names; empty for one that does not parse."""
    try:
        module = parse_python(text)
    except (SyntaxError, ValueError, RecursionError):
        return {}
    found = {}
    for node in module.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        value = getattr(node, "value", None)
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            found.update({target.id: value.value for target in targets if isinstance(target, ast.Name)})
    return found


def text_value(node: ast.expr, names: Mapping[str, Any], evaluate: Evaluate) -> Any:
    """The text of an expression that is not a plain literal; None if it cannot be evaluated. `names` hold functions as
    their trees, and what the repository's metadata modules define, by its name there (`__title__`)."""
    match node:
        case ast.JoinedStr(values=parts):
            pieces = [evaluate(p.value if isinstance(p, ast.FormattedValue) else p, names) for p in parts]
            return "".join(map(str, pieces))[:_LONGEST] if None not in pieces else None
        case ast.BinOp(left=left, op=ast.Mod(), right=right):
            return _formatted(evaluate(left, names), evaluate(right, names))
        case ast.IfExp(body=body, orelse=orelse):
            return evaluate(body, names) or evaluate(orelse, names)
        case ast.BoolOp(op=ast.Or(), values=values):
            return next((found for each in values if (found := evaluate(each, names))), None)
        case ast.Attribute(attr=name):
            return _kept(names, name)
        case ast.Call():
            return _called(node, names, evaluate)
        case _:
            return None


def _kept(names: Mapping[str, Any], name: str) -> str | None:
    value = names.get(name)
    return value if isinstance(value, str) else None


def _formatted(template: Any, values: Any) -> str | None:
    if not isinstance(template, str) or values is None or _WIDTH.search(template):
        return None
    try:
        text = template % (tuple(values) if isinstance(values, list) else values)
    except (TypeError, ValueError, KeyError, OverflowError, MemoryError):
        return None
    return text if len(text) < _LONGEST else None


def _called(node: ast.Call, names: Mapping[str, Any], evaluate: Evaluate) -> Any:
    arguments = [evaluate(argument, names) for argument in node.args]
    match node.func:
        case ast.Name(id=name) if isinstance(names.get(name), ast.FunctionDef | ast.Lambda):
            return _returned(names[name], arguments, names, evaluate)
        case ast.Name(id="str") if arguments:
            return arguments[0] if isinstance(arguments[0], str) else None
        case ast.Attribute(value=held, attr=method):
            text = evaluate(held, names)
            if isinstance(text, str):
                return _method(text, method, arguments, node, names, evaluate)
            if method in ("get", "getenv") and len(arguments) > 1:  # os.environ.get(NAME, default)
                return arguments[1]
    for argument in arguments:  # find_meta("title"), get_about("__title__")
        if isinstance(argument, str) and (kept := _kept(names, argument) or _kept(names, f"__{argument}__")):
            return kept
    return None


def _method(
    text: str, method: str, arguments: list[Any], node: ast.Call, names: Mapping[str, Any], evaluate: Evaluate
) -> str | None:
    if method == "join" and arguments and isinstance(arguments[0], list):
        return text.join(each for each in arguments[0] if isinstance(each, str))[:_LONGEST]
    keywords = {each.arg: evaluate(each.value, names) for each in node.keywords if each.arg}
    if None in arguments or None in keywords.values():
        return None
    try:
        if method == "format":
            return _plainly_formatted(text, arguments, keywords)
        if method in _METHODS and all(isinstance(each, str) for each in arguments):
            return str(getattr(text, method)(*arguments))[:_LONGEST]
    except (TypeError, ValueError, KeyError, IndexError):
        return None
    return None


def _plainly_formatted(text: str, arguments: list[Any], keywords: dict[str, Any]) -> str | None:
    """`str.format` of texts alone, without widths, which could be huge."""
    if ":" in text or not all(isinstance(each, str) for each in (*arguments, *keywords.values())):
        return None
    return text.format(*arguments, **keywords)[:_LONGEST]


def _returned(
    function: ast.FunctionDef | ast.Lambda, arguments: list[Any], names: Mapping[str, Any], evaluate: Evaluate
) -> Any:
    inner = {**names, **dict(zip((each.arg for each in function.args.args), arguments, strict=False))}
    inner = {name: value for name, value in inner.items() if value is not function}  # no recursion
    if isinstance(function, ast.Lambda):
        return evaluate(function.body, inner)
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            inner[node.targets[0].id] = evaluate(node.value, inner)
    returns = [node.value for node in ast.walk(function) if isinstance(node, ast.Return) and node.value]
    found = next((value for each in returns if (value := evaluate(each, inner)) is not None), None)
    if found is None:  # a pattern is searched in a file's text
        found = next((kept for a in arguments if isinstance(a, str)
                      and (kept := _kept(names, a) or _kept(names, f"__{a}__"))), None)  # fmt: skip
    return found

"""`setup.cfg`, and `setup.py` read through its syntax tree: neither is ever run."""

import ast
import configparser
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from repos.syntax import parse_python
from runtime.environments.findings import Findings
from runtime.environments.malformed import as_written, readable, table, texts
from runtime.environments.text_values import about_values, text_value
from runtime.environments.tree import PathTree


def read_setup_cfg(tree: PathTree, findings: Findings) -> None:
    """Add `setup.cfg`."""
    parser = ini(tree.text("setup.cfg"))
    metadata, options = section(parser, "metadata"), section(parser, "options")
    findings.named(metadata.get("name"))
    findings.required_python(options.get("python_requires"))
    for header, key in _HEADERS.items():
        value = metadata.get(key, metadata.get(key.replace("_", "-")))
        if value and not value.startswith(("file:", "attr:")):
            findings.header(header, value)
    for line in lines(metadata.get("project_urls", "")):
        findings.header("Project-URL", ", ".join(part.strip() for part in line.split("=", 1)))
    findings.runtime += lines(options.get("install_requires", ""))
    findings.tests += lines(options.get("tests_require", ""))
    findings.build += lines(options.get("setup_requires", ""))
    for extra, text in section(parser, "options.extras_require").items():
        findings.add_group(extra, lines(text), extra=True)
    for group, text in section(parser, "options.entry_points").items():
        _entry_points({group: lines(text)}, findings)
    for line in lines(options.get("package_dir", "")):
        if line.startswith("="):
            findings.roots.append(line[1:].strip())
    where = section(parser, "options.packages.find").get("where")
    findings.roots += [where] if where else []
    findings.modules += lines(options.get("py_modules", ""))


_HEADERS = {
    "Summary": "description", "License": "license", "Author": "author", "Author-email": "author_email",
    "Home-page": "url", "Maintainer": "maintainer", "Maintainer-email": "maintainer_email",
}  # fmt: skip


_LONGEST_SUM = 100_000
"""Limit in elements or characters: sums of sums double with every line."""


def ini(text: str) -> configparser.RawConfigParser:
    """A parsed INI file; an empty one if it is malformed."""
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
    parser.optionxform = str  # type: ignore[method-assign, assignment]
    try:
        parser.read_string(text)
    except (configparser.Error, AttributeError):  # the latter for a line that continues a key without a value
        return configparser.RawConfigParser()
    return parser


def section(parser: configparser.RawConfigParser, name: str) -> dict[str, str]:
    """A section's keys and values, empty if there is none."""
    return {key: value or "" for key, value in parser.items(name)} if parser.has_section(name) else {}


def lines(text: str) -> list[str]:
    """Non-empty lines without comments."""
    stripped = (re.sub(r"(^|\s)[#;]\s.*$|^#.*$", "", line).strip() for line in text.splitlines())
    return [line for line in stripped if line]


def read_setup_py(tree: PathTree, findings: Findings) -> None:
    """Add the arguments of the `setup()` call, as far as they are literals, names of literals, or sums of these."""
    try:
        module = parse_python(tree.text("setup.py"))
    except (SyntaxError, ValueError):
        return
    for call, names in _setup_calls(module, _assigned(module.body, about_values(tree))):
        arguments: dict[str, Any] = {}
        for keyword in call.keywords:
            value = _evaluated(keyword.value, names)
            if keyword.arg is None and isinstance(value, dict):
                arguments.update(value)
            elif keyword.arg is not None:
                arguments[keyword.arg] = value
        _setup(arguments, findings)


def _setup_calls(module: ast.Module, names: dict[str, Any]) -> Iterator[tuple[ast.Call, dict[str, Any]]]:
    """The calls of `setup`, each with the values of the names in its scope."""
    functions = [node for node in ast.walk(module) if isinstance(node, ast.FunctionDef)]
    inner = {
        id(call): _assigned(f.body, names) for f in functions for call in ast.walk(f) if isinstance(call, ast.Call)
    }
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and _called(node) == "setup":
            yield node, inner.get(id(node), names)


def _texts(held: dict[str, Any], key: str) -> list[str]:
    value = held.get(key)
    return lines(value) if isinstance(value, str) else texts(held, key)


def _setup(arguments: dict[str, Any], findings: Findings) -> None:
    findings.named(arguments.get("name"))
    findings.required_python(arguments.get("python_requires"))
    for header, key in _HEADERS.items():
        findings.header(header, arguments.get(key))
    for label, url in table(arguments, "project_urls").items():
        findings.header("Project-URL", f"{label}, {url}")
    findings.runtime += _texts(arguments, "install_requires")
    findings.tests += _texts(arguments, "tests_require")
    findings.build += _texts(arguments, "setup_requires")
    extras = table(arguments, "extras_require")
    for extra in extras:
        _extra(str(extra), _texts(extras, extra), findings)
    as_written(_entry_points, arguments.get("entry_points"), findings)
    package_dir = table(arguments, "package_dir")
    if isinstance(package_dir.get(""), str):
        findings.roots.append(package_dir[""])
    findings.modules += _texts(arguments, "py_modules")
    findings.extension_modules |= bool({"ext_modules", "cffi_modules", "rust_extensions"} & set(arguments))
    scm = table(arguments, "use_scm_version")
    findings.version_files += [scm[k] for k in ("write_to", "version_file") if isinstance(scm.get(k), str)]


def _extra(name: str, members: list[str], findings: Findings) -> None:
    extra, _, marker = name.partition(":")
    marked = [f"{member} ; {marker}" if marker else member for member in members]
    if extra:
        findings.add_group(extra, marked, extra=True)
    else:
        findings.runtime += marked


def _entry_points(value: Any, findings: Findings) -> None:
    if isinstance(value, str):
        parser = ini(value)
        value = {name: [f"{k} = {v}" for k, v in section(parser, name).items()] for name in parser.sections()}
    for group, members in (value if isinstance(value, dict) else {}).items():
        for member in lines(members) if isinstance(members, str) else members or []:
            if isinstance(member, str) and "=" in member:
                name, _, target = member.partition("=")
                findings.entry_points.setdefault(group, {})[name.strip()] = target.strip()


def _called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")


def _assigned(body: Sequence[ast.stmt], known: Mapping[str, Any]) -> dict[str, Any]:
    """Values of names after some statements, taking branches and blocks as if each were run; functions as trees."""
    names = dict(known)
    for node in _flat(body):
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=value)
            ):
                names[name] = value if isinstance(value, ast.Lambda) else _evaluated(value, names) if value else None
            case ast.Assign(targets=[ast.Subscript(value=ast.Name(id=name), slice=key)], value=value):
                held, place = names.get(name), _evaluated(key, names)
                if isinstance(held, dict) and isinstance(place, str):
                    held[place] = _evaluated(value, names)
            case ast.AugAssign(target=ast.Name(id=name), value=value):
                names[name] = _sum(names.get(name), _evaluated(value, names))
            case ast.FunctionDef(name=name):
                names[name] = node
            case ast.ImportFrom(names=aliases):
                names.update({each.asname: names.get(each.name) for each in aliases if each.asname})
    return names


def _flat(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        yield node
        if isinstance(node, ast.If | ast.Try | ast.With | ast.For | ast.While):
            yield from _flat([*node.body, *getattr(node, "orelse", ()), *getattr(node, "finalbody", ())])


def _sum(left: Any, right: Any) -> Any:
    """Two lists or texts added; None if the result would be unreasonably large for a packaging file."""
    sized = isinstance(left, list | tuple | str) and isinstance(right, list | tuple | str)
    if sized and len(left) + len(right) > _LONGEST_SUM:
        return None
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return [*left, *right]
    if isinstance(left, str) and isinstance(right, str):
        return left + right
    return left if right is None else right


def _evaluated(node: ast.expr, names: Mapping[str, Any]) -> Any:
    """`evaluate`, with None for an expression that fails."""
    return readable(evaluate, None, node, names)


def evaluate(node: ast.expr, names: Mapping[str, Any]) -> Any:
    """The value of a literal expression, with names looked up in `names`; None if it would have to be run."""
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            held = names.get(name)
            return None if isinstance(held, ast.AST) else held
        case ast.List(elts=elements) | ast.Tuple(elts=elements) | ast.Set(elts=elements):
            found: list[Any] = []
            for element in elements:
                starred = isinstance(element, ast.Starred)
                value = evaluate(element.value if isinstance(element, ast.Starred) else element, names)
                found += (value or []) if starred else [value]
            return found
        case ast.Dict(keys=keys, values=values):
            table: dict[Any, Any] = {}
            for key, item in zip(keys, values, strict=True):
                inner = evaluate(item, names)
                if key is None:
                    table.update(inner if isinstance(inner, dict) else {})
                else:
                    table[evaluate(key, names)] = inner
            return table
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _sum(evaluate(left, names), evaluate(right, names))
        case ast.Subscript(value=held, slice=key):
            table_or_none, place = evaluate(held, names), evaluate(key, names)
            found_there = table_or_none.get(place) if isinstance(table_or_none, dict) else None
            return names.get(place) if found_there is None and isinstance(place, str) else found_there
        case ast.Call(func=ast.Name(id="dict"), keywords=keywords):
            return {k.arg: evaluate(k.value, names) for k in keywords if k.arg}
        case _:
            return text_value(node, names, evaluate)

"""Metadata of a Python project, read from its files without running any of them."""

import ast
import configparser
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from repos.syntax import parse_python


@dataclass(frozen=True)
class Metadata:
    """Fields of a distribution's metadata; empty where the project has none. `license` is as written."""

    name: str = ""
    summary: str = ""
    license: str = ""
    keywords: tuple[str, ...] = ()
    classifiers: tuple[str, ...] = ()

    def or_else(self, other: "Metadata") -> "Metadata":
        """These fields, with `other`'s where they are empty."""
        return Metadata(
            self.name or other.name,
            self.summary or other.summary,
            self.license or other.license,
            self.keywords or other.keywords,
            self.classifiers or other.classifiers,
        )


def from_pyproject(text: str) -> Metadata:
    """Metadata of a pyproject.toml: PEP 621, else poetry's table. Empty if it is not TOML."""
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError):  # the former also for integers that are too long
        return Metadata()
    poetry = _mapping(_mapping(table.get("tool")).get("poetry"))
    return _from_table(_mapping(table.get("project"))).or_else(_from_table(poetry))


def from_setup_cfg(text: str) -> Metadata:
    """Metadata of a setup.cfg. Empty if it cannot be read."""
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(text)
    except configparser.Error:
        return Metadata()
    return _from_table(dict(parser.items("metadata")) if parser.has_section("metadata") else {})


def from_setup_py(text: str) -> Metadata:
    """Literal arguments, and constants by name, of the `setup()` call in a setup.py. The file is not run."""
    try:
        tree = parse_python(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Metadata()
    constants = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "setup":
            return _from_table(
                {keyword.arg: _literal(keyword.value, constants) for keyword in node.keywords if keyword.arg}
            )
    return Metadata()


def _literal(node: ast.expr, constants: Mapping[str, ast.expr]) -> object:
    if isinstance(node, ast.Name) and node.id in constants:
        node = constants[node.id]
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError):
        return None


def _from_table(table: Mapping[str, Any]) -> Metadata:
    license_ = table.get("license")
    return Metadata(
        name=_text(table.get("name")),
        summary=_text(table.get("description") or table.get("summary")),
        license=_text(license_.get("text")) if isinstance(license_, Mapping) else _text(license_),
        keywords=_list(table.get("keywords")),
        classifiers=_list(table.get("classifiers")),
    )


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""


def _list(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        value = value.replace(",", "\n").splitlines() if "\n" in value or "," in value else [value]
    if not isinstance(value, list | tuple):
        return ()
    return tuple(item.strip() for item in value if isinstance(item, str) and item.strip())


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}

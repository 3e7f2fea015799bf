"""Requirements that tox installs before it runs the tests."""

import configparser
import re
from collections.abc import Sequence
from typing import Any

from packaging.utils import canonicalize_name

from runtime.environments.findings import Findings, about_other_things, parse
from runtime.environments.malformed import as_written, table, texts
from runtime.environments.requirement_files import read_requirements
from runtime.environments.setuptools_files import ini, lines, section
from runtime.environments.tree import PathTree
from runtime.environments.variants import is_variant, limited, marker_of, pythons

_DEEPEST = 3
_PLAIN = ("testenv", "env_run_base")
_INCLUDE = re.compile(r"^(?:-r|--requirement)[\s=]*(?:\{(?:toxinidir|tox_root)\}/)?(\S+)$")
_FACTOR = re.compile(r"^([\w.{},!-]+):\s+(.+)$|^([\w{},!-]+):(\S.*)$")


def read_tox(tree: PathTree, findings: Findings) -> None:
    """Add `tox.ini`, `[tox]` in `setup.cfg`, `tox.toml`, and the table or the INI text in `pyproject.toml`."""
    legacy = table(tree.toml("pyproject.toml"), "tool", "tox").get("legacy_tox_ini")
    for text in (tree.text("tox.ini"), tree.text("setup.cfg"), legacy if isinstance(legacy, str) else ""):
        parser = ini(text)
        names = sorted(name for name in parser.sections() if name == "testenv" or name.startswith("testenv:"))
        variants = _Variants([name.removeprefix("testenv:") for name in names], findings)
        for name in names:
            as_written(_environment, parser, name, tree, variants)
    for tox in (tree.toml("tox.toml"), table(tree.toml("pyproject.toml"), "tool", "tox")):
        names = ["env_run_base", *table(tox, "env")]
        variants = _Variants(names, findings)
        for name in names:
            as_written(_toml_environment, tox, name, tree, variants)


class _Variants:
    """Adds the requirements of environments, the plain one's first.

    Others add only what it does not name: for a Python, limited to that; for certain releases of something, nothing. If
    the plain one names nothing, the environments for the newest Python take its place.
    """

    def __init__(self, names: Sequence[str], findings: Findings) -> None:
        self.findings = findings
        self._newest = max((max(found) for name in names if (found := pythons(name))), default=(0, 0))
        self._plain: set[str] = set()

    def testing(self, name: str) -> bool:
        """Whether an environment counts for the tests."""
        if about_other_things(name) or is_variant(name):
            return False
        found = pythons(name)
        return not found or bool(self._plain) or self._newest in found

    def install(self, name: str, argument: str, *, testing: bool) -> None:
        """Add what an environment installs."""
        requirement = parse(argument)
        known = str(canonicalize_name(requirement.name)) if requirement else ""
        if name in _PLAIN:
            if testing and known:
                self._plain.add(known)
        elif known in self._plain:
            return
        elif testing and self._plain:
            argument = limited(argument, marker_of(pythons(name)))
        self.findings.install(argument, testing=testing)


def _toml_environment(tox: dict[str, Any], name: str, tree: PathTree, findings: _Variants) -> None:
    environment = table(tox, name) if name == "env_run_base" else table(tox, "env", name)
    testing = findings.testing(name)
    for line in _toml_lines(tox, environment.get("deps")):
        include = _INCLUDE.match(line)
        for argument in read_requirements(tree, include.group(1)).requirements if include else [line]:
            findings.install(name, argument, testing=testing)
    for key in ("extras", "dependency_groups") if testing else ():
        findings.findings.wanted.update(map(canonicalize_name, _toml_lines(tox, environment.get(key))))


def _toml_lines(tox: dict[str, Any], value: object, depth: int = 0) -> list[str]:
    """The texts of a value, with `replace = "ref"` followed; of `replace = "if"` those of both branches."""
    found: list[str] = []
    for each in value if isinstance(value, list) else [value]:
        if isinstance(each, str):
            found += lines(each)
        elif isinstance(each, dict) and depth < _DEEPEST:
            of = texts(each, "of")
            of = of[2:] if of[:2] == ["tool", "tox"] else of  # the whole path in pyproject.toml
            named = ["env", str(each.get("env")), str(each.get("key"))]
            held: Any = tox
            for key in of or (named if "env" in each else ()):
                held = held.get(key) if isinstance(held, dict) else None
            found += _toml_lines(tox, held, depth + 1) if held is not tox else []
            found += [line for key in ("then", "else") for line in _toml_lines(tox, each.get(key), depth + 1)]
    return found


def _environment(parser: configparser.RawConfigParser, name: str, tree: PathTree, findings: _Variants) -> None:
    keys = section(parser, name)
    name = name.removeprefix("testenv:")
    other = not findings.testing(name)
    for line in _resolved(parser, keys.get("deps", "")):
        factor, dependency = _conditional(line)
        marker = _marker(factor)
        # Any other numbered factor (django42) is one of several that exclude each other.
        numbered = re.search(r"\d", factor) and not marker
        testing = not (other or about_other_things(factor) or numbered)
        include = _INCLUDE.match(dependency)
        if include:
            for argument in read_requirements(tree, include.group(1)).requirements:
                findings.install(name, argument, testing=testing)
        else:
            bare = dependency[:1].isalnum() and ";" not in dependency
            findings.install(name, f"{dependency} ; {marker}" if marker and bare else dependency, testing=testing)
    for key in ("extras", "dependency_groups"):
        for line in _resolved(parser, keys.get(key, "")):
            factor, value = _conditional(line)
            if not other and not about_other_things(factor):
                findings.findings.wanted.update(canonicalize_name(g) for g in re.split(r"[,\s]+", value) if g)


def _marker(factor: str) -> str:
    """The marker of `py38` or `py38,py39`; "" for any other factor."""
    versions = [re.fullmatch(r"py(\d)(\d+)", part) for part in factor.split(",")]
    clauses = [f"python_version == '{v.group(1)}.{v.group(2)}'" for v in versions if v]
    return " or ".join(clauses) if len(clauses) == len(versions) else ""


def _conditional(line: str) -> tuple[str, str]:
    match = _FACTOR.match(line)
    if not match:
        return "", line
    return (match.group(1) or match.group(3)), (match.group(2) or match.group(4))


def _resolved(parser: configparser.RawConfigParser, text: str, depth: int = 0) -> list[str]:
    found = []
    for line in lines(text):
        reference = re.search(r"\{\[([^\]]+)\](\w+)\}", line)
        if reference and depth < _DEEPEST:
            found += _resolved(parser, section(parser, reference.group(1)).get(reference.group(2), ""), depth + 1)
        else:
            found.append(line)
    return found

"""Requirements that tox and nox install before they run the tests."""

import ast
import configparser
import re
from collections.abc import Sequence

from packaging.utils import canonicalize_name

from repos.syntax import called_name, parse_python
from runtime.environments.findings import Findings, about_other_things
from runtime.environments.malformed import as_written, table
from runtime.environments.requirement_files import read_requirements
from runtime.environments.setuptools_files import ini, lines, section
from runtime.environments.tree import PathTree

_FACTOR = re.compile(r"^([\w.{},!-]+):\s+(.+)$|^([\w{},!-]+):(\S.*)$")


def read_tox(tree: PathTree, findings: Findings) -> None:
    """Add `tox.ini`, `[tox]` in `setup.cfg`, and the INI text in `pyproject.toml`."""
    legacy = table(tree.toml("pyproject.toml"), "tool", "tox").get("legacy_tox_ini")
    for text in (tree.text("tox.ini"), tree.text("setup.cfg"), legacy if isinstance(legacy, str) else ""):
        parser = ini(text)
        for name in parser.sections():
            if name == "testenv" or name.startswith("testenv:"):
                as_written(_environment, parser, name, tree, findings)


def _environment(parser: configparser.RawConfigParser, name: str, tree: PathTree, findings: Findings) -> None:
    keys = section(parser, name)
    other = about_other_things(name.removeprefix("testenv"))
    for line in _resolved(parser, keys.get("deps", "")):
        factor, dependency = _conditional(line)
        marker = _marker(factor)
        # Any other numbered factor (django42) is one of several that exclude each other.
        numbered = re.search(r"\d", factor) and not marker
        testing = not (other or about_other_things(factor) or numbered)
        include = re.match(r"^(?:-r|--requirement)[\s=]*(?:\{toxinidir\}/)?(\S+)$", dependency)
        if include:
            for argument in read_requirements(tree, include.group(1)).requirements:
                findings.install(argument, testing=testing)
        else:
            bare = dependency[:1].isalnum() and ";" not in dependency
            findings.install(f"{dependency} ; {marker}" if marker and bare else dependency, testing=testing)
    for key in ("extras", "dependency_groups"):
        for line in _resolved(parser, keys.get(key, "")):
            factor, value = _conditional(line)
            if not other and not about_other_things(factor):
                findings.wanted.update(canonicalize_name(g) for g in re.split(r"[,\s]+", value) if g)


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
        if reference and depth < 3:
            found += _resolved(parser, section(parser, reference.group(1)).get(reference.group(2), ""), depth + 1)
        else:
            found.append(line)
    return found


def read_nox(tree: PathTree, findings: Findings) -> None:
    """Add the strings that `noxfile.py` passes to `session.install`, read through its syntax tree."""
    try:
        module = parse_python(tree.text("noxfile.py"))
    except (SyntaxError, ValueError):
        return
    for function in ast.walk(module):
        if not isinstance(function, ast.FunctionDef):
            continue
        strings = {n.value for n in ast.walk(function) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
        testing = "pytest" in strings and not about_other_things(function.name)
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                if node.func.attr in ("install", "run_install", "conda_install"):
                    _install(node, tree, findings, testing=testing)
                elif node.func.attr == "parametrize":
                    for argument in _strings(node):
                        findings.install(argument, testing=False)


def _install(call: ast.Call, tree: PathTree, findings: Findings, *, testing: bool) -> None:
    groups = [
        node for node in ast.walk(call) if isinstance(node, ast.Call) and called_name(node) == "dependency_groups"
    ]
    for group in {name for node in groups for name in _strings(node)} if testing else ():
        findings.wanted.add(canonicalize_name(group))
    arguments = iter(_strings(call, groups))
    for argument in arguments:
        if argument in ("-r", "--requirement"):
            for line in read_requirements(tree, next(arguments, "")).requirements:
                findings.install(line, testing=testing)
        elif argument in ("--group", "--extra"):
            group = next(arguments, "")
            if testing:
                findings.wanted.add(canonicalize_name(group))
        elif argument in ("-c", "--constraint", "-e", "--editable"):
            findings.install(next(arguments, ""), testing=testing and argument in ("-e", "--editable"))
        else:
            findings.install(argument, testing=testing)


def _strings(call: ast.Call, without: Sequence[ast.Call] = ()) -> list[str]:
    """The strings among the arguments of a call, in order, except those in the calls `without`."""
    left_out = {id(node) for other in without for node in ast.walk(other)}
    nodes = (node for argument in call.args for node in ast.walk(argument) if id(node) not in left_out)
    return [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]

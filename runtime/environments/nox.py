"""Requirements that nox installs before it runs the tests, read from the syntax tree of `noxfile.py`."""

import ast
from collections.abc import Iterator, Mapping, Sequence

from packaging.utils import canonicalize_name

from repos.syntax import called_name, parse_python
from runtime.environments.findings import Findings, about_other_things, about_tests, words
from runtime.environments.requirement_files import read_requirements
from runtime.environments.tree import PathTree
from runtime.environments.variants import is_variant

_INSTALLING = ("install", "run_install", "conda_install", "run", "run_always")
_TOOLS = {
    ("uv", "pip", "install"), ("uv", "sync"), ("uv", "run"), ("uv", "add"), ("pip", "install"), ("poetry", "install"),
    ("poetry", "run"), ("pdm", "install"), ("pdm", "sync"), ("python", "-m", "pip", "install"), ("hatch", "run"),
}  # fmt: skip
"""Commands of installers, as they begin; of those but pip's only the groups count."""
_GROUPS = ("--group", "--extra", "--with", "--extras", "-E", "-G", "--only-group", "--only", "-dG")
_FILES = ("-c", "--constraint", "-e", "--editable", "-f", "--find-links", "-i", "--index-url", "-p", "--python")

Lists = Mapping[str, Sequence[str]]
"""Lists of texts that the file assigns to names."""


def read_nox(tree: PathTree, findings: Findings) -> None:
    """Add what the sessions of `noxfile.py` install: requirements, extras and dependency groups."""
    try:
        module = parse_python(tree.text("noxfile.py"))
    except (SyntaxError, ValueError):
        return
    lists = {
        target.id: _strings([node.value])
        for node in module.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and isinstance(node.value, ast.List | ast.Tuple)
    }
    for function in ast.walk(module):
        if isinstance(function, ast.FunctionDef):
            _session(function, lists, tree, findings)


def _session(function: ast.FunctionDef, lists: Lists, tree: PathTree, findings: Findings) -> None:
    strings = {n.value for n in ast.walk(function) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    named = about_tests(function.name) and words(function.name).isdisjoint(("dev", "develop", "ci"))
    testing = ("pytest" in strings or named) and not about_other_things(function.name) and not is_variant(function.name)
    for node in ast.walk(function):
        if not isinstance(node, ast.Call):
            continue
        if testing:  # @session(uv_groups=["test"])
            groups = [k.value for k in node.keywords if k.arg in ("uv_groups", "uv_extras", "uv_only_groups")]
            findings.wanted.update(map(canonicalize_name, _strings(groups)))
        if isinstance(node.func, ast.Attribute) and node.func.attr in _INSTALLING:
            _installed(node, node.func.attr, lists, tree, findings, testing=testing)
        elif isinstance(node.func, ast.Attribute) and node.func.attr == "parametrize":
            for argument in _strings(node.args):
                findings.install(argument, testing=False)


def _installed(call: ast.Call, method: str, lists: Lists, tree: PathTree, findings: Findings, *, testing: bool) -> None:
    groups = [
        node for node in ast.walk(call) if isinstance(node, ast.Call) and called_name(node) == "dependency_groups"
    ]
    if testing:
        findings.wanted.update(canonicalize_name(name) for node in groups for name in _strings(node.args))
    arguments = _strings(call.args, groups, lists)
    only_groups = False
    if method not in ("install", "conda_install"):
        command = next((each for each in _TOOLS if tuple(arguments[: len(each)]) == each), None)
        if command is None:
            return
        arguments = arguments[len(command) :]
        only_groups = "pip" not in command
    for kind, argument in _kinds(arguments):
        if kind == "group":
            for name in argument.replace(",", " ").split() if testing else ():
                findings.wanted.add(canonicalize_name(name))
        elif kind == "file":
            for line in read_requirements(tree, argument).requirements:
                findings.install(line, testing=testing)
        elif kind == "own" or not only_groups:
            findings.install(argument, testing=testing and kind != "other")


def _kinds(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The arguments of an installer with their kinds: group, file, own, other or requirement."""
    left = iter(arguments)
    for word in left:
        option, equals, value = word.partition("=") if word.startswith("--") else (word, "", "")
        if option in ("-r", "--requirement"):
            yield "file", value if equals else next(left, "")
        elif option in _GROUPS:
            yield "group", value if equals else next(left, "")
        elif option in _FILES:
            kind = "own" if option in ("-e", "--editable") else "other"
            yield kind, value if equals else next(left, "")
        else:
            yield "requirement", word


def _strings(nodes: Sequence[ast.expr], without: Sequence[ast.Call] = (), lists: Lists | None = None) -> list[str]:
    """The texts in expressions, in order, except those in the calls `without`; names of `lists` give their members."""
    left_out = {id(node) for other in without for node in ast.walk(other)}
    found: list[str] = []
    for node in (each for outer in nodes for each in ast.walk(outer) if id(each) not in left_out):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append(node.value)
        elif isinstance(node, ast.Name) and lists:
            found += lists.get(node.id, ())
    return found

"""Sentinels: tests with random names that must fail, added to each module whose tests judge a candidate.

A sentinel that does not fail shows that failing tests are reported as passed, or that the compared values equal
anything: the run is then void. Some fail whatever the code under test does: a false assertion, an unequal pair, a
missing exception. The others are tests of the module with one side of a comparison replaced by a fresh object.
"""

import ast
import copy
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from harness.validation.confirmation.literals import is_literal
from models.suite import CaseStatus, SuiteReport
from repos.syntax import FunctionNode, parse_python
from runtime.testing import without_parameters

_FEW = 8
_WORDS = frozenset(
    {"case", "default", "empty", "first", "input", "known", "order", "result", "same", "simple", "value"}
)
"""Words for names where a module has few of its own."""

MOST_FOREIGN = 3
"""Most tests of a module that are copied with a fresh object in a comparison."""


@dataclass(frozen=True)
class Sentinels:
    """A module's text with its sentinels, and by node id the fault if one does not fail."""

    source: str
    failing: Mapping[str, str]


def with_sentinels(path: str, source: str, tests: Iterable[str]) -> Sentinels:
    """Add sentinels at the end of a test module, in which `tests` (node ids) are to pass.

    A module that does not parse gets none.
    """
    names = sorted({tuple(without_parameters(test).split("::")[1:]) for test in tests})
    try:
        tree = parse_python(source.removeprefix("\ufeff"))
    except (SyntaxError, ValueError, RecursionError):
        return Sentinels(source, {})
    fresh = _namer(tree, _prefix(name[-1] for name in names if name))
    parts = [*_plain(fresh), *(_in_test_case(fresh) if _uses_test_cases(tree) else ())]
    parts += _foreign(tree, names, fresh)
    text = "".join(f"\n\n{part.source}\n" for part in parts)
    failing = {"::".join((path, *part.names)): f"{part.wrong} does not fail in {path}" for part in parts}
    return Sentinels(source + ("" if source.endswith("\n") else "\n") + text, failing)


class Sentinel(NamedTuple):
    """A sentinel: its names below the module, its text, and the fault if it does not fail."""

    names: tuple[str, ...]
    source: str
    wrong: str


def _prefix(names: Iterable[str]) -> str:
    """The common prefix of the module's tests, so that a sentinel is collected like them."""
    first = next(iter(names), "test_x")
    if first.startswith("test"):
        return "test_" if first.startswith("test_") else "test"
    return first.partition("_")[0] + "_"


def _namer(tree: ast.Module, prefix: str) -> Callable[[], str]:
    """A generator of unused names, composed at random of the module's own words so that they look like its tests'."""
    known = {node.name for node in ast.walk(tree) if isinstance(node, FunctionNode | ast.ClassDef)}
    own = {word.lower() for name in known for word in re.findall(r"[A-Za-z][a-z]+", name)} - {"test", "tests"}
    words = sorted(own | _WORDS if len(own) < _FEW else own)
    chance = secrets.SystemRandom()

    def fresh() -> str:
        while True:
            name = prefix + "_".join(chance.sample(words, 3))
            if name not in known:
                known.add(name)
                return name

    return fresh


def _plain(fresh: Callable[[], str]) -> list[Sentinel]:
    one, other = secrets.token_hex(4), secrets.token_hex(4)
    bodies = {
        "a false assertion": "    assert not True",
        "an unequal pair": f'    assert "{one}" == "{other}!"',
        "an exception that does not come": (
            f'    with __import__("pytest").raises(LookupError):\n        int("{secrets.randbelow(1000)}")'
        ),
    }
    names = [fresh() for _ in bodies]
    return [
        Sentinel((name,), f"def {name}():\n{body}", wrong)
        for name, (wrong, body) in zip(names, bodies.items(), strict=True)
    ]


def _in_test_case(fresh: Callable[[], str]) -> list[Sentinel]:
    owner, equal, raised = f"Test{secrets.token_hex(5)}", fresh(), fresh()
    body = (
        f'class {owner}(__import__("unittest").TestCase):\n'
        f'    def {equal}(self):\n        self.assertEqual("{secrets.token_hex(4)}", "!")\n\n'
        f'    def {raised}(self):\n        with self.assertRaises(LookupError):\n            int("7")'
    )
    return [
        Sentinel((owner, equal), body, "an unequal pair in a test case"),
        Sentinel((owner, raised), "", "an exception that does not come in a test case"),
    ]


def _uses_test_cases(tree: ast.Module) -> bool:
    return any(
        isinstance(node, ast.Name | ast.Attribute) and _name(node).endswith("TestCase") for node in ast.walk(tree)
    )


def _name(node: ast.expr) -> str:
    return getattr(node, "attr", getattr(node, "id", ""))


def _foreign(tree: ast.Module, names: Iterable[tuple[str, ...]], fresh: Callable[[], str]) -> list[Sentinel]:
    """Copies of tests whose comparison has a fresh object on one side."""
    found: list[Sentinel] = []
    for name in names:
        if len(found) == MOST_FOREIGN:
            break
        function = _find(tree, name)
        if function is None or not _quick(function) or not (changed := next(_with_fresh_object(function), None)):
            continue
        changed.name = fresh()
        _keep_first_parameters(changed)
        text = ast.unparse(changed)
        if len(name) > 1:
            text += f"\n\n\n{'.'.join(name[:-1])}.{changed.name} = {changed.name}\ndel {changed.name}"
        wrong = f"{'::'.join(name)} with a fresh object on one side"
        found.append(Sentinel((*name[:-1], changed.name), text, wrong))
    return found


def _find(tree: ast.Module, name: tuple[str, ...]) -> FunctionNode | None:
    body: list[ast.stmt] = tree.body
    for part in name[:-1]:
        owner = next((node for node in body if isinstance(node, ast.ClassDef) and node.name == part), None)
        if owner is None:
            return None
        body = owner.body
    return next((node for node in body if isinstance(node, FunctionNode) and node.name == name[-1]), None)


def _quick(function: FunctionNode) -> bool:
    """Whether a copy runs at most once for each set of parameters: other decorators may run it a hundred times."""
    return all(isinstance(each, ast.Call) and _name(each.func) == "parametrize" for each in function.decorator_list)


def _with_fresh_object(function: FunctionNode) -> Iterator[FunctionNode]:
    """Copies of a test, one for each comparison that is always reached: in its own body, not in a condition."""
    for index, statement in enumerate(function.body):
        made = copy.deepcopy(function)
        if _made_foreign(made.body[index], statement):
            yield ast.fix_missing_locations(made)


def _keep_first_parameters(function: FunctionNode) -> None:
    """Keep only the first set of each list of parameters."""
    for call in function.decorator_list:
        if isinstance(call, ast.Call) and len(call.args) > 1 and isinstance(call.args[1], ast.List | ast.Tuple):
            call.args[1].elts = call.args[1].elts[:1]
            call.keywords = [keyword for keyword in call.keywords if keyword.arg != "ids"]


def _made_foreign(made: ast.stmt, original: ast.stmt) -> bool:
    if isinstance(made, ast.Assert) and isinstance(made.test, ast.Compare):
        compare = made.test
        if len(compare.ops) != 1 or not isinstance(compare.ops[0], ast.Eq):
            return False
        if is_literal(compare.left):
            compare.left = _fresh()
        else:
            compare.comparators = [_fresh()]
        return True
    call = made.value if isinstance(made, ast.Expr) else None
    if isinstance(call, ast.Call) and _name(call.func) == "assertEqual" and len(call.args) >= 2:
        call.args[0 if is_literal(call.args[0]) else 1] = _fresh()
        return True
    return False


def _fresh() -> ast.expr:
    return ast.Call(ast.Name("object", ast.Load()), [], [])


def without_sentinels(report: SuiteReport, ids: Iterable[str]) -> tuple[SuiteReport, list[str], set[str]]:
    """(Report without its sentinels, faults of those that passed or did not run, ids of those that failed)."""
    bases = set(ids)
    cases = {case.id: case for case in report.cases.values() if without_parameters(case.id) not in bases}
    ours = [case for case in report.cases.values() if without_parameters(case.id) in bases]
    held = {without_parameters(case.id) for case in ours if case.status in (CaseStatus.FAILED, CaseStatus.ERROR)}
    held -= {without_parameters(case.id) for case in ours if case.status is CaseStatus.PASSED}
    return report.model_copy(update={"cases": cases}), sorted(bases - held), held

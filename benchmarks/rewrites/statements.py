"""Rewritings of statements."""

import ast
import copy
from abc import abstractmethod

from benchmarks.rewrites.base import Rewriting, assign, called_names, holds, leaves, name, negated

_OWN_SCOPE = (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_BOUND_TO_FRAME = (ast.Yield, ast.YieldFrom, ast.Await, ast.NamedExpr)


class SwappedBranches(Rewriting):
    """`if c: a else: b` as `if not c: b else: a`."""

    def visit_If(self, node: ast.If) -> ast.AST:
        self.generic_visit(node)
        if node.orelse and self.chosen():
            return ast.If(negated(node.test), node.orelse, node.body)
        return node


class _Blocks(Rewriting):
    """Rewrites lists of statements, inner ones first."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        for field in ("body", "orelse", "finalbody"):
            body = getattr(node, field, None)
            if isinstance(body, list) and body and isinstance(body[0], ast.stmt):
                setattr(node, field, self.statements(body))
        return node

    def block(self, body: list[ast.stmt]) -> list[ast.stmt]:
        return self.statements(super().block(body))

    @abstractmethod
    def statements(self, body: list[ast.stmt]) -> list[ast.stmt]:
        """The statements of a block, rewritten."""


class RestInElse(_Blocks):
    """What follows `if c: return a` goes into its else."""

    def statements(self, body: list[ast.stmt]) -> list[ast.stmt]:
        for index, statement in enumerate(body[:-1]):
            if isinstance(statement, ast.If) and not statement.orelse and leaves(statement.body) and self.chosen():
                made = ast.If(statement.test, statement.body, self.statements(body[index + 1 :]))
                return [*body[:index], made]
        return body


class ElseAsRest(_Blocks):
    """The else of an `if` that leaves goes behind it."""

    def statements(self, body: list[ast.stmt]) -> list[ast.stmt]:
        found: list[ast.stmt] = []
        for statement in body:
            if isinstance(statement, ast.If) and statement.orelse and leaves(statement.body) and self.chosen():
                found += [ast.If(statement.test, statement.body, []), *statement.orelse]
            else:
                found.append(statement)
        return found


class NamedResults(Rewriting):
    """`return f(x)` as `result = f(x); return result`."""

    def visit_Return(self, node: ast.Return) -> ast.AST | list[ast.stmt]:
        if node.value is None or isinstance(node.value, ast.Name | ast.Constant) or not self.chosen():
            return node
        result = self.fresh("outcome")
        return [assign(result, node.value), ast.Return(name(result))]


class ConditionalStatements(Rewriting):
    """`x = a if c else b` and `return a if c else b` as if statements."""

    def visit_Return(self, node: ast.Return) -> ast.AST:
        if not isinstance(node.value, ast.IfExp) or not self.chosen():
            return node
        value = node.value
        return ast.If(value.test, [ast.Return(value.body)], [ast.Return(value.orelse)])

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        simple = all(isinstance(target, ast.Name) for target in node.targets)
        if not isinstance(node.value, ast.IfExp) or not simple or not self.chosen():
            return node
        value, again = node.value, copy.deepcopy(node.targets)
        return ast.If(value.test, [ast.Assign(node.targets, value.body)], [ast.Assign(again, value.orelse)])


class ExpandedAssignments(Rewriting):
    """`x += 1` as `x = x + 1`, for numbers and texts."""

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        if not isinstance(node.target, ast.Name) or not isinstance(node.value, ast.Constant | ast.JoinedStr):
            return node
        if not self.chosen():
            return node
        return assign(node.target.id, ast.BinOp(name(node.target.id), node.op, node.value))


class SplitTuples(Rewriting):
    """`a, b = x, y` as assignments one after the other, by way of names of their own."""

    def visit_Assign(self, node: ast.Assign) -> ast.AST | list[ast.stmt]:
        if (
            len(node.targets) != 1
            or not isinstance(node.targets[0], ast.Tuple)
            or not isinstance(node.value, ast.Tuple)
        ):
            return node
        targets, values = node.targets[0].elts, node.value.elts
        starred = any(isinstance(each, ast.Starred) for each in (*targets, *values))
        if starred or len(targets) != len(values) or not self.chosen():
            return node
        names = [self.fresh("part") for _ in values]
        first: list[ast.stmt] = [assign(each, value) for each, value in zip(names, values, strict=True)]
        return first + [ast.Assign([target], name(each)) for target, each in zip(targets, names, strict=True)]


class EndlessLoops(Rewriting):
    """`while c:` as `while True:` with a way out."""

    def visit_While(self, node: ast.While) -> ast.AST:
        self.generic_visit(node)
        if node.orelse or isinstance(node.test, ast.Constant) or not self.chosen():
            return node
        return ast.While(ast.Constant(True), [ast.If(negated(node.test), [ast.Break()], []), *node.body], [])


class NestedContexts(Rewriting):
    """`with a, b:` as two statements."""

    def visit_With(self, node: ast.With) -> ast.AST:
        self.generic_visit(node)
        if len(node.items) < 2 or not self.chosen():
            return node
        return ast.With(node.items[:1], [ast.With(node.items[1:], node.body)])


class Loops(Rewriting):
    """`x = [f(y) for y in z if c]` as a loop; so for sets and dictionaries, and when it is returned."""

    def visit_Assign(self, node: ast.Assign) -> ast.AST | list[ast.stmt]:
        loop = self._loop(node.value)
        return node if loop is None else [*loop[0], ast.Assign(node.targets, name(loop[1]))]

    def visit_Return(self, node: ast.Return) -> ast.AST | list[ast.stmt]:
        loop = self._loop(node.value)
        return node if loop is None else [*loop[0], ast.Return(name(loop[1]))]

    def _loop(self, value: ast.expr | None) -> tuple[list[ast.stmt], str] | None:
        if not isinstance(value, ast.ListComp | ast.SetComp | ast.DictComp) or len(value.generators) != 1:
            return None
        source = value.generators[0]
        inner = [each for each in ast.iter_child_nodes(value) if holds(each, *_OWN_SCOPE, *_BOUND_TO_FRAME)]
        if source.is_async or inner or not self.chosen():
            return None
        names = {each.id for each in ast.walk(source.target) if isinstance(each, ast.Name)}
        renamed = {each: self.fresh(each) for each in sorted(names)}
        iterable, gathered = source.iter, self.fresh("gathered")  # it is evaluated outside the comprehension's scope
        for each in (node for part in (value, source.target) for node in ast.walk(part)):
            if isinstance(each, ast.Name) and each.id in renamed and each not in ast.walk(iterable):
                each.id = renamed[each.id]
        body: list[ast.stmt] = [_added(value, gathered)]
        for test in reversed(source.ifs):
            body = [ast.If(test, body, [])]
        return [assign(gathered, _empty(value)), ast.For(source.target, iterable, body, [])], gathered


def _empty(value: ast.ListComp | ast.SetComp | ast.DictComp) -> ast.expr:
    if isinstance(value, ast.ListComp):
        return ast.List([], ast.Load())
    return ast.Dict([], []) if isinstance(value, ast.DictComp) else ast.Call(name("set"), [], [])


def _added(value: ast.ListComp | ast.SetComp | ast.DictComp, gathered: str) -> ast.stmt:
    if isinstance(value, ast.DictComp):
        return ast.Assign([ast.Subscript(name(gathered), value.key, ast.Store())], value.value)
    method = "append" if isinstance(value, ast.ListComp) else "add"
    return ast.Expr(ast.Call(ast.Attribute(name(gathered), method, ast.Load()), [value.elt], []))


class HelperFunctions(Rewriting):
    """What is returned is computed by a function inside."""

    share = 0.5

    def visit_Return(self, node: ast.Return) -> ast.AST | list[ast.stmt]:
        value = node.value
        if value is None or isinstance(value, ast.Name | ast.Constant) or holds(value, *_BOUND_TO_FRAME):
            return node
        if {"super", "locals", "vars", "dir", "eval", "exec"} & set(called_names(value)) or not self.chosen():
            return node
        helper = self.fresh("compute")
        made = ast.parse(f"def {helper}():\n    return None").body[0]
        assert isinstance(made, ast.FunctionDef)
        made.body = [ast.Return(value)]
        return [made, ast.Return(ast.Call(name(helper), [], []))]

"""Turning a test into a recorder: each assertion becomes an observation, after which the test continues."""

import ast

_EQUAL = frozenset(
    {"assertEqual", "assertEquals", "assertListEqual", "assertDictEqual", "assertTupleEqual", "assertSetEqual"}
    | {"assertMultiLineEqual", "assertSequenceEqual"}
)
_CONTEXTS = frozenset({"raises", "warns", "deprecated_call", "assertRaises", "assertRaisesRegex", "assertWarns"})


class Observing(ast.NodeTransformer):
    """Rewrites one test in place. Observations are numbered in the order of the source."""

    def __init__(self, observer: str) -> None:
        self._observer = observer
        self._number = 0

    def transform(self, function: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """Rewrite the body of a function; its decorators are kept."""
        function.body = [self.visit(statement) for statement in function.body]
        ast.fix_missing_locations(function)

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        test = _Equalities(self).visit(node.test)
        return ast.copy_location(ast.Expr(self.call("truth", test)), node)

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        call = node.value
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute) or _suspends(call):
            return self.generic_visit(node)
        name = call.func.attr
        if name in _EQUAL and len(call.args) >= 2:
            return ast.copy_location(ast.Expr(self.call("equal", call.args[0], call.args[1])), node)
        if name in ("assertTrue", "assertFalse") and call.args:
            return ast.copy_location(ast.Expr(self.call("truth", call.args[0])), node)
        if name.startswith(("assert", "assert_")):
            nothing = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])
            return ast.copy_location(ast.Expr(self.call("passes", ast.Lambda(nothing, call))), node)
        return self.generic_visit(node)

    def visit_withitem(self, node: ast.withitem) -> ast.AST:
        call = node.context_expr
        name = getattr(call.func, "attr", getattr(call.func, "id", "")) if isinstance(call, ast.Call) else ""
        if name in _CONTEXTS:
            node.context_expr = self.call("expects", call)
        return node

    def call(self, what: str, *arguments: ast.expr) -> ast.Call:
        """A call of the observer, with the next number."""
        self._number += 1
        function = ast.Attribute(ast.Name(self._observer, ast.Load()), what, ast.Load())
        return ast.Call(function, [ast.Constant(self._number), *arguments], [])


class _Equalities(ast.NodeTransformer):
    """Replaces `left == right` inside an assertion; a chain of comparisons is kept as it is."""

    def __init__(self, owner: Observing) -> None:
        self._owner = owner

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        if len(node.ops) == 1 and isinstance(node.ops[0], ast.Eq):
            return self._owner.call("equal", node.left, node.comparators[0])
        return node


def _suspends(node: ast.AST) -> bool:
    return any(isinstance(each, ast.Await | ast.Yield | ast.YieldFrom | ast.NamedExpr) for each in ast.walk(node))

"""Rewritings of expressions."""

import ast
from abc import abstractmethod

from benchmarks.rewrites.base import Rewriting, is_simple, negated

_MIRRORED = {ast.Lt: ast.Gt, ast.Gt: ast.Lt, ast.LtE: ast.GtE, ast.GtE: ast.LtE, ast.Eq: ast.Eq, ast.NotEq: ast.NotEq}


class _Conditions(Rewriting):
    """Rewrites expressions of which only the truth is used."""

    @abstractmethod
    def condition(self, test: ast.expr) -> ast.expr:
        """Another expression of the same truth."""

    def visit_If(self, node: ast.If) -> ast.AST:
        self.generic_visit(node)
        node.test = self.condition(node.test)
        return node

    def visit_While(self, node: ast.While) -> ast.AST:
        self.generic_visit(node)
        node.test = self.condition(node.test)
        return node

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        self.generic_visit(node)
        node.test = self.condition(node.test)
        return node


class DeMorgan(_Conditions):
    """`a and b` as `not (not a or not b)`."""

    def condition(self, test: ast.expr) -> ast.expr:
        if not isinstance(test, ast.BoolOp) or not self.chosen():
            return test
        other: ast.boolop = ast.Or() if isinstance(test.op, ast.And) else ast.And()
        return ast.UnaryOp(ast.Not(), ast.BoolOp(other, [negated(value) for value in test.values]))


class DoubleNegation(_Conditions):
    """`c` as `not (not c)`."""

    def condition(self, test: ast.expr) -> ast.expr:
        return ast.UnaryOp(ast.Not(), negated(test)) if self.chosen() else test


class MirroredComparisons(Rewriting):
    """`a < b` as `b > a`, for names and constants."""

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        if len(node.ops) != 1 or type(node.ops[0]) not in _MIRRORED:
            return node
        left, right = node.left, node.comparators[0]
        if not (is_simple(left) and is_simple(right) and self.chosen()):
            return node
        return ast.Compare(right, [_MIRRORED[type(node.ops[0])]()], [left])


class SplitComparisons(Rewriting):
    """`a < b < c` as `a < b and b < c`, for names and constants."""

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        sides = [node.left, *node.comparators]
        if len(node.ops) < 2 or not all(map(is_simple, sides)) or not self.chosen():
            return node
        pairs = zip(sides[:-1], node.ops, sides[1:], strict=True)
        return ast.BoolOp(ast.And(), [ast.Compare(left, [op], [right]) for left, op, right in pairs])


class FormatCalls(Rewriting):
    """A formatted string as a call of `str.format`."""

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        parts, values = [], []
        for part in node.values:
            if isinstance(part, ast.Constant):
                parts.append(str(part.value).replace("{", "{{").replace("}", "}}"))
            elif isinstance(part, ast.FormattedValue) and (spec := _specification(part)) is not None:
                conversion = f"!{chr(part.conversion)}" if part.conversion != -1 else ""
                parts.append("{" + conversion + (f":{spec}" if spec else "") + "}")
                values.append(part.value)
            else:
                return node
        if not values or not self.chosen():
            return node
        return ast.Call(ast.Attribute(ast.Constant("".join(parts)), "format", ast.Load()), values, [])


def _specification(part: ast.FormattedValue) -> str | None:
    if part.format_spec is None:
        return ""
    parts = part.format_spec.values if isinstance(part.format_spec, ast.JoinedStr) else [part.format_spec]
    if not all(isinstance(each, ast.Constant) for each in parts):
        return None
    return "".join(str(each.value) for each in parts if isinstance(each, ast.Constant))


class KeywordOrder(Rewriting):
    """Keyword arguments the other way round, where evaluating them has no effect."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        plain = all(keyword.arg and is_simple(keyword.value) for keyword in node.keywords)
        is_dict = isinstance(node.func, ast.Name) and node.func.id == "dict"
        if len(node.keywords) > 1 and plain and not is_dict and self.chosen():
            node.keywords.reverse()
        return node

"""Symbols of Python, JavaScript and TypeScript files: names, kinds, spans."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repos.index.symbols import SymbolKind, base_name, import_block, language_of, symbols


def spans(text: str, path: str) -> dict[str, tuple[str, int, int]]:
    return {symbol.name: (symbol.kind.value, symbol.start_line, symbol.end_line) for symbol in symbols(text, path)}


PYTHON = '''"""Doc."""
import os
from a import (
    b,
)  # why

SIZE = 3
names: list[str] = []

# about A
@final
@dataclass(
    frozen=True
)
class A(B):
    """Doc."""

    @property
    def size(self):
        return 1

    @size.setter
    def size(self, value):
        def inner():
            pass

    class Meta:
        def deep(self): ...

if os:
    async def run(): pass
else:
    def run(): pass
'''


def test_python_symbols_are_found_with_their_decorators() -> None:
    assert spans(PYTHON, "a.py") == {
        "SIZE": ("constant", 7, 7),
        "names": ("constant", 8, 8),
        "A": ("class", 11, 27),
        "A.size#1": ("method", 18, 20),
        "A.size#2": ("method", 22, 25),
        "A.size#2.inner": ("function", 24, 25),
        "A.Meta": ("class", 27, 28),
        "A.Meta.deep": ("method", 28, 28),
        "run#1": ("function", 31, 31),
        "run#2": ("function", 33, 33),
    } | {"A": ("class", 11, 28)}


def test_the_import_block_is_the_first_run_of_imports() -> None:
    block = import_block(PYTHON, "a.py")
    assert block is not None
    assert (block.start_line, block.end_line, block.own_lines) == (2, 5, True)
    assert import_block("x = 1\n", "a.py") is None


def test_javascript_symbols_are_found_with_their_export() -> None:
    text = """import a from 'b';
export default class {
  #secret() {}
  get size() { return 1 }
  set size(v) {}
  static go = async () => 1;
}
export const f = () => 1, unrelated = 2;
const g = function () {
  function inner() {}
};
module.exports.h = (x) => x;
export function* gen() {}
let LIMIT = 3
"""
    assert spans(text, "a.mjs") == {
        "default": ("class", 2, 7),
        "default.#secret": ("method", 3, 3),
        "default.size#1": ("method", 4, 4),
        "default.size#2": ("method", 5, 5),
        "default.go": ("method", 6, 6),
        "g": ("function", 9, 11),
        "g.inner": ("function", 10, 10),
        "module.exports.h": ("function", 12, 12),
        "gen": ("function", 13, 13),
        "LIMIT": ("constant", 14, 14),
    }


def test_typescript_symbols_are_found_with_their_decorators() -> None:
    text = """@Component({})
export class A<T> {
  @Input()
  @Other
  name(): string { return "" }
  handler = (e: Event): void => {}
}
export interface Shape { area: number }
type Id = string;
export enum Color { Red }
namespace N {
  export function f(a: string): void;
  export function f(a: any) {}
}
"""
    assert spans(text, "a.ts") == {
        "A": ("class", 1, 7),
        "A.name": ("method", 3, 5),
        "A.handler": ("method", 6, 6),
        "Shape": ("type", 8, 8),
        "Id": ("type", 9, 9),
        "Color": ("type", 10, 10),
        "N": ("type", 11, 14),
        "N.f#1": ("function", 12, 12),
        "N.f#2": ("function", 13, 13),
    }
    assert list(spans("export const C: FC = () => <p>x</p>;\n", "a.tsx")) == ["C"]


def test_a_file_with_syntax_errors_gives_what_parses() -> None:
    assert {"good", "fine"} <= set(spans("def good():\n    pass\n\ndef broken(:\n\ndef fine():\n    pass\n", "a.py"))


def test_code_that_shares_a_line_is_told() -> None:
    found = {
        symbol.name: symbol.own_lines for symbol in symbols("function f() {} run()\nfunction g() {} // why\n", "a.js")
    }
    assert found["f"] is False
    assert found["g"] is True


def test_an_unknown_language_has_no_symbols() -> None:
    assert symbols("fn main() {}", "a.rs") == []
    assert language_of("Makefile") is None


def test_nesting_deeper_than_the_interpreters_stack_is_read() -> None:
    text = "".join("function f() {" for _ in range(3000)) + "}" * 3000
    assert len(symbols(text, "a.js")) == 3000


@pytest.mark.parametrize("path", ["a.py", "a.js", "a.ts", "a.tsx"])
@given(text=st.text(st.sampled_from("def class f(x):\n    @{}=>;é\t\r'\"#/"), max_size=80))
def test_any_text_gives_spans_within_it(path: str, text: str) -> None:
    source = text.encode()
    for symbol in symbols(text, path):
        assert 0 <= symbol.start_byte < symbol.end_byte <= len(source)
        assert symbol.start_line == source[: symbol.start_byte].count(b"\n") + 1
        assert symbol.end_line == source[: symbol.end_byte].count(b"\n") + 1
        assert symbol.kind in SymbolKind


def test_numbers_of_repeated_definitions_are_taken_off_a_name() -> None:
    assert base_name("A#2.size#1") == "A.size"
    assert base_name("A.#secret") == "A.#secret"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("class C:\n    def f(self):\n        type(self).n = 1\n        type (self).m = 2\n", ["C", "C.f"]),
        ("type(x)[0] = 2\ntype[0] = 1\ntype(x).n: int = 3\n", []),
        ("type L[T] = list[T]\ntype M = int\ntype N [\n    T: int, *Ts, **P\n] = T\n", ["L", "M", "N"]),
        ("class C:\n    type L[T] = list[T]\n", ["C", "C.L"]),
    ],
)
def test_type_statements_are_told_from_calls_of_type(text: str, expected: list[str]) -> None:
    assert [symbol.name for symbol in symbols(text, "a.py")] == expected

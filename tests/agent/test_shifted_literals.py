"""A shift of indents moves code, and never the text inside literals of several lines."""

import ast
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.edits.ladder import replace_once
from agent.edits.whole import edit_symbol
from models.edits import Rung, SymbolEdit

STRING = 'def f(self):\n    return """\nfirst\n  second\n"""\n'


def replaced(text: str, body: str, name: str = "A.f", path: str = "a.py") -> str:
    new, rung = edit_symbol(text, SymbolEdit(path=path, symbol=name, op="replace", body=body))
    assert rung is Rung.INDENT_SHIFT
    return new


def constants(code: str) -> list[object]:
    return [node.value for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Constant)]


def test_a_search_at_column_0_leaves_the_texts_of_strings_alone() -> None:
    text = 'class A:\n    def f(self):\n        return """\nfirst\n  second\n"""\n'
    new, rung = replace_once(text, STRING, STRING.replace("second", "third"), "a.py")
    assert (new, rung) == (text.replace("second", "third"), Rung.INDENT_SHIFT)


def test_a_search_that_shows_its_strings_shifted_as_well_is_moved_back_as_a_whole() -> None:
    text = 'class A:\n    def f(self):\n        return """\n    first\n    """\n'
    search = 'def f(self):\n    return """\nfirst\n"""\n'
    new, _ = replace_once(text, search, search.replace("return", "yield"), "a.py")
    assert new == text.replace("return", "yield")


@pytest.mark.parametrize(
    "body",
    [
        STRING,
        'def f(self):\n    x = """a\nb"""\n    return x\n',
        "def f(self, a=1):\n    x = f\"\"\"a\n{a}\n  {f'''b\n{a!r}'''}\n\"\"\"\n    return x\n",
        'def f(self):\n    x = "a\\\nb"\n    return x\n',
        "def f(self):\n    return dedent(r'''\n    a\\\n  b\n    ''')\n",
        'def f(self):\n    x = (\n        "a"\n        b"""\n"""\n    )\n    return x\n'.replace('b"""', '"""'),
        'def f(self):\n    """Say.\n\nMore at column 0.\n    """\n    return 1\n',
        'def f(self):\n    # """\n    x = "\'\'\'"\n    y = """\n# z\n"""\n    return y\n',
    ],
)
@pytest.mark.parametrize("indent", ["    ", "\t"])
def test_the_values_of_a_shifted_body_are_those_written(body: str, indent: str) -> None:
    text = f"class A:\n{indent}x = 0\n\n{indent}def f(self): ...\n"
    new = replaced(text, body)
    assert constants(new)[-len(constants(body)) :] or constants(body) == []
    assert set(map(repr, constants(body))) <= set(map(repr, constants(new)))
    assert new.startswith(f"class A:\n{indent}x = 0\n\n{indent}def f(self")


def test_a_line_after_a_backslash_stays_where_it_is() -> None:
    body = "def f(self):\n    x = 1 + \\\n  2\n    assert x, \\\n        x\n    return x\n"
    new = replaced("class A:\n    def f(self): ...\n", body)
    assert new == (
        "class A:\n    def f(self):\n        x = 1 + \\\n  2\n        assert x, \\\n        x\n        return x\n"
    )


def test_a_shift_to_the_left_accepts_strings_at_column_0() -> None:
    body = textwrap.indent("def f():\n    return X\n", "    ").replace("X", '"""\nat 0\n"""')
    assert replaced("def f(): ...\n", body, "f") == 'def f():\n    return """\nat 0\n"""\n'


def test_a_docstring_that_is_indented_like_its_code_moves_with_it() -> None:
    body = 'def f(self):\n    """Say.\n\n    More.\n    """\n    return 1\n'
    new = replaced("class A:\n    def f(self): ...\n", body)
    assert new == "class A:\n" + textwrap.indent(body, "    ")
    before = 'class A:\n    def f(self):\n        """Say.\n\n        More.\n        """\n        return 1\n'
    again, _ = replace_once(before, body, body.replace("1", "2"), "a.py")
    assert again == before.replace("1", "2")


def test_template_strings_and_here_documents_stay() -> None:
    body = "f() {\n  return `a\n${g(`\n b`)}\nc`;\n}\n"
    new = replaced("class A {\n  f() {}\n}\n", body, path="a.js")
    assert new == "class A {\n  f() {\n    return `a\n${g(`\n b`)}\nc`;\n  }\n}\n"
    text = "if true; then\n  cat <<'EOF' && cat <<-END\na\n  b\nEOF\n\tc\n\tEND\n  echo\nfi\n"
    search = "cat <<'EOF' && cat <<-END\na\n  b\nEOF\n\tc\n\tEND\necho\n"
    new, _ = replace_once(text, search, search.replace("echo", "exit"), "run.sh")
    assert new == text.replace("echo", "exit")


LINE = st.sampled_from(["x", "  y", "", "    z", "\tq", "{a}", "'''", "# c", "def f(): pass", "\\\\"])


@given(st.lists(LINE, max_size=5), st.sampled_from(["", "f", "r"]), st.sampled_from(["", "    ", "\t"]))
def test_any_text_in_a_string_survives_a_shift(lines: list[str], prefix: str, indent: str) -> None:
    literal = prefix + '"""' + "\n".join(["", *lines, ""]) + '"""'
    body = f"{indent}def f(self, a=1):\n{indent}    return {literal}\n"
    text = "class A:\n  def f(self): ...\n"
    new, _ = edit_symbol(text, SymbolEdit(path="a.py", symbol="A.f", op="replace", body=body))
    assert new == f"class A:\n  def f(self, a=1):\n      return {literal}\n"

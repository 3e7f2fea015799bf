"""Generated Python programs of pieces that diffs, parsers and line counts have got wrong."""

from hypothesis import strategies as st

SIMPLE = (
    "x = 1",
    "y = x",
    "print(x, y)",
    "++ x",
    "-- y",
    "z = x @ y",
    'hunk = "@@ -1,2 +1,3 @@"',
    "import os",
    "from os import path as p",
    "print(os.sep, p)",
    "a = 1; b = a",
    'text = "a\u2028b\x85c"',
    'marks = """\n<<<<<<< SEARCH\n=======\n>>>>>>> REPLACE\n"""',
    'fence = """\n```python\n### edit x.py\n```\n"""',
    "call(\n    x,\n\n    # inside\n    y,\n)",
    "total = x + \\\n    y",
    "pass",
    "del x",
    "undefined_by_itself",
    "x = 'endoftx<>|'",
)
BLOCKS = (
    "def f(a, b=x):\n{}",
    "@decorate\n@other(1)\ndef g():\n{}",
    "async def h():\n{}",
    "class C(Base):\n{}",
    "if x:\n{}",
    "if x:\n{}\nelif y:\n{}\nelse:\n{}",
    "for x in y:\n{}\nelse:\n{}",
    "while x:\n{}",
    "with open(x) as y:\n{}",
    "try:\n{}\nexcept ValueError as error:\n{}",
    "try:\n{}\nexcept ValueError:\n{}\nexcept TypeError:\n{}\nelse:\n{}\nfinally:\n{}",
    "try:\n{}\nfinally:\n{}",
    "match x:\n    case 1:\n{}\n    case _:\n{}",
)
BETWEEN = ("", "\n", "\n\n", "# a comment\n", "\f\n", "\n# apart\n\n", "    # deeper\n", "  \n")


@st.composite
def suites(draw: st.DrawFn, indent: str, depth: int) -> str:
    """Statements at one indent, each line of code indented by `indent`."""
    found = []
    for _ in range(draw(st.integers(1, 3))):
        between = draw(st.sampled_from(BETWEEN))
        if depth and draw(st.booleans()):
            found.append(between + _block(draw, draw(st.sampled_from(BLOCKS)), indent, depth))
        else:
            found.append(between + indent + draw(st.sampled_from(SIMPLE)))
    return "\n".join(found)


def _block(draw: st.DrawFn, form: str, indent: str, depth: int) -> str:
    step = draw(st.sampled_from(["    ", "\t", "  "]))
    lines = []
    for line in form.split("\n"):
        if line == "{}":
            extra = "    " if form.startswith("match") else ""
            lines.append(draw(suites(indent + extra + step, depth - 1)))
        else:
            lines.append(indent + line)
    return "\n".join(lines)


@st.composite
def programs(draw: st.DrawFn) -> str:
    """A module that parses: with LF, CR LF or CR at the ends of lines, a byte order mark or not, a last line end or
    not."""
    head = draw(st.sampled_from(["", "#!/usr/bin/env python\n", '"""A module.\n\nMore."""\n', "# Licence\n\n", "\n\n"]))
    text = head + draw(suites("", 3)) + draw(st.sampled_from(["\n", "", "\n\n# end\n", "\n\f\n"]))
    text = text.replace("\n", draw(st.sampled_from(["\n", "\n", "\r\n", "\r"])))
    return draw(st.sampled_from(["", "", "\ufeff"])) + text

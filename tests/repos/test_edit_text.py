"""The text of edits: written and read back it is the same, and what cannot be read is told apart clearly."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.edits.format import format_edits
from agent.edits.parse import parse_answer, parse_edits
from models.edits import CreateFile, DeleteFile, Edit, RenameFile, SearchReplace, SymbolEdit
from models.errors import EditError

NASTY = st.sampled_from(
    [
        "<<<<<<< SEARCH", "<<<<<<<< SEARCH", "=======", "========", ">>>>>>> REPLACE", "```", "````",
        "```python", "~~~", "~~~~ x", "</think>", "\\ No newline at end of file", "\\\\ No newline at end of file",
        "### edit a.py",
        "### no change",
        "def f():", "    return 1", "x\r", "\r", "", "   ", "\t", "é\u2028x", "\x0c", "=======\r", "``` ",
    ]
)  # fmt: skip
LINES = st.lists(NASTY | st.text(max_size=8), max_size=6)
TEXTS = st.builds(lambda lines, end: "\n".join(lines) + end, LINES, st.sampled_from(["", "\n", "\r\n"]))
NAMES = st.sampled_from(
    ["src/a.py", "we ird.py", "a :: b", "::", "->", "é/ü.py", '"q".py', "`b`", "C.m#2", "executable"]
) | st.text(min_size=1)
EDITS = st.one_of(
    st.builds(SearchReplace, path=NAMES, search=TEXTS, replace=TEXTS),
    st.builds(SymbolEdit, path=NAMES, symbol=NAMES, body=TEXTS),
    st.builds(
        SymbolEdit,
        path=NAMES,
        symbol=NAMES,
        op=st.sampled_from(["insert-after", "insert-before"]),
        body=TEXTS,
    ),
    st.builds(SymbolEdit, path=NAMES, symbol=NAMES, op=st.just("delete")),
    st.builds(CreateFile, path=NAMES, content=TEXTS, executable=st.booleans()),
    st.builds(DeleteFile, path=NAMES),
    st.builds(RenameFile, path=NAMES, new_path=NAMES),
)


@given(st.lists(EDITS, max_size=4))
@example([SearchReplace(path="a", search="\\ No newline at end of file", replace="\\\\ No newline at end of file\n")])
@example([CreateFile(path="a", content="\n"), CreateFile(path="b", content="")])
def test_edits_survive_being_written_and_read(edits: list[Edit]) -> None:
    assert parse_edits(format_edits(edits)) == edits


@given(st.lists(EDITS, min_size=1, max_size=3))
def test_prose_around_the_edits_is_kept_as_reasoning(edits: list[Edit]) -> None:
    answer = parse_answer("I will fix it.\n\n" + format_edits(edits) + "\nDone, `x` is gone.")
    assert answer.edits == edits
    assert answer.reasoning.split() == ["I", "will", "fix", "it.", "Done,", "`x`", "is", "gone."]


def test_several_blocks_share_one_header_and_may_stand_in_fences() -> None:
    text = """### edit a.py
```python
<<<<<<< SEARCH
x = 1
=======
x = 2
>>>>>>> REPLACE
```
and
<<<<<<< SEARCH
y
=======
>>>>>>> REPLACE
"""
    assert parse_edits(text) == [
        SearchReplace(path="a.py", search="x = 1\n", replace="x = 2\n"),
        SearchReplace(path="a.py", search="y\n", replace=""),
    ]


def test_an_answer_that_says_no_change_holds_no_edits() -> None:
    assert parse_edits("The code is right already.\n### no change\n") == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no edit"),
        ("def f(): pass", "holds no edit"),
        ("### no change\n### delete a.py", "leave one of them out"),
        (
            "<<<<<<< SEARCH\na\n=======\nb\n>>>>>>> REPLACE",
            "line 1 of the answer: a '<<<<<<< SEARCH' block needs a header",
        ),
        ("### edit a.py\n", "line 1 of the answer: '### edit a.py' has no"),
        ("### edit a.py\n<<<<<<< SEARCH\na\n=======\nb\n", "line 2 of the answer: the block is never ended"),
        ("### edit a.py\n<<<<<<< SEARCH\na\n>>>>>>> REPLACE\n", "has no '=======' line"),
        (
            "### edit a.py\n<<<<<<< SEARCH\nA\n=======\nB\n=======\n>>>>>>> REPLACE\n",
            "markers of 8 characters",
        ),
        (
            "### edit a.py\n<<<<<<< SEARCH\nA\n<<<<<<< SEARCH\n",
            "line 4 of the answer: a new block begins inside",
        ),
        (">>>>>>> REPLACE", "never began"),
        ("### create a.py\nx = 1", "expected a ``` fence"),
        ("### create a.py", "expected a ``` fence"),
        ("### create a.md\n```\nsee\n```python\nx\n```\n", "give that one 4 backticks"),
        ("### create a.py\n```\nx", "line 2 of the answer: the fence is never closed"),
        ("### replace a.py f\n```\nx\n```", "expected '### replace PATH :: SYMBOL'"),
        ("### delete the old one", "expected '### delete PATH'"),
        ('### edit "a.py', "quote a name"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_line(text: str, said: str) -> None:
    with pytest.raises(EditError) as caught:
        parse_edits(text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)

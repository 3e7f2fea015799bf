"""Markup inside the content of an answer is content: tags of thinking, fences, headers, line ends."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.edits.apply import apply_edits
from agent.edits.format import format_edits
from agent.edits.parse import parse_answer, parse_edits
from harness.planners.rewrite import rewrite
from llm.thinking import split_trace
from models.edits import CreateFile, Edit, EditFormat, SearchReplace, SymbolEdit
from models.errors import EditError
from models.files import FileContent

TAG = 'x = """\n</think>\n"""\n'
TWO = (
    "### edit a.py\n<<<<<<< SEARCH\nx = 1\n=======\n" + TAG + ">>>>>>> REPLACE\n"
    "### create b.py\n```python\n" + TAG + "```\n"
)
EDITS: list[Edit] = [
    SearchReplace(path="a.py", search="x = 1\n", replace=TAG),
    CreateFile(path="b.py", content=TAG),
]


class Files(dict[str, FileContent]):
    """A tree in memory."""

    def entries_under(self, folder: str) -> list[str]:
        return [path for path in self if path.startswith(folder + "/")]


def applied(text: str, **files: str) -> dict[str, str]:
    answer, _ = split_trace(text)
    result = apply_edits(parse_edits(answer), Files({path: FileContent(each) for path, each in files.items()}))
    assert not result.rejected, [each.error for each in result.results]
    return {path: each.text for path, each in result.files.items() if each is not None}


# thinking


@pytest.mark.parametrize(
    ("before", "trace"),
    [
        ("", ""),
        ("Two edits.\n\n", ""),
        ("<think>\nfirst\n</think>\n\n", "first"),
        ("first\n</think>\n\n", "first"),
        ("first</think>\n\n", "first"),
        ("first\n</think> ", "first"),
        ("<think>\n</think>\n<think>first</think>\n", "first"),
        ("<thinking>first</thinking>\n", "first"),
        ("<|begin_of_thought|>\nfirst\n<|end_of_thought|>\n", "first"),
        ("[THINK]first[/THINK]", "first"),
        ("<think>a <think>b</think> c</think>\n", "a <think>b</think> c"),
        ("<think>a <think> tag is\nmeant</think>\n", "a <think> tag is\nmeant"),
        ("<think>so:\n```python\n" + TAG + "```\nright\n</think>\n", "so:\n```python\n" + TAG + "```\nright"),
        ("<think>so:\n~~~~\n```\n</think>\n```\n~~~~\n</think>\n", "so:\n~~~~\n```\n</think>\n```\n~~~~"),
        ("so:\n```python\n" + TAG + "```\nright\n</think>\n", "so:\n```python\n" + TAG + "```\nright"),
        ("<think>I quote\n```\nhalf\n</think>\n", "I quote\n```\nhalf"),
    ],
)
def test_both_edits_arrive_whatever_thinking_precedes_them(before: str, trace: str) -> None:
    answer, found = split_trace(before + TWO)
    assert found == trace
    assert parse_edits(answer) == EDITS


def test_a_closing_tag_after_the_first_edit_belongs_to_the_answer() -> None:
    text = "### create b.py\n```\nx\n```\n</think>\n### delete c.py\n"
    assert split_trace(text) == (text, "")
    assert len(parse_edits(text)) == 2


def test_a_trace_that_is_not_closed_leaves_no_answer_after_others_neither() -> None:
    assert split_trace("<think>a</think><think>b\n### delete a.py\n") == ("", "a\nb\n### delete a.py")


# fences


@pytest.mark.parametrize(
    "text",
    [
        "### create README.md\n```\n# Title\n```\ncode\n```\nmore\n```\n",
        "### create README.md\n```md\n# Title\n```\nmore\n```\n",
        "### create README.md\n```md\n# Title\n```\n\n```\nmore\n```\n```\n### delete a.py\n",
        "### replace a.py :: f\n```python\ndef f():\n    '''\n```\n    code\n```\n    '''\n```\n",
        "```\n### create README.md\n```\na\n```\nb\n```\n```\n",
        "### create README.md\n~~~\na\n~~~\nb\n~~~\n",
        "### create README.md\r\n```\r\na\r\n```\r\nb\r\n```\r\n",
    ],
)
def test_fence_lines_left_over_after_a_content_are_refused(text: str) -> None:
    with pytest.raises(EditError, match=r"left over after the fence of line \d.*give its fence 4 (backticks|tildes)"):
        parse_edits(text)


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("````md\n# Title\n```\ncode\n```\n````\n", "# Title\n```\ncode\n```\n"),
        ("~~~md\n# Title\n```\ncode\n```\n~~~\n", "# Title\n```\ncode\n```\n"),
        ("```md\n# Title\n~~~\ncode\n~~~\n````\n   ```\n```\n", "# Title\n~~~\ncode\n~~~\n````\n   ```\n"),
        ("```py\n### create b.py\n### no change\n<<<<<<< SEARCH\n```\n", None),
        ("```py\nx\n```\nThen run:\n```sh\npytest\n```\nDone.\n", "x\n"),
    ],
)
def test_a_fence_holds_what_its_length_lets_it(text: str, content: str | None) -> None:
    content = "### create b.py\n### no change\n<<<<<<< SEARCH\n" if content is None else content
    assert parse_edits("### create a.md\n" + text) == [CreateFile(path="a.md", content=content)]


def test_an_answer_in_a_fence_of_its_own_is_read() -> None:
    text = "Here:\n```markdown\n### create a.py\n```python\nx\n```\n```\nDone.\n"
    assert parse_answer(text).edits == [CreateFile(path="a.py", content="x\n")]


# line ends

CRLF_ANSWER = (
    "I think.\n\n### create new.py\n```python\nx = 1\ny = 2\n```\n"
    "### replace lf.py :: f\n```python\ndef f():\n    return 2\n```\n"
    "### insert-after crlf.py :: f\n```\n\ndef g():\n    return 3\n```\n"
    "### edit other.py\n<<<<<<< SEARCH\na\nb\n=======\nc\n>>>>>>> REPLACE\n"
    "### replace whole.py :: <module>\n```\nz = 1\n\\ No newline at end of file\n```\n"
).replace("\n", "\r\n")


def test_an_answer_in_crlf_takes_the_line_ends_of_each_file() -> None:
    code = "def f():\n    return 1\n"
    files = {"lf.py": code, "crlf.py": code.replace("\n", "\r\n"), "other.py": "a\nb\n", "whole.py": "q\n"}
    assert applied(CRLF_ANSWER, **files) == {
        "new.py": "x = 1\ny = 2\n",
        "lf.py": "def f():\n    return 2\n",
        "crlf.py": "def f():\r\n    return 1\r\n\r\ndef g():\r\n    return 3\r\n",
        "other.py": "c\n",
        "whole.py": "z = 1",
    }
    assert applied(CRLF_ANSWER, **(files | {"other.py": "a\r\nb\r\n"}))["other.py"] == "c\r\n"


# any text

ODD = [
    "</think>", "<think>", "```", "````", "```py", "~~~", "### create a", "### no change", "=======", "\ufeff", "\r",
    "<<<<<<< SEARCH", ">>>>>>> REPLACE", "\x0c", "\u2028", "\x85", "<|im_end|>", "\\ No newline at end of file", "...",
]  # fmt: skip
TEXTS = st.builds(
    lambda lines, end: "\n".join(lines) + end,
    st.lists(st.sampled_from(ODD) | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))),
    st.sampled_from(["", "\n", "\r\n"]),
)


@given(TEXTS, st.sampled_from(["", "<think>\nhm\n</think>\n", "hm\n</think>\n", "Here it is:\n"]))
@example("</think>\n```\n", "")
@example("\ufeffx\r\n\x0c\u2028", "hm\n</think>\n")
def test_any_text_of_a_file_arrives_byte_for_byte(text: str, before: str) -> None:
    def written(edit: Edit) -> str:
        return before + format_edits([edit])

    assert applied(written(CreateFile(path="new", content=text))) == {"new": text}
    assert applied(written(SearchReplace(path="old", search="", replace=text)), old="") in ({"old": text}, {})
    assert applied(written(SearchReplace(path="old", search="q\n", replace=text)), old="q") in (
        {"old": text.removesuffix("\n").removesuffix("\r") if text else ""},
        {},
    )


@given(TEXTS)
def test_any_text_of_a_file_is_found_and_goes_as_it_is(text: str) -> None:
    if text.strip("\r\n"):
        answer = format_edits([SearchReplace(path="old", search=text, replace="")])
        assert applied(answer, old=text) == {"old": ""}
        module = format_edits([SymbolEdit(path="old", symbol="<module>", op="replace", body=text)])
        assert applied(module, old="q\n") in ({"old": text.removeprefix("\ufeff")}, {})


PIECES = st.sampled_from(
    [
        "def f():\n    return 1\n", "class C:\n    def m(self):\n        return '''\n</think>\n```\n'''\n", "x = 1\n",
        "@d\r\ndef g():\r\n    pass\r\n", "class D:\n\tdef m(self): ...\n", "# é\u2028\x0c\n", "\ufeff", "    y\n",
        "\n",
    ]
)  # fmt: skip


@pytest.mark.parametrize("edit_format", list(EditFormat))
@given(before=st.lists(PIECES).map("".join), after=st.lists(PIECES).map("".join), crlf=st.booleans())
def test_a_change_of_a_file_arrives_in_each_format_of_edits(
    edit_format: EditFormat, before: str, after: str, crlf: bool
) -> None:
    if crlf:
        before, after = before.replace("\r", "").replace("\n", "\r\n"), after.replace("\r", "").replace("\n", "\r\n")
    edits = rewrite("src/a.py", before, after, edit_format)
    files = applied(format_edits(edits), **{"src/a.py": before})
    assert files.get("src/a.py", before) == after

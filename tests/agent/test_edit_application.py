"""Edits applied: the ladder, whole symbols, files, paths; what is refused says what to do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.edits.apply import Applied, apply_edits
from agent.edits.ladder import replace_once
from agent.edits.whole import edit_symbol
from models.edits import CreateFile, DeleteFile, Edit, RenameFile, Rung, SearchReplace, SymbolEdit
from models.errors import EditError
from models.files import FileContent
from repos.edit_paths import check_path


class Files:
    """A tree in memory."""

    def __init__(self, **texts: str) -> None:
        self.files = {path: FileContent(text) for path, text in texts.items()}

    def get(self, path: str) -> FileContent | None:
        return self.files.get(path)

    def entries_under(self, folder: str) -> list[str]:
        return [path for path in self.files if path.startswith(folder + "/")]


def put(files: Files, *edits: Edit) -> Applied:
    return apply_edits(edits, files)


def refused(text: str, search: str, replace: str = "new\n") -> str:
    with pytest.raises(EditError) as caught:
        replace_once(text, search, replace, "a.py")
    assert "\n" not in str(caught.value)
    return str(caught.value)


# the ladder


@pytest.mark.parametrize(
    ("text", "search", "replace", "expected"),
    [
        ("a\nb\nc\n", "b\n", "x\ny\n", "a\nx\ny\nc\n"),
        ("a\nb\nc\n", "b\n", "", "a\nc\n"),
        ("a\nb", "b", "c\n", "a\nc\n"),
        ("a\nb", "b\n", "c\n", "a\nc"),  # the coder cannot see that the newline is missing
        ("a\nb\nc", "b", "x", "a\nx\nc"),
        ("a\r\nb\r\nc\r\n", "a\nb\n", "x\ny\n", "x\r\ny\r\nc\r\n"),
        ("a\r\nb\n", "a\r\n", "x\n", "x\nb\n"),
        ("a\nb\r\n", "b\n", "x\ny\n", "a\nx\r\ny\r\n"),
        ("a\nb\n", "b\r\n", "x\r\ny\r\n", "a\nx\ny\n"),
        ("", "", "new\n", "new\n"),
        ("a = 1\n\x0cb\u2028c\n", "\x0cb\u2028c\n", "d\n", "a = 1\nd\n"),
        ("    ...\n    x\n", "    ...\n", "    pass\n", "    pass\n    x\n"),
    ],
)
def test_an_exact_match_is_replaced_by_whole_lines(text: str, search: str, replace: str, expected: str) -> None:
    assert replace_once(text, search, replace, "a.py") == (expected, Rung.EXACT)


def test_a_match_inside_a_line_is_no_match() -> None:
    assert "stands nowhere" in refused("maximum = 1\n", "mum = 1\n")


@pytest.mark.parametrize(
    ("text", "search", "places"),
    [
        ("a\nb\na\n", "a\n", "2 places (lines 1, 3)"),
        ("a\na\na\n", "a\na\n", "2 places (lines 1, 2)"),  # overlapping
        ("a\nb\na", "a\n", "2 places (lines 1, 3)"),
        ("  a\n    a\n", "a\n", "2 places (lines 1, 2)"),
    ],
)
def test_an_ambiguous_search_is_refused_on_each_rung(text: str, search: str, places: str) -> None:
    assert places in refused(text, search)


def test_a_uniform_indent_shift_is_followed_by_the_replacement() -> None:
    text = "class A:\n    def f(self):\n        if x:\n\n            return 1\n"
    search = "def f(self):\n    if x:\n\n        return 1\n"
    new, rung = replace_once(text, search, "def f(self):\n\n    return 2\n", "a.py")
    assert (new, rung) == ("class A:\n    def f(self):\n\n        return 2\n", Rung.INDENT_SHIFT)
    new, rung = replace_once("def f():\n\treturn 1\n", "\tdef f():\n\t\treturn 1\n", "\tdef f():\n\t\tpass\n", "a.py")
    assert (new, rung) == ("def f():\n\tpass\n", Rung.INDENT_SHIFT)


def test_an_indent_that_changes_from_line_to_line_is_no_shift() -> None:
    assert "stands nowhere" in refused("    if x:\n          y\n", "if x:\n    y\n")
    assert "stands nowhere" in refused("a\n   \nb\n", "a\n\nb\n")


def test_a_replacement_that_does_not_share_the_shifted_indent_is_refused() -> None:
    assert "is not indented by" in refused("def f():\n    pass\n", "  def f():\n      pass\n", "def g():\n")


def test_an_elided_middle_stays_as_it_is() -> None:
    text = "def f():\n    a\n    b\n    c\n    return 1\n\ndef g():\n    d\n    return 2\n"
    search = "def f():\n    ...\n    return 1\n"
    new, rung = replace_once(text, search, "def f(x):\n    ...\n    return x\n", "a.py")
    assert rung is Rung.ELISION
    assert new == text.replace("def f()", "def f(x)").replace("return 1", "return x")
    crlf, _ = replace_once(text.replace("\n", "\r\n"), search, "def f(x):\n...\n    return x\n", "a.py")
    assert crlf == new.replace("\n", "\r\n")


@pytest.mark.parametrize(
    ("search", "replace", "said"),
    [
        ("def f():\n...\n    return\n", "def f():\n...\n    x\n", "several ways"),
        ("def f():\n...\n    y\n", "def f():\n", "1 '...' lines and the replacement 0"),
        ("...\n    y\n", "...\n    z\n", "must stand between lines"),
        ("    y\n...\ndef f():\n", "a\n...\nb\n", "not in this order"),
        ("def f():\n...\n    z\n", "def f():\n...\n", "nothing in the file resembles it"),
    ],
)
def test_an_elision_that_is_not_clear_is_refused(search: str, replace: str, said: str) -> None:
    assert said in refused("def f():\n    x\n    return\n    y\n    return\n", search, replace)


@given(
    st.lists(st.sampled_from("abc"), max_size=8),
    st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=2), min_size=2, max_size=3),
)
def test_an_elided_search_applies_only_if_it_can_be_read_in_one_way(lines: list[str], pieces: list[list[str]]) -> None:
    def ways(piece: int, least: int) -> int:
        if piece == len(pieces):
            return 1
        size = len(pieces[piece])
        starts = [at for at in range(least, len(lines)) if lines[at : at + size] == pieces[piece]]
        return sum(ways(piece + 1, at + size + 1) for at in starts)

    text = "".join(line + "\n" for line in lines)
    search = "...\n".join("".join(line + "\n" for line in piece) for piece in pieces)
    try:
        result = replace_once(text, search, search, "a.py")
    except EditError as error:
        assert ways(0, 0) != 1
        assert ("several ways" in str(error)) == (ways(0, 0) > 1)
    else:
        assert ways(0, 0) == 1
        assert result == (text, Rung.ELISION)


def test_a_failed_search_names_the_nearest_place_and_its_first_difference() -> None:
    text = "import os\n\ndef f(x):\n    y = x + 1\n    return y\n"
    said = refused(text, "def f(x):\n    y = x + 2\n    return y\n")
    assert "nearest is a.py:3-5, where line 4 is '    y = x + 1', not '    y = x + 2'" in said
    assert "nothing in the file resembles it" in refused("a\n", "completely different text\n")


def test_an_empty_search_fills_only_an_empty_file() -> None:
    assert "an empty search fills an empty file" in refused("a\n", "")


LINES = st.lists(st.sampled_from(["a", "b", "    a", "", "x = 1", "\r", "é"]), max_size=8)


@given(LINES, st.data(), LINES, st.sampled_from(["\n", "\r\n"]))
def test_a_replacement_touches_nothing_but_its_place(
    lines: list[str], data: st.DataObject, new: list[str], end: str
) -> None:
    text = "".join(line + end for line in lines)
    start = data.draw(st.integers(0, len(lines)))
    stop = data.draw(st.integers(start, len(lines)))
    search, replace = ("".join(line + end for line in part) for part in (lines[start:stop], new))
    if not search:
        return
    try:
        result, rung = replace_once(text, search, replace, "a.py")
    except EditError as error:
        assert "places" in str(error)
        return
    if rung is Rung.EXACT:
        assert result == "".join(line + end for line in [*lines[:start], *new, *lines[stop:]])


# whole symbols

CODE = (
    "import os\n\n\n@cache\ndef f():\n    return 1\n\n\n"
    "class A:\n    def m(self):\n        pass\n\n    def n(self): ...\n"
)


def symbol(op: str, name: str, body: str = "", text: str = CODE) -> tuple[str, Rung]:
    return edit_symbol(text, SymbolEdit(path="a.py", symbol=name, op=op, body=body))  # type: ignore[arg-type]


def test_a_symbol_is_replaced_with_its_decorators() -> None:
    new, rung = symbol("replace", "f", "def f():\n    return 2\n")
    assert (new, rung) == (CODE.replace("@cache\ndef f():\n    return 1\n", "def f():\n    return 2\n"), Rung.SYMBOL)


def test_a_body_takes_the_indent_of_its_symbol() -> None:
    new, rung = symbol("replace", "A.m", "def m(self):\n    return 3\n")
    assert rung is Rung.INDENT_SHIFT
    assert new == CODE.replace("        pass\n", "        return 3\n")


def test_a_body_takes_the_line_ends_of_its_file_and_ends_its_last_line() -> None:
    text = CODE.replace("\n", "\r\n")
    new, _ = symbol("replace", "f", "def f():\n    return 2", text)
    assert new == text.replace("@cache\r\ndef f():\r\n    return 1", "def f():\r\n    return 2")


def test_a_body_in_crlf_takes_the_line_ends_of_its_file() -> None:
    new, _ = symbol("replace", "f", "def f():\r\n    return 2\r\n")
    assert new == CODE.replace("@cache\ndef f():\n    return 1", "def f():\n    return 2")
    new, _ = symbol("replace", "f", "def f():\n    return '\r'\n")
    assert "return '\r'\n" in new


def test_deleting_a_symbol_takes_the_blank_lines_before_it() -> None:
    assert symbol("delete", "f")[0] == CODE.replace("\n\n@cache\ndef f():\n    return 1\n", "")
    assert symbol("delete", "A.n")[0] == CODE.replace("\n    def n(self): ...\n", "")


def test_a_body_goes_before_or_after_a_symbol() -> None:
    assert symbol("insert-after", "A.m", "\ndef o(self):\n    pass\n")[0] == CODE.replace(
        "        pass\n", "        pass\n\n    def o(self):\n        pass\n"
    )
    assert symbol("insert-before", "<imports>", "import abc\n")[0] == "import abc\n" + CODE
    assert symbol("insert-after", "f", "x = 1\n", "def f(): ...")[0] == "def f(): ...\nx = 1\n"


def test_the_module_is_the_whole_file() -> None:
    assert symbol("replace", "<module>", "x = 1\n") == ("x = 1\n", Rung.FILE)
    assert symbol("insert-after", "<module>", "x = 1\n") == (CODE + "x = 1\n", Rung.FILE)
    assert symbol("replace", "<module>", "")[0] == ""


def test_a_byte_order_mark_stays() -> None:
    assert symbol("replace", "f", "def f():\n    pass\n", "\ufeffdef f(): ...\n")[0] == "\ufeffdef f():\n    pass\n"


@pytest.mark.parametrize(
    ("text", "name", "op", "said"),
    [
        (CODE, "A.k", "delete", "nearest are"),
        ("def f(): ...\ndef f(): ...\n", "f", "delete", "name one of f#1 (line 1), f#2 (line 2)"),
        (CODE, "<module>", "delete", "delete the file instead"),
        (CODE, "f", "replace", "the body for 'f' is empty"),
        ("class A: x = 1\n", "<imports>", "delete", "no symbol '<imports>'"),
    ],
)
def test_a_symbol_that_is_not_clear_is_refused(text: str, name: str, op: str, said: str) -> None:
    with pytest.raises(EditError) as caught:
        symbol(op, name, "", text)
    assert said in str(caught.value)


def test_symbols_that_share_lines_and_files_without_symbols_are_refused() -> None:
    with pytest.raises(EditError, match="shares a line with other code; edit '<module>' instead"):
        edit_symbol("function f() {} run()\n", SymbolEdit(path="a.js", symbol="f", op="delete"))
    with pytest.raises(EditError, match="no symbols are known in files of this kind"):
        edit_symbol("fn f() {}", SymbolEdit(path="a.rs", symbol="f", op="delete"))


# files


def test_edits_build_on_each_other() -> None:
    applied = put(
        Files(**{"a.py": "x = 1\n"}),
        SearchReplace(path="a.py", search="x = 1\n", replace="y = 1\n"),
        RenameFile(path="a.py", new_path="b/c.py"),
        SearchReplace(path="b/c.py", search="y = 1\n", replace="z = 1\n"),
        CreateFile(path="a.py", content="", executable=True),
    )
    assert not applied.rejected
    assert applied.files == {"a.py": FileContent("", True), "b/c.py": FileContent("z = 1\n")}
    assert [result.rung for result in applied.results] == [Rung.EXACT, Rung.FILE, Rung.EXACT, Rung.FILE]
    assert applied.results[1].before_hash == applied.results[1].after_hash == applied.results[2].before_hash


def test_a_rejected_edit_rejects_all_and_the_rest_is_still_judged() -> None:
    applied = put(
        Files(**{"a.py": "x = 1\n"}),
        SearchReplace(path="a.py", search="x = 1\n", replace="y = 1\n"),
        DeleteFile(path="gone.py"),
        CreateFile(path="a.py", content=""),
    )
    assert applied.rejected
    assert applied.files == {}
    errors = [result.error or "" for result in applied.results]
    assert "edit 2 of the answer was rejected" in errors[0]
    assert "does not exist" in errors[1]
    assert "exists already" in errors[2]
    assert all(result.rung is None for result in applied.results)


def test_a_file_may_take_the_place_of_a_folder_and_a_folder_of_a_file() -> None:
    files = Files(**{"a": "1", "d/x": "2"})
    applied = put(files, RenameFile(path="a", new_path="a/b"), DeleteFile(path="d/x"), CreateFile(path="d", content=""))
    assert applied.files == {"a": None, "a/b": FileContent("1"), "d/x": None, "d": FileContent("")}
    for edit in (CreateFile(path="a/b", content=""), CreateFile(path="d", content="")):
        assert put(files, edit).rejected


@pytest.mark.parametrize("content", ["a\0b", "\ud800"])
def test_content_that_is_no_utf_8_text_is_refused(content: str) -> None:
    edit = CreateFile.model_construct(kind="create", path="a.py", content=content, executable=False)
    with pytest.raises(EditError, match=r"a\.py: the new content holds"):
        from repos.text import encode

        encode(edit.content, edit.path)


@pytest.mark.parametrize(
    "path",
    [
        "", "/etc/passwd", "../a", "a/../../b", "a/..", ".", "./a", "a//b", "a/", "C:/a", "c:a", "a\\b", "\\\\host\\a",
        ".git/config", "a/.git/hooks/x", ".GIT/config", ".git./x", ".git /x", "git~1/x", ".g\u200cit/x", ".git:x/a",
        "a\0b", "a\nb", "a\u2028b", "\ud800", "a" * 256, "a/" * 600 + "a",
    ],
)  # fmt: skip
def test_a_path_that_leaves_the_tree_or_means_git_is_refused(path: str) -> None:
    with pytest.raises(EditError):
        check_path(path)


@pytest.mark.parametrize(
    "path", ["a.py", ".gitignore", ".github/x.yml", "a b/é.py", "git/x", "a/.gitkeep", "xx:y", "..a"]
)
def test_an_ordinary_path_is_taken(path: str) -> None:
    assert check_path(path) == path

"""Sequences of diffs as LintSeq writes them: applied exactly, or refused."""

import difflib
from itertools import pairwise

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from training.data.sources.open_datasets.conversion import NotKept
from training.data.sources.open_datasets.diff_sequences import LINE_ENDS, MALFORMED, MISMATCH, after_diffs

LINES = st.sampled_from(
    [
        "", " ", "    ", "x = 1", "\tx", "@", "@@", "@@ -1 +1 @@", "@@ -0,0 +1 @@ def f():", "a @ b", "m @@ n",
        "<|diff|>", "--- a", "+++ b", "-x", "++x", "-- 1", " +1", "é😀",
    ]
)  # fmt: skip
STATE = st.lists(LINES, max_size=8).map("\n".join)


def diff(before: str, after: str) -> str:
    """A diff as the reference writes it: of texts without outer blanks, without context or headers."""
    lines = difflib.unified_diff(before.strip().splitlines(), after.strip().splitlines(), n=0, lineterm="")
    return "\n".join(list(lines)[2:])


@given(states=st.lists(STATE, min_size=1, max_size=5), tail=st.sampled_from(["", "\n", "\n\n"]))
@example(states=["", "x = 1"], tail="")
@example(states=["x\n@@ -1 +1 @@\n++x", "x\n++x"], tail="\n")
@pytest.mark.parametrize("between", ["\n<|diff|>", "\n<|diff|>\n"])
@pytest.mark.parametrize("end", ["", "\n", "<|endoftext|>"])
def test_all_diffs_give_the_last_state(between: str, end: str, states: list[str], tail: str) -> None:
    first, last = states[0].strip(), states[-1].strip()
    completion = between.join(diff(a, b) for a, b in pairwise(states))
    wanted = last + ((tail if first else "\n") if last or first else "\n")
    assert after_diffs(first + tail if first else "", completion + end) == wanted


@given(before=STATE, after=STATE, other=STATE)
def test_a_diff_of_another_program_is_refused_or_gives_what_it_says(before: str, after: str, other: str) -> None:
    assume(before.strip() != other.strip())
    told = diff(before, after)
    removed = [line[1:] for line in told.split("\n") if line.startswith("-")]
    try:
        found = after_diffs(other, told)
    except NotKept as reason:
        assert str(reason) in (MISMATCH, MALFORMED, "first line is indented")
    else:
        assert not removed or set(removed) <= set(other.strip().split("\n"))
        assert all(line[1:] in found.split("\n") for line in told.split("\n") if line.startswith("+"))


@pytest.mark.parametrize("mark", ["\r", "\r\n", "\x0c", "\u2028", "\x1c", "\x85"])
def test_line_ends_that_the_diffs_do_not_show_are_refused(mark: str) -> None:
    with pytest.raises(NotKept, match=LINE_ENDS):
        after_diffs(f"a = 1{mark}b = 2\n", "@@ -1 +1 @@\n-a\n+b")


@pytest.mark.parametrize(
    ("completion", "reason"),
    [
        ("x = 1", MALFORMED),
        ("@@ -1 +1 @@\n-a = 1", MALFORMED),
        ("@@ -1 +1 @@\n-a = 1\n-b\n+c", MALFORMED),
        ("@@ -1 +1 @@\n*a = 1\n+b", MALFORMED),
        ("@@ -1 +1 @@\n-a = 1\n+b = 1\n+c = 1", MALFORMED),
        ("@@ -1 +2 @@\n-a = 1\n+b = 1", MISMATCH),
        ("@@ -7 +7 @@\n-a = 1\n+b = 1", MISMATCH),
        ("@@ -9,0 +10 @@\n+b = 1", MISMATCH),
        ("@@ -0 +0 @@\n-a = 1\n+b = 1", MISMATCH),
        ("@@ -1 +1 @@\n-a = 2\n+b = 1", MISMATCH),
    ],
)
def test_what_cannot_be_applied_exactly_is_refused(completion: str, reason: str) -> None:
    with pytest.raises(NotKept, match=reason):
        after_diffs("a = 1\nb = 2\n", completion)


def test_hunks_with_context_apply() -> None:
    assert after_diffs("a\nb\nc\n", "@@ -1,3 +1,3 @@\n a\n-b\n+d\n c") == "a\nd\nc\n"

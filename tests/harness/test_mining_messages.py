"""What counts as a task, and what is taken off a message before it is one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.mining.messages import MessageFault, fault, task_text

ACTIONS = """
Fix the bug
Fixes a crash on start
Fixed broken pickling of slots
Add validators for lists
Added support for PEP 604
Adding a cache for lookups
Cope with `field_transformer` being a generator
Deal with missing keys
Clean up in reverse order
Speed up __eq__ considerably
Get rid of Any
Make sure svcs is a Container
Ensure that hooks run once
Don't crash when a factory returns a mock
Do not overwrite factory cleanups
Also test the empty case
Properly handle empty input
Re-enable the slow path
Parametrize the slot tests
Refactored hook loading completely
Raise if both are given
Allow to override class variables
Deprecate Python 3.6 support
feat(parser)!: add a visitor
[parser] Fix off-by-one error
parser: handle empty files
#123 Fix the reader
GH-77: Drop the old API
:bug: Fix the reader again
🐛 Fix the reader twice
fix: crash when the list is empty
Simplify & optimize own attribute detection
Apply hooks in order
Uncomment the fast tests
Bounce the server politely
""".strip().splitlines()

NO_ACTIONS = """
bug in parser
Bug in the parser
Better naming of hooks
Initial slots implementation here
Test fixes for windows
Type annotations of converters
Consistency changes in _make.py
There won't be a 20.4
Some more typos everywhere
Minor word smithing everywhere
mypy has caught up
Fix for new releases
""".strip().splitlines()


@pytest.mark.parametrize("subject", ACTIONS)
def test_a_verb_with_an_object_is_a_task(subject: str) -> None:
    assert fault(subject, 3) is None


@pytest.mark.parametrize("subject", NO_ACTIONS)
def test_a_subject_without_verb_and_object_is_no_task(subject: str) -> None:
    assert fault(subject, 3) is MessageFault.NO_ACTION


@pytest.mark.parametrize(
    "message",
    [
        "Typo",
        "Documentation",
        "Fix parser",
        "Fix #123",
        "Fixes issue #1427 (#1428)",
        "",
        "\n\n",
        "Add `has`",
        "🎉",
        "docs: x",
    ],
)
def test_fewer_than_three_words_are_too_short(message: str) -> None:
    assert fault(message, 3) in (MessageFault.SHORT, MessageFault.GENERIC)


@pytest.mark.parametrize(
    "message",
    [
        "wip",
        "WIP: add the new parser",
        "misc",
        "update",
        "Fix typos.",
        "Work in progress",
        "fixup! Add the parser to it",
        "Merge pull request #3 from a/b",
        "apply suggestions from code review",
    ],
)
def test_messages_that_say_nothing_are_generic(message: str) -> None:
    assert fault(message, 3) is MessageFault.GENERIC


def test_the_number_of_words_is_a_rule() -> None:
    assert fault("Fix parser", 2) is None
    assert fault("Fix the bug", 4) is MessageFault.SHORT


def test_bookkeeping_is_taken_off_and_the_rest_stays() -> None:
    message = """Add a parser for dates (#123)

    Dates were read as text before. See #12 for why that hurts:
    it breaks sorting.

    Closes #12, #13
    Fixes: https://github.com/a/b/issues/4
    - refs a/b#77

    * Handle zones (closes #9)

    Co-authored-by: Bo <bo@example.com>
    Signed-off-by: Ann <ann@example.com>
    """
    message = "\n".join(line.removeprefix("    ") for line in message.splitlines())
    assert task_text(message) == (
        "Add a parser for dates\n\nDates were read as text before. See #12 for why that hurts:"
        "\nit breaks sorting.\n\n* Handle zones"
    )


def test_what_a_squash_merge_leaves_of_its_branch_is_taken_off() -> None:
    hook = "* [pre-commit.ci] auto fixes\n\nfor more information, see https://pre-commit.ci"
    message = f"Add it to the lexer (#4)\n\n* Add it\n\n{hook}\n\n* Apply suggestions from code review\n\n------\n"
    assert task_text(message) == "Add it to the lexer\n\n* Add it"


def test_a_message_whose_subject_is_a_reference_is_judged_by_what_follows() -> None:
    assert task_text("Fixes #12\n\nHandle empty input in the reader") == "Handle empty input in the reader"
    assert fault("Fixes #12\n\nHandle empty input in the reader", 3) is None


FRAGMENTS = st.sampled_from(
    [
        "Closes #12",
        " (#3)",
        "Fix the bug",
        "\n",
        "\n\n\n",
        "Cc: a@b.c",
        "wip",
        "#7, a/b#8",
        "refs",
        ": ",
        "  ",
        ".",
    ]
)


@given(st.one_of(st.text(max_size=200), st.lists(FRAGMENTS, max_size=12).map("".join)))
def test_taking_off_bookkeeping_twice_changes_nothing_more(message: str) -> None:
    once = task_text(message)
    assert task_text(once) == once
    assert fault(message, 3) == fault(once, 3)


def test_a_hostile_line_does_not_stall_the_tests_of_a_message() -> None:
    line = "." * 200_000
    assert task_text(f"Add it all\n\n{line}") == f"Add it all\n\n{line}"
    assert fault("a: " * 100_000, 3) is not None

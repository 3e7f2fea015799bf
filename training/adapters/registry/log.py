"""State derived from the promotion log: the adopted base, and the history of active adapters."""

from collections.abc import Sequence

from store.learning.promotions import LoggedDecision


def adopted(log: Sequence[LoggedDecision]) -> str | None:
    """The last adopted base in a target's log; None if none was adopted, so that any may be used."""
    return next((row.base for row in reversed(log) if row.action == "adopt"), None)


def served_before(log: Sequence[LoggedDecision]) -> list[str | None]:
    """The adapters that were active before the current one, most recent first, down to the base alone (None).

    A promotion pushes its adapter; a rollback pops all above the one that it restored.
    """
    stack: list[str | None] = [None]
    for row in log:
        if row.action == "promote":
            stack.append(row.serving)
        elif row.action == "rollback":
            while len(stack) > 1 and stack[-1] != row.serving:
                stack.pop()
    return stack[-2::-1]

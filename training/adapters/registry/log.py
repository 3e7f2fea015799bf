"""State derived from the promotion log: the history of active adapters."""

from collections.abc import Sequence

from store.learning.promotions import LoggedDecision


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

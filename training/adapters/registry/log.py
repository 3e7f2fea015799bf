"""What the promotion log says: the base that was adopted, and the adapters that served one after another."""

from collections.abc import Sequence

from store.learning.promotions import LoggedDecision


def adopted(log: Sequence[LoggedDecision]) -> str | None:
    """The base that was adopted last, by a target's log; None: none was, so that any may serve."""
    return next((row.base for row in reversed(log) if row.action == "adopt"), None)


def served_before(log: Sequence[LoggedDecision]) -> list[str | None]:
    """Who served a target before the one that serves now, most recent first, down to the base alone (None).

    A promotion puts its adapter on top; a rollback takes away all above the one it went back to.
    """
    stack: list[str | None] = [None]
    for row in log:
        if row.action == "promote":
            stack.append(row.serving)
        elif row.action == "rollback":
            while len(stack) > 1 and stack[-1] != row.serving:
                stack.pop()
    return stack[-2::-1]

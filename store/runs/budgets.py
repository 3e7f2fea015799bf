"""Budgets: what the processes of one run have spent together, under the caps that they share."""

from typing import NamedTuple

from sqlalchemy import Connection, or_, select, update

from store.rows import add
from store.tables import Budget, table_of

_BUDGETS = table_of(Budget)


class BudgetState(NamedTuple):
    """What is spent and reserved of a budget, and its caps; None is no cap."""

    cost: float
    tokens: int
    max_cost: float | None
    max_tokens: int | None


def open_budget(connection: Connection, key: str, max_cost: float | None, max_tokens: int | None) -> None:
    """Create a budget, unless it exists; the caps of an existing one stay."""
    add(connection, Budget(id=key, max_cost=max_cost, max_tokens=max_tokens))


def reserve(connection: Connection, key: str, cost: float, tokens: int) -> bool:
    """Count the most that a call can use; returns False, and counts nothing, if that would exceed a cap."""
    table = _BUDGETS.c
    fits = (
        table.id == key,
        or_(table.max_cost.is_(None), table.cost + cost <= table.max_cost),
        or_(table.max_tokens.is_(None), table.tokens + tokens <= table.max_tokens),
    )
    statement = update(_BUDGETS).where(*fits).values(cost=table.cost + cost, tokens=table.tokens + tokens)
    return connection.execute(statement).rowcount > 0


def settle(connection: Connection, key: str, cost: float, tokens: int) -> None:
    """Correct a reservation by the difference between what a call used and what was reserved."""
    table = _BUDGETS.c
    statement = update(_BUDGETS).where(table.id == key)
    connection.execute(statement.values(cost=table.cost + cost, tokens=table.tokens + tokens))


def budget_state(connection: Connection, key: str) -> BudgetState:
    """The state of a budget that was opened."""
    table = _BUDGETS.c
    query = select(table.cost, table.tokens, table.max_cost, table.max_tokens).where(table.id == key)
    return BudgetState(*connection.execute(query).one())

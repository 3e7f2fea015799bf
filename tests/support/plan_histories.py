"""Histories with a plan, what follows it, and nothing else."""

from pathlib import Path

from repos.git import Git
from tests.support.mining_history import Entry, entry, write_history
from training.data.sources.plan_artifacts.history import History
from training.data.sources.plan_artifacts.labels import Labelled, label_all
from training.data.sources.plan_artifacts.plans import Found

PLAN_PATH = "docs/plans/2026-01-05-discounts.md"
PLAN = """# Discounts for Regular Customers Implementation Plan

**Goal:** Regular customers pay less: the price of an order depends on how often its customer has bought before.

**Architecture:** Prices stay in one module; the shop asks it for the price of an order.

## Tasks

### Task 1: Price with a discount

**Files:**
- Modify: `shop/prices.py`
- Test: `tests/test_prices.py`

- [ ] let `price_of` take the number of earlier orders
- [ ] add a table of discounts beside `price_of`
- [ ] write tests for the table of discounts
- [ ] run the tests

### Task 2: Count the orders of a customer

**Files:**
- Create: `shop/customers.py`
- Modify: `shop/orders.py`

- [ ] create `shop/customers.py` with a count of orders by customer
- [ ] pass the count to the price in `Order.total`

### Task 3: Verify

- [ ] run the whole test suite
- [ ] commit
"""
PRICES = "BASE = 10\n\n\ndef price_of(amount):\n    return BASE * amount\n"
ORDERS = (
    "from shop.prices import price_of\n\n\nclass Order:\n    def total(self):\n        return price_of(self.amount)\n"
)
BEFORE = {
    "shop/prices.py": PRICES,
    "shop/orders.py": ORDERS,
    "shop/stock.py": "STOCK = {}\n\n\ndef take(name):\n    STOCK[name] -= 1\n",
    "tests/test_prices.py": "def test_price():\n    assert True\n",
    "README.md": "# Shop\n\nA shop. See `shop/prices.py` and `shop/orders.py`.\n",
}
DISCOUNTS = (
    "BASE = 10\nDISCOUNTS = {5: 0.9, 20: 0.8}\n\n\ndef price_of(amount, earlier=0):\n    share = 1.0\n"
    "    for least, factor in sorted(DISCOUNTS.items()):\n        if earlier >= least:\n            share = factor\n"
    "    return BASE * amount * share\n"
)
CUSTOMERS = (
    "COUNTS = {}\n\n\ndef earlier_orders(customer):\n    return COUNTS.get(customer, 0)\n\n\n"
    "def note_order(customer):\n    COUNTS[customer] = earlier_orders(customer) + 1\n"
)
COUNTED = (
    "from shop.customers import earlier_orders\nfrom shop.prices import price_of\n\n\nclass Order:\n"
    "    def total(self):\n        return price_of(self.amount, earlier_orders(self.customer))\n"
)


def begun(plan: str = PLAN, path: str = PLAN_PATH) -> list[Entry]:
    """The repository before the plan, and the commit that introduces it."""
    return [entry("A shop", BEFORE), entry("docs: plan discounts", {path: plan})]


def work() -> list[Entry]:
    """The two commits that do the plan."""
    return [
        entry("Discounts in prices", {"shop/prices.py": DISCOUNTS}),
        entry("Count the orders of a customer", {"shop/customers.py": CUSTOMERS, "shop/orders.py": COUNTED}),
    ]


def quiet(count: int = 8) -> list[Entry]:
    """Commits that have nothing to do with the plan."""
    return [entry(f"Stock of shelf {n}", {"shop/stock.py": f"STOCK = {{'shelf': {n}}}\n"}) for n in range(count)]


def labelled(place: Path, *parts: list[Entry]) -> tuple[list[Labelled], Found]:
    """The labelled plans of a history."""
    git = write_history(place, [each for part in parts for each in part])
    return label_all(History(git))


def history_of(place: Path, *parts: list[Entry]) -> tuple[Git, History]:
    """A history, written and read."""
    git = write_history(place, [each for part in parts for each in part])
    return git, History(git)
